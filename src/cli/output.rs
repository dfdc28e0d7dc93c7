//! Writes a report in the formats that were asked for.

use std::{
    env, fs,
    io::{self, IsTerminal, Write},
};

use anyhow::Context;

use crate::report::{Destination, Look, Output, Report};

/// Writes each report: data to standard output or a file, nothing else.
pub(super) fn write(report: &Report<'_>, outputs: &[Output]) -> anyhow::Result<()> {
    for Output { form, destination } in outputs {
        match destination {
            Destination::Stdout => {
                let text = report.text(*form, look());
                io::stdout()
                    .write_all(text.as_bytes())
                    .context("cannot write to standard output")?;
            }
            Destination::File(path) => {
                let text = report.text(*form, Look::default());
                fs::write(path, text)
                    .with_context(|| format!("cannot write {:?}", path.display().to_string()))?;
            }
        }
    }
    Ok(())
}

/// Colours are for terminals, and for those who want them (<https://no-color.org>).
fn look() -> Look {
    let is_set = |key| env::var_os(key).is_some_and(|it| !it.is_empty());
    let is_dumb = env::var_os("TERM").is_some_and(|it| it == "dumb");
    Look { is_coloured: io::stdout().is_terminal() && !is_set("NO_COLOR") && !is_dumb }
}
