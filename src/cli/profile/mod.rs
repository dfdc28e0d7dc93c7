//! `callgate profile`: commands for profile files.

mod wrap;

use clap::{Args, Subcommand};

use crate::cli::Outcome;

/// Convert profile files
#[derive(Args, Debug)]
pub(super) struct Profile {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    Wrap(wrap::Wrap),
}

impl Profile {
    pub(super) fn run(self) -> anyhow::Result<Outcome> {
        let Self { what } = self;
        match what {
            What::Wrap(it) => it.run(),
        }
    }
}
