//! `callgate profile lint`: finds mistakes in profiles.

use std::{path::PathBuf, sync::Arc};

use anyhow::bail;
use clap::{Args, ValueEnum};

use super::{input::Input, words::native};
use crate::{
    check::of_lint,
    cli::{Outcome, output::write},
    convert,
    profile::{self, Architecture, Finding, SourceLocation, Target},
    report::{Checked, Diagnostic, Output, Place, Report, Severity, Source},
};

/// Find mistakes in profiles
///
/// The same lints run when a `SeccompProfile` is written; `callgate explain LINT` says more about one.
/// The exit code is 1 if there is an error.
#[derive(Args, Debug)]
pub(in crate::cli) struct Lint {
    /// Profile files or `SeccompProfile` objects in YAML or JSON, `-` for standard input, or default profiles of runtimes, such as
    /// containerd@2.4
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,

    /// Architecture of the nodes as in their label kubernetes.io/arch; if unset, any
    #[arg(long, env = "CALLGATE_ARCH", value_name = "ARCH", value_parser = native)]
    arch: Option<Architecture>,

    /// Runtime of the nodes: CRI-O itself resolves the keys of Docker and Podman, which containerd drops
    #[arg(long, env = "CALLGATE_RUNTIME", value_name = "RUNTIME", default_value = "containerd")]
    runtime: Runtime,

    /// Version of libseccomp on the nodes, such as 2.5.4; if unset, any
    #[arg(long, env = "CALLGATE_LIBSECCOMP", value_name = "VERSION", value_parser = version)]
    libseccomp: Option<[u32; 3]>,

    /// Least severity with which the command fails
    #[arg(long, env = "CALLGATE_FAIL_ON", value_name = "SEVERITY", default_value = "error")]
    fail_on: FailOn,

    /// Format of the report, or the format and a file: human, json, sarif, junit, github or gitlab
    #[arg(
        long,
        env = "CALLGATE_OUTPUT",
        value_name = "FORMAT[=FILE]",
        default_value = "human",
        value_delimiter = ','
    )]
    output: Vec<Output>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Runtime {
    Containerd,
    #[value(name = "cri-o")]
    CriO,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum FailOn {
    Error,
    Warning,
    Never,
}

fn version(text: &str) -> Result<[u32; 3], String> {
    let parts: Option<Vec<u32>> = text.split('.').map(|it| it.parse().ok()).collect();
    match parts.as_deref() {
        Some([major, minor]) => Ok([*major, *minor, 0]),
        Some([major, minor, micro]) => Ok([*major, *minor, *micro]),
        _ => Err("expected a version such as 2.5.4".to_owned()),
    }
}

impl Lint {
    pub(in crate::cli) fn run(self) -> anyhow::Result<Outcome> {
        let Self { files, arch, runtime, libseccomp, fail_on, output } = self;
        if let Err(why) = Output::check(&output) {
            bail!("--output: {why}");
        }
        let target = Target { architecture: arch, libseccomp, resolves_keys: false };
        // What cannot be read does not keep the others from being linted.
        let (mut checked, mut unread) = (Vec::new(), Vec::new());
        for file in &files {
            let of_file = |all: Vec<Input>| {
                all.iter().map(|it| check(it, runtime, &target)).collect::<Result<Vec<_>, _>>()
            };
            match Input::all(file).and_then(of_file) {
                Ok(all) => checked.extend(all),
                Err(error) => unread.push(format!("{error:#}")),
            }
        }
        let fail_on = match fail_on {
            FailOn::Error => Some(Severity::Error),
            FailOn::Warning => Some(Severity::Warning),
            FailOn::Never => None,
        };
        let report = Report { command: "callgate profile lint", checked: &checked, fail_on };
        write(&report, &output)?;
        match unread.as_slice() {
            [] if report.is_failure() => Ok(Outcome::Errors),
            [] => Ok(Outcome::Success),
            all => bail!("{}", all.join("\nerror: ")),
        }
    }
}

fn check(input: &Input, runtime: Runtime, target: &Target) -> anyhow::Result<Checked> {
    let Input { name, text, .. } = input;
    let found = match (input.object(), runtime) {
        // It has no keys of Docker and Podman.
        (Some(object), _) => object.profile.findings_for(target),
        (None, Runtime::Containerd) => profile::lint_for(text, target),
        (None, Runtime::CriO) => match convert::lint_resolved(text, target) {
            Ok(found) => found,
            Err(_) => {
                bail!("{name}: the profile depends on the architecture of the nodes: say by --arch")
            }
        },
    };
    let profile = input.object().map_or("profile", |it| it.name.as_str());
    let source = Source::new(name.as_str(), text);
    let found = found.iter().map(|it| diagnostic(it, &source)).collect();
    Ok(Checked { file: Arc::clone(source.name()), name: profile.to_owned(), found })
}

fn diagnostic(found: &Finding, source: &Source<'_>) -> Diagnostic {
    let Finding { lint, location, also, message, hint } = found;
    let (severity, topic) = of_lint(lint);
    let place = match location.span {
        Some(span) => source.place(span.start..span.end),
        None => Place::of_file(Arc::clone(source.name())),
    };
    Diagnostic {
        field: location.path.clone(),
        help: hint.iter().cloned().collect(),
        notes: also_at(also, source).into_iter().collect(),
        ..Diagnostic::new(severity, topic, title(found, message), place)
    }
}

/// The message, after the path that it is about.
fn title(found: &Finding, message: &str) -> String {
    let path = &found.location.path;
    if path.is_empty() { message.to_owned() } else { format!("{path}: {message}") }
}

/// The most other places that are named.
const MOST_PLACES: usize = 8;

fn also_at(also: &[SourceLocation], source: &Source<'_>) -> Option<String> {
    let place = |it: &SourceLocation| {
        let at = source.position(it.span?.start);
        Some(format!("{} at {}:{}", it.path, at.line, at.column))
    };
    let mut places: Vec<_> = also.iter().filter_map(place).take(MOST_PLACES).collect();
    if also.len() > MOST_PLACES {
        places.push(format!("{} more", also.len() - MOST_PLACES));
    }
    (!places.is_empty()).then(|| format!("also {}", places.join(", ")))
}
