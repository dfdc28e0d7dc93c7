//! `callgate profile diff`: compares what two profiles do.

use std::{collections::BTreeMap, fmt::Write, path::PathBuf};

use clap::Args;
use serde::Serialize;

use super::{
    input::{Input, Loaded},
    show::{Output, json, print},
    words::{self, Said, native},
};
use crate::{
    cli::Outcome,
    profile::{Architecture, Change, Filter, Region},
};

/// Compare what two profiles do, call by call
///
/// The filters are compared, not the texts: what B allows that A does not, and back, with arguments and
/// errors. The exit code is 1 if they differ.
#[derive(Args, Debug)]
pub(in crate::cli) struct Diff {
    /// Profile file or `SeccompProfile` in YAML or JSON, `-` for standard input, or the default profile of a runtime, such as
    /// containerd@2.4
    #[arg(value_name = "A")]
    from: PathBuf,

    /// Profile to compare with it
    #[arg(value_name = "B")]
    to: PathBuf,

    /// Architecture of the node as in its label kubernetes.io/arch
    #[arg(
        long,
        env = "CALLGATE_ARCH",
        value_name = "ARCH",
        default_value = "amd64",
        value_parser = native
    )]
    arch: Architecture,

    /// Exit with 1 only if B allows something that A does not
    #[arg(long, env = "CALLGATE_ONLY_TIGHTER")]
    only_tighter: bool,

    /// Format of the output
    #[arg(long, env = "CALLGATE_OUTPUT", value_name = "FORMAT", default_value = "human")]
    output: Output,
}

#[derive(Serialize)]
struct Comparison {
    from: String,
    to: String,
    node: &'static str,
    changes: Vec<Line>,
    /// Calls that depend on too much to be compared; they count as different.
    undecided: Vec<Undecided>,
}

/// Calls for which the profiles differ in the same way.
#[derive(Serialize)]
struct Line {
    #[serde(skip)]
    title: String,
    architecture: &'static str,
    /// Every call, if it is empty.
    calls: Vec<&'static str>,
    from: Vec<Said>,
    to: Vec<Said>,
    #[serde(skip)]
    says: (String, String),
    /// One of these has to hold; without any, it is so always.
    when: Vec<String>,
    /// Whether B allows what A does not.
    looser: bool,
}

#[derive(Serialize)]
struct Undecided {
    architecture: &'static str,
    call: &'static str,
}

impl Diff {
    pub(in crate::cli) fn run(self) -> anyhow::Result<Outcome> {
        let Self { from, to, arch, only_tighter, output } = self;
        let (from, to) = (Input::of(&from)?.load(arch)?, Input::of(&to)?.load(arch)?);
        let found = compare(&from, &to, arch)?;
        let text = match output {
            Output::Human => found.human(),
            Output::Json => json(&found)?,
        };
        print(&text)?;
        let differs = |it: &Line| it.looser || !only_tighter;
        let is_same = found.undecided.is_empty() && !found.changes.iter().any(differs);
        Ok(if is_same { Outcome::Success } else { Outcome::Errors })
    }
}

fn compare(from: &Loaded, to: &Loaded, native: Architecture) -> anyhow::Result<Comparison> {
    let (one, other) = (from.filter(native)?, to.filter(native)?);
    let (mut changes, mut undecided) = (Vec::new(), Vec::new());
    for architecture in native.of_programs() {
        let mut calls: Vec<(&'static str, Change)> = Vec::new();
        for call in architecture.calls() {
            match one.changes(&other, architecture, call) {
                Some(found) => calls.extend(found.into_iter().map(|it| (call, it))),
                None => undecided.push(Undecided { architecture: architecture.seccomp(), call }),
            }
        }
        changes.extend(lines(architecture, calls, [&one, &other]));
    }
    let (from, to) = (from.name().to_owned(), to.name().to_owned());
    Ok(Comparison { from, to, node: native.node(), changes, undecided })
}

/// Joins calls that differ in the same way: what gets looser first, then in the order of the calls.
fn lines(
    architecture: Architecture,
    calls: Vec<(&'static str, Change)>,
    filters: [&Filter<'_>; 2],
) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    let mut numbers = BTreeMap::new();
    let of_all = architecture.calls().count();
    for (call, change) in calls {
        let says = (words::outcome(&change.from), words::outcome(&change.to));
        let is_always = change.when.iter().any(Region::is_everything);
        let when: Vec<_> =
            change.when.iter().filter(|_| !is_always).map(ToString::to_string).collect();
        let looser = change.loosens();
        let number = *numbers.entry((says.clone(), when.clone())).or_insert(lines.len());
        if number == lines.len() {
            lines.push(Line {
                title: words::architecture(architecture),
                architecture: architecture.seccomp(),
                calls: Vec::new(),
                from: words::said(&change.from),
                to: words::said(&change.to),
                says,
                when,
                looser,
            });
        }
        lines[number].calls.push(call);
    }
    // Where only one profile lists the architecture, every call may differ.
    let one_covers = filters[0].covers(architecture) != filters[1].covers(architecture);
    for line in &mut lines {
        if one_covers && line.calls.len() == of_all {
            line.calls.clear();
        }
    }
    lines.sort_by_key(|it| !it.looser);
    lines
}

impl Comparison {
    fn human(&self) -> String {
        let Self { from, to, node, changes, undecided } = self;
        if changes.is_empty() && undecided.is_empty() {
            return format!("{from} and {to} do the same on {node} nodes\n");
        }
        let mut text = format!("{from} (A) and {to} (B) on {node} nodes\n");
        let mut title = "";
        for it in changes {
            if it.title != title {
                title = &it.title;
                write!(text, "\n{title}\n").expect("a string takes everything");
            }
            text.push_str(&it.human());
        }
        for Undecided { architecture, call } in undecided {
            writeln!(text, "  ? {call}: depends on too much to compare ({architecture})")
                .expect("a string takes everything");
        }
        text
    }
}

impl Line {
    /// `+` is what B allows and A does not, `-` what only A allows, `~` another way to deny.
    fn human(&self) -> String {
        let Self { calls, says: (from, to), when, looser, .. } = self;
        let passes = |all: &[Said]| all.iter().any(Said::lets_through);
        let sign = match (looser, passes(&self.from) && !passes(&self.to)) {
            (true, _) => '+',
            (false, true) => '-',
            (false, false) => '~',
        };
        let calls = if calls.is_empty() { "every call".to_owned() } else { calls.join(", ") };
        let when =
            if when.is_empty() { String::new() } else { format!(" if {}", when.join(", or if ")) };
        format!("  {sign} {calls}{when}: A {from}, B {to}\n")
    }
}
