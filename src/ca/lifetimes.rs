//! How long CAs and certificates are valid.

use std::time::Duration;

use clap::Args;

use crate::{clock::APART, duration};

/// The lifetimes of the certificates that callgate generates.
///
/// They are flags for tests, which could not await a rotation otherwise; operators can leave them.
#[derive(Args, Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetimes {
    /// Lifetime of a CA that callgate generates
    #[arg(
        long,
        value_name = "DURATION",
        default_value = "8760h",
        value_parser = duration::parse,
        env = "CALLGATE_CA_LIFETIME"
    )]
    pub ca_lifetime: Duration,

    /// Lifetime of a serving certificate that callgate signs
    #[arg(
        long,
        value_name = "DURATION",
        default_value = "168h",
        value_parser = duration::parse,
        env = "CALLGATE_LEAF_LIFETIME"
    )]
    pub leaf_lifetime: Duration,

    /// Time for which a new CA is published in the webhook configurations before a replica signs
    /// with it
    #[arg(
        long,
        value_name = "DURATION",
        default_value = "10m",
        value_parser = duration::parse,
        env = "CALLGATE_CA_INTRODUCTION"
    )]
    pub ca_introduction: Duration,
}

/// Why one CA cannot replace another with these lifetimes.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum LifetimesError {
    #[error("--leaf-lifetime must be at least 1s")]
    NoLife,
    #[error("--leaf-lifetime must not be longer than --ca-lifetime, which ends with all it signed")]
    Outlived,
    #[error("--ca-introduction must be shorter than the last third of --ca-lifetime")]
    TooLate,
    #[error("--ca-lifetime must not be longer than a hundred years")]
    TooLong,
}

impl Lifetimes {
    /// Returns the lifetimes if one CA can replace another with them.
    pub(super) fn check(self) -> Result<Self, LifetimesError> {
        const CENTURY: Duration = Duration::from_hours(100 * 365 * 24);
        match self {
            // Certificates count in seconds.
            it if it.leaf_lifetime < Duration::from_secs(1) => Err(LifetimesError::NoLife),
            it if it.leaf_lifetime > it.ca_lifetime => Err(LifetimesError::Outlived),
            it if it.ca_introduction >= it.ca_lifetime / 3 => Err(LifetimesError::TooLate),
            it if it.ca_lifetime > CENTURY => Err(LifetimesError::TooLong),
            it => Ok(it),
        }
    }

    /// The largest difference between the clocks by which two replicas decide. Within this time of
    /// the end of a CA, a replica does nothing that the other could not decide yet.
    ///
    /// These are clocks of API servers, each of which may differ by [`APART`] from the same replica.
    pub(super) fn skew(&self) -> Duration {
        (2 * APART).min(self.ca_lifetime / 16)
    }

    /// Time between two rounds: a quarter of the shortest time after which something is due, and
    /// between 100 ms and 30 s.
    ///
    /// Rounds take the place of timers, which stop while a machine is suspended and do not notice
    /// that its clock was set.
    pub fn pulse(&self) -> Duration {
        let shortest = self.ca_introduction.min(self.leaf_lifetime / 3).min(self.ca_lifetime / 3);
        (shortest / 4).clamp(Duration::from_millis(100), Duration::from_secs(30))
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use rstest::rstest;

    use super::*;

    #[derive(Debug, Parser)]
    struct Flags {
        #[command(flatten)]
        lifetimes: Lifetimes,
    }

    fn parse(flags: &str) -> Lifetimes {
        let words = ["callgate"].into_iter().chain(flags.split_whitespace());
        Flags::try_parse_from(words).unwrap().lifetimes
    }

    #[test]
    fn a_ca_is_valid_for_a_year_and_a_leaf_for_a_week() {
        let Lifetimes { ca_lifetime, leaf_lifetime, ca_introduction } = parse("").check().unwrap();
        assert_eq!(ca_lifetime, Duration::from_hours(365 * 24));
        assert_eq!(leaf_lifetime, Duration::from_hours(7 * 24));
        assert_eq!(ca_introduction, Duration::from_mins(10));
        assert_eq!(parse("").pulse(), Duration::from_secs(30));
    }

    #[rstest]
    #[case::leaf_for_no_time("--leaf-lifetime=0", LifetimesError::NoLife)]
    #[case::leaf_for_ever("--leaf-lifetime=9000h", LifetimesError::Outlived)]
    #[case::introduced_too_late(
        "--ca-lifetime=1h --leaf-lifetime=1m --ca-introduction=20m",
        LifetimesError::TooLate
    )]
    #[case::beyond_calendars("--ca-lifetime=1000000h", LifetimesError::TooLong)]
    fn refuses(#[case] flags: &str, #[case] expected: LifetimesError) {
        assert_eq!(parse(flags).check(), Err(expected));
    }
}
