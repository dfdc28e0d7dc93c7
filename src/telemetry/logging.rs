//! Flags of the log: structured events on stderr, one per line.

use std::{
    io::{self, IsTerminal},
    panic,
};

use clap::{Args, ValueEnum};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::{
    EnvFilter,
    filter::ParseError,
    util::{SubscriberInitExt, TryInitError},
};

use super::{
    Log,
    lines::{JsonLine, TextFields},
};

/// How and how much to log.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Logging")]
pub struct Logging {
    /// Format of log lines on standard error
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t, env = "CALLGATE_LOG_FORMAT")]
    pub log_format: Format,

    /// Minimum level to log (off, error, warn, info, debug, trace), optionally by target:
    /// `warn,callgate=debug`
    #[arg(
        long,
        value_name = "LEVEL",
        default_value = "info",
        value_parser = directives,
        env = "CALLGATE_LOG_LEVEL"
    )]
    pub log_level: String,
}

/// How a log line looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Plain text
    #[default]
    Text,
    /// One JSON object per line, with all fields at its top level
    Json,
}

/// Why no log can be written.
#[derive(Debug, thiserror::Error)]
pub enum LoggingError {
    #[error("expected off, error, warn, info, debug or trace instead of {0:?}")]
    UnknownLevel(String),
    #[error("{0}")]
    Directive(#[from] ParseError),
    #[error("logging has been set up before")]
    Again(#[from] TryInitError),
    #[error("cannot write the log")]
    Write(#[from] io::Error),
}

impl Logging {
    /// Sends every event of this process to the log from now on, panics included. If a line cannot
    /// be written, only the line is lost.
    pub fn init(self, log: &Log) -> Result<(), LoggingError> {
        let Self { log_format, log_level } = self;
        let lines = tracing_subscriber::fmt()
            .with_env_filter(EnvFilter::try_new(quieted(&log_level))?)
            .with_ansi(io::stderr().is_terminal())
            // `tracing-subscriber` would print its errors to stderr, and panic if that fails.
            .log_internal_errors(false)
            .with_writer(log.lines());
        match log_format {
            Format::Text => lines.fmt_fields(TextFields).finish().try_init()?,
            Format::Json => lines.event_format(JsonLine).finish().try_init()?,
        }
        log.start()?;
        panic::set_hook(Box::new(|panic| {
            let place = panic.location().map(ToString::to_string);
            let message = panic.payload_as_str().unwrap_or("no message");
            tracing::error!(panic.place = place, panic.message = message, "panicked");
        }));
        Ok(())
    }
}

/// kube's client logs errors that it also returns, so they would be logged twice.
fn quieted(level: &str) -> String {
    if level.contains("kube") { level.to_owned() } else { format!("{level},kube_client=off") }
}

/// Accepts what `EnvFilter` accepts, except a single word that is not a level: `EnvFilter` would
/// take `inof` as the name of a target and silence all others.
fn directives(text: &str) -> Result<String, LoggingError> {
    for word in text.split(',').map(str::trim) {
        let names_more = word.contains(['=', ':', '[']);
        // The parser of levels reads an empty word as `error`.
        let is_level = !word.is_empty() && word.parse::<LevelFilter>().is_ok();
        if !names_more && !is_level {
            return Err(LoggingError::UnknownLevel(word.to_owned()));
        }
    }
    EnvFilter::try_new(text)?;
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use rstest::rstest;

    use super::*;

    #[derive(Debug, Parser)]
    struct Flags {
        #[command(flatten)]
        logging: Logging,
    }

    fn parse(flags: &[&str]) -> Result<Logging, String> {
        let words = ["callgate"].into_iter().chain(flags.iter().copied());
        Flags::try_parse_from(words).map(|it| it.logging).map_err(|it| it.to_string())
    }

    #[test]
    fn by_default_people_read_from_info_up() {
        let logging = parse(&[]).unwrap();
        assert_eq!((logging.log_format, logging.log_level.as_str()), (Format::Text, "info"));
    }

    #[rstest]
    #[case::level("debug")]
    #[case::upper_case("WARN")]
    #[case::off("off")]
    #[case::by_target("warn,callgate=debug")]
    #[case::by_module("callgate::server=trace,info")]
    #[case::by_span("info,[drain]=debug")]
    fn takes(#[case] level: &str) {
        assert_eq!(parse(&["--log-level", level]).unwrap().log_level, level);
    }

    #[rstest]
    #[case::misspelt("--log-level=inof", "instead of \"inof\"")]
    #[case::empty("--log-level=", "instead of \"\"")]
    #[case::misspelt_for_a_target("--log-level=callgate=inof", "expected one of")]
    #[case::unknown_format("--log-format=xml", "possible values: text, json")]
    fn refuses_in_one_error(#[case] flag: &str, #[case] expected: &str) {
        let error = parse(&[flag]).unwrap_err();
        assert!(error.contains(expected), "{error}");
        assert!(error.contains(flag.split_once('=').unwrap().0), "{error}");
    }
}
