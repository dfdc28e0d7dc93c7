//! `callgate profile wrap`: prints a profile file as a `SeccompProfile`.

use std::{
    cmp::Reverse,
    io::{self, Write},
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};

use super::input::read;
use crate::{
    cli::{
        Outcome,
        file::{is_standard_input, shown},
    },
    convert::{self, Architecture, Converted, Diagnostic, Kernel, Node, Undecided},
    position::Position,
    profile::{ObjectName, Span},
};

/// Print a profile file as a `SeccompProfile` object
///
/// Keys that only Docker and Podman know are resolved for a container without
/// capabilities, and each change is reported on standard error. A file with a
/// lint error is not printed.
#[derive(Args, Debug)]
pub(super) struct Wrap {
    /// Profile file in the format of the OCI runtime specification, Docker or Podman; `-` is standard
    /// input, and then needs --name
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// Name of the object, at most 63 lower case letters, digits, hyphens and dots; if unset, the
    /// name of the file without its extension
    #[arg(long, env = "CALLGATE_NAME", value_name = "NAME")]
    name: Option<ObjectName>,

    /// Architecture of the nodes as in their label kubernetes.io/arch, such as amd64; needed by
    /// profiles that depend on it
    #[arg(long, env = "CALLGATE_ARCH", value_name = "ARCH")]
    arch: Option<Architecture>,

    /// Oldest kernel version of the nodes, such as 5.15 or the output of `uname -r`; needed by
    /// profiles that depend on it
    #[arg(long, env = "CALLGATE_KERNEL", value_name = "VERSION")]
    kernel: Option<Kernel>,

    /// Format of the printed object
    #[arg(long, env = "CALLGATE_OUTPUT", value_name = "FORMAT", default_value = "yaml")]
    output: Output,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Output {
    Yaml,
    Json,
}

impl Wrap {
    pub(super) fn run(self) -> anyhow::Result<Outcome> {
        let Self { file, name, arch, kernel, output } = self;
        let name = name.map_or_else(|| name_of(&file), Ok)?;
        let text = read(&file)?;
        let node = Node { architecture: arch, kernel };
        let Converted { diagnostics, spec } = match convert::convert(&text, node) {
            Ok(converted) => converted,
            Err(undecided) => bail!("{}: {}", shown(&file), asks(&undecided)),
        };
        // Standard error may be closed.
        let _ = io::stderr().write_all(lines(&file, &text, diagnostics).as_bytes());
        let Some(spec) = spec else {
            return Ok(Outcome::Errors);
        };
        let object = convert::object(&name, &spec);
        let mut text = match output {
            Output::Yaml => serde_saphyr::to_string(&object).context("cannot write YAML")?,
            Output::Json => serde_json::to_string_pretty(&object).context("cannot write JSON")?,
        };
        if !text.ends_with('\n') {
            text.push('\n');
        }
        io::stdout().write_all(text.as_bytes()).context("cannot write to standard output")?;
        Ok(Outcome::Success)
    }
}

fn name_of(file: &Path) -> anyhow::Result<ObjectName> {
    if is_standard_input(file) {
        bail!("standard input has no name: give the object one by --name");
    }
    let stem = file.file_stem().unwrap_or_default().to_string_lossy();
    stem.parse().map_err(|error| anyhow::anyhow!("{error}; give it one by --name"))
}

/// The message that names the missing flags, and what depends on them.
fn asks(undecided: &Undecided) -> String {
    let Undecided { architecture, kernel } = undecided;
    let architecture = architecture.as_ref().map(|it| ("architecture", "--arch", it));
    let kernel = kernel.as_ref().map(|it| ("kernel", "--kernel", it));
    let asked: Vec<_> = architecture.into_iter().chain(kernel).collect();
    let of = asked.iter().map(|(what, _, place)| format!("{what} ({place})"));
    let by: Vec<_> = asked.iter().map(|it| it.1).collect();
    let of = of.collect::<Vec<_>>().join(" and the ");
    format!("the profile depends on the {of} of the nodes: say by {}", by.join(" and "))
}

/// The most lines that are printed; if there are more, errors come first.
const MOST_LINES: usize = 200;

fn lines(file: &Path, text: &[u8], mut diagnostics: Vec<Diagnostic>) -> String {
    let rest = diagnostics.len().saturating_sub(MOST_LINES);
    if rest > 0 {
        diagnostics.sort_by_key(|it| Reverse(it.level));
        diagnostics.truncate(MOST_LINES);
    }
    let mut lines: Vec<_> = diagnostics.iter().map(|it| line(file, text, it)).collect();
    if rest > 0 {
        lines.push(format!("{}: and {rest} more\n", shown(file)));
    }
    lines.concat()
}

/// `FILE:LINE:COLUMN: LEVEL: …`, as compilers write it.
fn line(file: &Path, text: &[u8], diagnostic: &Diagnostic) -> String {
    let Diagnostic { level, span, also, line } = diagnostic;
    let position = |it: &Span| {
        let Position { line, column } = Position::of(it.start, text);
        format!("{line}:{column}")
    };
    let file = shown(file);
    let also: Vec<_> = also.iter().take(8).map(position).collect();
    let also = if also.is_empty() { String::new() } else { format!(" (also {})", also.join(", ")) };
    format!("{file}:{}: {level}: {line}{also}\n", position(span))
}
