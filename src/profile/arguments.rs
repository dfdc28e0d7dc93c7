//! The arguments of which the kernel reads 32 bits.

use std::{collections::BTreeSet, sync::LazyLock};

/// A system call and the numbers of its arguments of 32 bits or fewer, one call a line, sorted:
/// those of the types int, unsigned int and smaller ones in include/linux/syscalls.h, and the flags
/// of clone, which kernel/fork.c truncates. A filter sees 64 bits of each.
const TABLE: &str = include_str!("arguments.txt");

static NARROW: LazyLock<BTreeSet<(&str, u64)>> = LazyLock::new(|| {
    let words = TABLE.lines().filter_map(|it| it.split_once(' '));
    let indices = |it: &'static str| it.split(' ').filter_map(|it| it.parse().ok());
    words.flat_map(|(call, it)| indices(it).map(move |index| (call, index))).collect()
});

/// Whether the kernel reads only the lower 32 bits of this argument, on architectures of 64 bits.
pub(crate) fn is_narrow(call: &str, index: u64) -> bool {
    NARROW.contains(&(call, index))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::syscalls;

    #[test]
    fn every_call_of_the_table_exists_and_has_arguments() {
        let names: Vec<_> = TABLE.lines().map(|it| it.split_once(' ').unwrap()).collect();
        assert!(names.is_sorted());
        for (call, indices) in names {
            assert!(syscalls::exists(call), "{call}");
            assert!(indices.split(' ').all(|it| it.parse::<u64>().unwrap() <= 5), "{call}");
        }
    }

    #[test]
    fn a_family_is_narrow_and_an_address_is_wide() {
        assert!(is_narrow("socket", 0));
        assert!(is_narrow("clone", 0));
        assert!(!is_narrow("bind", 1));
        assert!(!is_narrow("mmap", 2));
    }
}
