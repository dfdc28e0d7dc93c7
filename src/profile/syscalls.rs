//! The system calls of every architecture that Linux runs on.

use std::sync::LazyLock;

use crate::profile::architecture::Architecture;

/// Sorted, one call a line: its name, and its number in each column of
/// [`Architecture::column`]. `cargo test` compares it with the tables that the
/// kernel's headers were made into (crate `syscalls`), and with what libseccomp
/// resolves besides; `e2e/oracle` asks libseccomp itself.
const TABLE: &str = include_str!("syscalls.txt");

const COLUMNS: usize = 8;

struct Row {
    name: &'static str,
    numbers: [Option<u32>; COLUMNS],
}

static SORTED: LazyLock<Vec<Row>> = LazyLock::new(|| TABLE.lines().map(Row::parse).collect());

impl Row {
    fn parse(line: &'static str) -> Self {
        let mut words = line.split(' ');
        let name = words.next().unwrap_or_default();
        let mut numbers = [None; COLUMNS];
        for (number, word) in numbers.iter_mut().zip(words) {
            *number = word.parse().ok();
        }
        Self { name, numbers }
    }
}

fn find(name: &str) -> Option<&'static Row> {
    let at = SORTED.binary_search_by(|it| it.name.cmp(name)).ok()?;
    SORTED.get(at)
}

/// Whether any architecture has a system call of this name.
///
/// libseccomp resolves a name on every architecture it knows; what resolves
/// on none is skipped by runc without an error (1.10.1 of the semantics).
pub(super) fn exists(name: &str) -> bool {
    find(name).is_some()
}

/// Whether this architecture has it. Of one whose calls are not known, every
/// call is.
pub(super) fn exists_on(architecture: Architecture, name: &str) -> bool {
    let column = architecture.column();
    find(name).is_some_and(|it| column.is_none_or(|column| it.numbers[column].is_some()))
}

/// Its number there.
pub(super) fn number_on(architecture: Architecture, name: &str) -> Option<u32> {
    find(name)?.numbers[architecture.column()?]
}

pub(super) fn names() -> impl Iterator<Item = &'static str> {
    SORTED.iter().map(|it| it.name)
}
