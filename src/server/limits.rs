//! The limits of a server.

use std::time::Duration;

use clap::{Args, builder::RangedU64ValueParser};

use crate::duration;

/// The limits of one server.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Limits")]
pub struct Limits {
    /// Maximum size of a request body; a review holds the new and the old object
    // T3: an object in the API server has at most 3 MiB, as JSON or in a denser encoding.
    #[arg(
        long,
        value_name = "BYTES",
        default_value = "8388608",
        value_parser = at_least(1),
        env = "CALLGATE_MAX_BODY_BYTES"
    )]
    pub max_body_bytes: usize,

    /// Maximum size of the request line and all headers together
    #[arg(
        long,
        value_name = "BYTES",
        default_value = "16384",
        value_parser = at_least(1),
        env = "CALLGATE_MAX_HEADER_BYTES"
    )]
    pub max_header_bytes: usize,

    /// Maximum number of headers in a request
    #[arg(
        long,
        value_name = "COUNT",
        default_value = "64",
        value_parser = at_least(1),
        env = "CALLGATE_MAX_HEADERS"
    )]
    pub max_headers: usize,

    /// Maximum number of open connections; for a further one, a connection that waits for its client
    /// is closed
    #[arg(
        long,
        value_name = "COUNT",
        default_value = "512",
        value_parser = at_least(1),
        env = "CALLGATE_MAX_CONNECTIONS"
    )]
    pub max_connections: usize,

    /// Maximum size of all request bodies in memory together; a request that waits too long for room
    /// gets status 503
    #[arg(
        long,
        value_name = "BYTES",
        default_value = "25165824",
        value_parser = at_least(1),
        env = "CALLGATE_MAX_BUFFERED_BYTES"
    )]
    pub max_buffered_bytes: usize,

    /// Maximum number of requests in progress that were read in full; a further one gets status 503
    #[arg(
        long,
        value_name = "COUNT",
        default_value = "256",
        value_parser = at_least(1),
        env = "CALLGATE_MAX_IN_FLIGHT"
    )]
    pub max_in_flight: usize,

    /// Timeout of a TLS handshake
    #[arg(
        long,
        value_name = "DURATION",
        default_value = "5s",
        value_parser = duration::positive,
        env = "CALLGATE_HANDSHAKE_TIMEOUT"
    )]
    pub handshake_timeout: Duration,

    /// Timeout of reading a request's headers, from their first byte
    #[arg(
        long,
        value_name = "DURATION",
        default_value = "10s",
        value_parser = duration::positive,
        env = "CALLGATE_HEADER_TIMEOUT"
    )]
    pub header_timeout: Duration,

    /// Timeout of reading a request's body after its headers, and of writing the response
    #[arg(
        long,
        value_name = "DURATION",
        default_value = "3s",
        value_parser = duration::positive,
        env = "CALLGATE_BODY_TIMEOUT"
    )]
    pub body_timeout: Duration,

    /// Time after which an idle connection is closed
    // Longer than the 90 s after which Go's client closes it: if the server closes first, a request
    // that is on its way is lost, since a POST is not retried (T2).
    #[arg(
        long,
        value_name = "DURATION",
        default_value = "2m",
        value_parser = duration::positive,
        env = "CALLGATE_IDLE_TIMEOUT"
    )]
    pub idle_timeout: Duration,

    /// Deadline of a request without ?timeout=
    #[arg(
        long,
        value_name = "DURATION",
        default_value = "10s",
        value_parser = duration::positive,
        env = "CALLGATE_DEFAULT_DEADLINE"
    )]
    pub default_deadline: Duration,

    /// How long before its deadline a request is answered at the latest, so that the response arrives
    /// in time
    #[arg(
        long,
        value_name = "DURATION",
        default_value = "250ms",
        value_parser = duration::parse,
        env = "CALLGATE_DEADLINE_MARGIN"
    )]
    pub deadline_margin: Duration,

    #[command(flatten)]
    pub drain: Drain,
}

/// How long a server takes to stop.
///
/// Both times together have to be shorter than the pod's
/// `terminationGracePeriodSeconds`, 30 s unless set.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Stopping")]
pub struct Drain {
    /// Time after SIGTERM for which new connections are still accepted, until every node has removed
    /// the pod from the Service
    #[arg(
        long,
        value_name = "DURATION",
        default_value = "5s",
        value_parser = duration::parse,
        env = "CALLGATE_DRAIN_DELAY"
    )]
    pub drain_delay: Duration,

    /// Time after that in which requests in progress may finish
    #[arg(
        long,
        value_name = "DURATION",
        default_value = "20s",
        value_parser = duration::parse,
        env = "CALLGATE_DRAIN_TIMEOUT"
    )]
    pub drain_timeout: Duration,
}

/// The defaults of the flags.
impl Default for Limits {
    fn default() -> Self {
        #[derive(clap::Parser)]
        struct Defaults {
            #[command(flatten)]
            limits: Limits,
        }
        <Defaults as clap::Parser>::parse_from(["callgate"]).limits
    }
}

fn at_least(least: u64) -> RangedU64ValueParser<usize> {
    RangedU64ValueParser::new().range(least..)
}

#[cfg(test)]
pub(super) mod tests {
    use clap::Parser;
    use rstest::rstest;

    use super::*;

    #[derive(Debug, Parser)]
    struct Flags {
        #[command(flatten)]
        limits: Limits,
    }

    fn parse(flags: &[&str]) -> Result<Limits, String> {
        let words = ["callgate"].into_iter().chain(flags.iter().copied());
        Flags::try_parse_from(words).map(|it| it.limits).map_err(|it| it.to_string())
    }

    pub(in crate::server) fn limits(flags: &[&str]) -> Limits {
        parse(flags).expect("the flags of a test are right")
    }

    #[test]
    fn by_default_the_client_closes_first_and_a_pod_has_time_to_drain() {
        let limits = limits(&[]);
        assert!(limits.idle_timeout > Duration::from_secs(90));
        assert!(limits.drain.drain_delay + limits.drain.drain_timeout < Duration::from_secs(30));
    }

    #[rstest]
    #[case::nobody_could_connect("--max-connections=0", "0 is not in 1..")]
    #[case::not_a_number("--max-body-bytes=8Mi", "invalid digit")]
    #[case::no_unit("--idle-timeout=120", "expected a duration such as")]
    #[case::nothing_could_arrive("--handshake-timeout=0", "expected a duration longer than 0")]
    #[case::nothing_could_be_answered("--default-deadline=0s", "expected a duration longer than 0")]
    fn refuses(#[case] flag: &str, #[case] expected: &str) {
        let error = parse(&[flag]).unwrap_err();
        assert!(error.contains(expected), "{error}");
    }
}
