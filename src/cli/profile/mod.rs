//! `callgate profile`: commands for profile files.

mod diff;
mod input;
mod lint;
mod object;
mod show;
mod trial;
mod words;
mod wrap;

use clap::{Args, Subcommand};

use crate::cli::Outcome;

/// Show, compare, check, try and convert profiles
#[derive(Args, Debug)]
pub(super) struct Profile {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    Lint(lint::Lint),
    Show(show::Show),
    Diff(diff::Diff),
    Try(trial::Try),
    Wrap(wrap::Wrap),
}

impl Profile {
    pub(super) fn run(self) -> anyhow::Result<Outcome> {
        let Self { what } = self;
        match what {
            What::Lint(it) => it.run(),
            What::Show(it) => it.run(),
            What::Diff(it) => it.run(),
            What::Try(it) => it.run(),
            What::Wrap(it) => it.run(),
        }
    }
}
