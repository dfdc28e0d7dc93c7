//! `callgate crds`: prints the `CustomResourceDefinition` objects.

use std::io::{self, Write};

use anyhow::Context;
use clap::Args;

use crate::{api, cli::Outcome};

/// Print the `CustomResourceDefinition` objects as YAML
#[derive(Args, Debug)]
pub(super) struct Crds {}

impl Crds {
    pub(super) fn run(self) -> anyhow::Result<Outcome> {
        let Self {} = self;
        let mut text = String::from("# The output of `callgate crds`: change src/api instead.\n");
        for definition in api::definitions() {
            text.push_str("---\n");
            text.push_str(&serde_saphyr::to_string(&definition).context("cannot write YAML")?);
        }
        io::stdout().write_all(text.as_bytes()).context("cannot write to standard output")?;
        Ok(Outcome::Success)
    }
}
