//! The table of system calls of each architecture.

use std::sync::LazyLock;

use crate::profile::architecture::Architecture;

/// One call per line, sorted: its name, and its number in each column of
/// [`Architecture::column`]. `cargo test` compares the table with the kernel's
/// (crate `syscalls`) and with the further names that libseccomp resolves;
/// `e2e/oracle` compares it with libseccomp itself.
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
/// runc skips a name that libseccomp resolves on no architecture, without an
/// error (1.10.1).
pub(super) fn exists(name: &str) -> bool {
    find(name).is_some()
}

/// Whether the architecture has this call. True for every call if the table
/// lacks the architecture.
pub(super) fn exists_on(architecture: Architecture, name: &str) -> bool {
    let column = architecture.column();
    find(name).is_some_and(|it| column.is_none_or(|column| it.numbers[column].is_some()))
}

/// The number of the call on the architecture, if both are in the table.
pub(super) fn number_on(architecture: Architecture, name: &str) -> Option<u32> {
    find(name)?.numbers[architecture.column()?]
}

pub(super) fn names() -> impl Iterator<Item = &'static str> {
    SORTED.iter().map(|it| it.name)
}
