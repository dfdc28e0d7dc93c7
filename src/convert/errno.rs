//! The names of errors, which Podman writes into profiles.

use crate::spelling;

/// The errors of the kernel (`asm-generic/errno-base.h`, `asm-generic/errno.h`):
/// a number and a name in each line.
const ERRNOS: &str = include_str!("errnos.txt");

/// The last error whose number is the same on every architecture.
pub(super) const LAST_OF_BASE: u64 = 34;

/// An error of the kernel.
pub(super) struct Errno {
    pub(super) number: u64,
    name: &'static str,
}

/// The error with this name.
///
/// # Errors
/// There is none; returns a similar name, if there is one.
pub(super) fn named(name: &str) -> Result<Errno, Option<&'static str>> {
    match all().find(|it| it.name == name) {
        Some(errno) => Ok(errno),
        None => Err(spelling::nearest(name, all().map(|it| it.name))),
    }
}

/// The name of an error.
pub(super) fn name_of(number: u64) -> Option<&'static str> {
    all().find(|it| it.number == number).map(|it| it.name)
}

fn all() -> impl Iterator<Item = Errno> {
    ERRNOS.lines().filter_map(|line| {
        let (number, name) = line.split_once(' ')?;
        Some(Errno { number: number.parse().ok()?, name })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_has_the_number_that_it_has_elsewhere() {
        assert_eq!(all().count(), ERRNOS.lines().count());
        for Errno { number, name } in all() {
            let number = i32::try_from(number).unwrap();
            let theirs = syscalls::Errno::new(number);
            let alias = ["EDEADLOCK", "ENOTSUP", "EWOULDBLOCK"].contains(&name);
            assert!(alias || theirs.name() == Some(name), "{number} {name} {theirs:?}");
        }
        assert_eq!(named("ENOSYS").ok().map(|it| it.number), Some(38));
        assert_eq!(named("ENOTSUP").ok().map(|it| it.number), Some(95));
        assert_eq!(named("ENOSYSS").err(), Some(Some("ENOSYS")));
        assert_eq!(named("EVERYTHING").err(), Some(None));
    }
}
