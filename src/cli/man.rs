//! `callgate man`: writes the man pages, for packages.

use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, CommandFactory};

use crate::cli::{Cli, Outcome};

/// Write a man page for each command into a folder
#[derive(Args, Debug)]
pub(super) struct Man {
    folder: PathBuf,
}

impl Man {
    pub(super) fn run(self) -> anyhow::Result<Outcome> {
        let shown = self.folder.display();
        clap_mangen::generate_to(Cli::command(), &self.folder)
            .with_context(|| format!("cannot write to {shown:?}", shown = shown.to_string()))?;
        Ok(Outcome::Success)
    }
}
