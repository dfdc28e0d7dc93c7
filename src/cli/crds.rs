//! `callgate crds`: prints the `CustomResourceDefinition` objects, or the JSON Schema of one kind.

use std::io::{self, Write};

use anyhow::{Context, anyhow};
use clap::Args;

use crate::{
    api,
    cli::Outcome,
    group::{NODE, POLICY, PROFILE},
};

/// Print the `CustomResourceDefinition` objects as YAML
#[derive(Args, Debug)]
pub(super) struct Crds {
    /// Print the JSON Schema (draft 7) of this kind instead, for editors and for tools that check manifests
    #[arg(long, value_name = "KIND", env = "CALLGATE_JSON_SCHEMA", value_parser = [NODE.kind, POLICY.kind, PROFILE.kind])]
    json_schema: Option<String>,
}

impl Crds {
    pub(super) fn run(self) -> anyhow::Result<Outcome> {
        let text = match self.json_schema {
            None => definitions()?,
            Some(kind) => schema(&kind)?,
        };
        io::stdout().write_all(text.as_bytes()).context("cannot write to standard output")?;
        Ok(Outcome::Success)
    }
}

fn definitions() -> anyhow::Result<String> {
    let mut text = String::from("# The output of `callgate crds`: change src/api instead.\n");
    for definition in api::definitions() {
        text.push_str("---\n");
        text.push_str(&serde_saphyr::to_string(&definition).context("cannot write YAML")?);
    }
    Ok(text)
}

fn schema(kind: &str) -> anyhow::Result<String> {
    let schema = api::definitions()
        .iter()
        .find(|it| it["spec"]["names"]["kind"] == kind)
        .and_then(api::json_schema)
        .ok_or_else(|| anyhow!("there is no definition of {kind}"))?;
    Ok(format!("{schema:#}\n"))
}
