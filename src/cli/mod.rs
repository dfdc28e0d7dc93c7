//! The command line: one file per command, its flags and what it runs.

mod agent;
mod check;
mod compile;
mod completions;
mod crds;
mod denials;
mod explain;
mod fail_on;
mod file;
mod ladder;
mod man;
mod observe;
mod on_node;
mod output;
mod profile;
mod replay;
mod scan;
mod serve;
mod test;

use std::{env, path::Path, process::ExitCode};

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use jiff::{Timestamp, civil::Date, tz::TimeZone};

use crate::telemetry::Log;

/// Seccomp admission for Kubernetes
#[derive(Debug, Parser)]
#[command(version, about)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(Box<serve::Serve>),
    Agent(agent::Agent),
    Denials(denials::Denials),
    Check(check::Check),
    Test(test::Test),
    Explain(explain::Explain),
    Profile(profile::Profile),
    Compile(compile::Compile),
    Scan(scan::Scan),
    Replay(replay::Replay),
    Ladder(ladder::Ladder),
    Crds(crds::Crds),
    Completions(completions::Completions),
    #[command(hide = true)]
    Man(man::Man),
    #[command(name = "__complete", hide = true)]
    Complete(completions::Complete),
}

/// The result of a command that did its work, as an exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Success,
    /// The command found errors, and has printed them.
    Errors,
    /// Another command was run, and this is its exit code.
    Code(u8),
}

/// The exit code of a command that found errors.
const FOUND_ERRORS: u8 = 1;
/// The exit code of a command that could not do its work.
const COULD_NOT: u8 = 2;

impl Cli {
    /// Reads the command line of this process. As a plugin of kubectl, it is called `kubectl
    /// callgate` in what it prints.
    pub fn of_arguments() -> Self {
        let name = env::args_os().next().unwrap_or_default();
        let is_plugin = Path::new(&name).file_stem().is_some_and(|it| it == "kubectl-callgate");
        let command = Self::command();
        let command = if is_plugin { command.bin_name("kubectl callgate") } else { command };
        Self::from_arg_matches(&command.get_matches()).unwrap_or_else(|error| error.exit())
    }

    /// Runs the command and prints its error, in one line.
    pub fn run(self) -> ExitCode {
        let log = Log::default();
        let result = match self.command {
            Command::Serve(it) => it.run(&log),
            Command::Agent(it) => it.run(&log),
            Command::Denials(it) => it.run(&log),
            Command::Check(it) => it.run(),
            Command::Test(it) => it.run(),
            Command::Explain(it) => it.run(),
            Command::Profile(it) => it.run(),
            Command::Compile(it) => it.run(),
            Command::Scan(it) => it.run(),
            Command::Replay(it) => it.run(),
            Command::Ladder(it) => it.run(),
            Command::Crds(it) => it.run(),
            Command::Completions(it) => it.run(),
            Command::Man(it) => it.run(),
            Command::Complete(it) => it.run(),
        };
        match result {
            Ok(Outcome::Success) => ExitCode::SUCCESS,
            Ok(Outcome::Errors) => ExitCode::from(FOUND_ERRORS),
            Ok(Outcome::Code(code)) => ExitCode::from(code),
            Err(error) => {
                log.print(format_args!("error: {error:#}"));
                ExitCode::from(COULD_NOT)
            }
        }
    }
}

/// The current day in UTC, by which exemptions expire.
fn today() -> Date {
    Timestamp::now().to_zoned(TimeZone::UTC).date()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_flag_can_be_set_by_the_environment() {
        let mut commands = vec![Cli::command()];
        let mut seen = 0;
        while let Some(command) = commands.pop() {
            for flag in command.get_arguments().filter(|it| it.get_long().is_some()) {
                let (name, variable) = (flag.get_long().unwrap_or_default(), flag.get_env());
                if ["help", "version"].contains(&name) {
                    continue;
                }
                let expected = format!("CALLGATE_{}", name.replace('-', "_").to_uppercase());
                assert_eq!(variable.and_then(|it| it.to_str()), Some(expected.as_str()));
                seen += 1;
            }
            commands.extend(command.get_subcommands().cloned());
        }
        assert!(seen > 30, "only {seen}");
    }
}
