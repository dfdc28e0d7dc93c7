//! The system calls in groups, as people think of them.

use std::{collections::BTreeMap, sync::LazyLock};

/// One group a line: its title and its calls. `cargo test` checks that every call of the table of
/// system calls is in one group.
const TABLE: &str = include_str!("groups.txt");

/// A group; the order is that of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Group {
    number: usize,
    pub(crate) title: &'static str,
}

static BY_CALL: LazyLock<BTreeMap<&'static str, Group>> = LazyLock::new(|| {
    let lines = TABLE.lines().enumerate().filter_map(|(at, it)| Some((at, it.split_once(": ")?)));
    let calls = lines.flat_map(|(number, (title, calls))| {
        calls.split(' ').map(move |it| (it, Group { number, title }))
    });
    calls.collect()
});

impl Group {
    /// The group of a call; for one that is in no group, the last.
    pub(crate) fn of(call: &str) -> Self {
        let other = || Self { number: usize::MAX, title: "other" };
        BY_CALL.get(call).copied().unwrap_or_else(other)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::profile::syscalls;

    #[test]
    fn every_call_is_in_one_group() {
        let listed = TABLE.lines().flat_map(|it| it.split_once(": ").unwrap().1.split(' '));
        let mut seen = BTreeSet::new();
        for call in listed {
            assert!(seen.insert(call), "{call} is in two groups");
            assert!(syscalls::exists(call), "{call} does not exist");
        }
        let missing: Vec<_> = syscalls::names().filter(|it| !seen.contains(it)).collect();
        assert_eq!(missing, [""; 0]);
    }
}
