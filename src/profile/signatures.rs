//! The arguments of system calls.

/// A system call, and a letter for each of its arguments, one call a line, sorted: `s` for the address
/// of a text that the kernel reads, `p` for another address, `i` for a number of 32 bits with a sign,
/// `u` for any other number. From `events/syscalls` of tracefs on Linux 6.18 of x86-64, under the names
/// of the calls.
const TABLE: &str = include_str!("signatures.txt");

/// What an argument is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The address of a text that the kernel reads.
    Text,
    Address,
    Signed,
    Unsigned,
}

/// The arguments of a call, if they are known.
pub(crate) fn signature(call: &str) -> Option<Vec<Kind>> {
    let line = TABLE.lines().find(|it| it.split(' ').next() == Some(call))?;
    let letters = line.split_once(' ').map_or("", |it| it.1);
    let kind = |it| match it {
        's' => Kind::Text,
        'p' => Kind::Address,
        'i' => Kind::Signed,
        _ => Kind::Unsigned,
    };
    Some(letters.chars().map(kind).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::syscalls;

    #[test]
    fn every_call_of_the_table_exists_and_has_up_to_six_arguments() {
        let all: Vec<_> = TABLE.lines().map(|it| it.split_once(' ').unwrap_or((it, ""))).collect();
        assert!(all.is_sorted());
        for (call, letters) in all {
            assert!(syscalls::exists(call), "{call}");
            assert!(letters.len() <= 6 && letters.chars().all(|it| "spiu".contains(it)), "{call}");
        }
    }

    #[test]
    fn a_path_is_a_text_and_a_buffer_is_not() {
        assert_eq!(signature("mkdir"), Some(vec![Kind::Text, Kind::Unsigned]));
        assert_eq!(signature("write"), Some(vec![Kind::Unsigned, Kind::Address, Kind::Unsigned]));
        assert_eq!(signature("getpid"), Some(vec![]));
        assert_eq!(signature("no_such_call"), None);
    }
}
