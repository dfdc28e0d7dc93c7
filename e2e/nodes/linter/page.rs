//! docs/linter-truth.md.

use std::{collections::BTreeMap, fmt::Write as _, fs, process::Command};

use callgate::profile::{Finding, lint};
use support::page::{cell, row};

use super::{Judged, Start, said::Said, seen::Seen};
use crate::deployment::Deployment;

pub(super) const PATH: &str = "docs/linter-truth.md";

const HEAD: &str = "\
# What the linter says, and what a node does

A container is started under each profile of the tests and under generated ones, on a node, through the interface that the kubelet uses; what becomes of it is compared with what callgate says of the profile.
This page is generated: `UPDATE=1 cargo test --test nodes -- linter`, as root, writes it, and the test fails where the two disagree.

The program of the container makes no system call, so no profile can keep it from running once it has begun: what fails fails in the runtime.
Containers have the capabilities that containerd gives them by default, and no `allowPrivilegeEscalation: false` except where it is said.
";

const VERDICTS: &str = "
- *does not load*: the runtime refuses the profile, and no container starts.
- *does not start*, *may not start*: the profile denies `execve`, or calls that some versions of runc need; `callgate explain missing-startup-calls`.
- One profile *does not load* and runs: it has a list three times, of which Go keeps parts, and callgate rejects it on purpose (tests/profiles.yaml).
";

const HANGS: &str = "
## What hangs

`SCMP_ACT_KILL`, which is `SCMP_ACT_KILL_THREAD`, kills the thread that makes the call.
runc has several threads when it starts a container, and the others live on: so the process does not end, and runc waits for it.
If the call is one before the program could begin, the kubelet gives up after two minutes and tries again; if it is `execve`, the container counts as running, and as runc takes such a process for one that has ended, no signal gets to it: the pod can be neither used nor deleted until its process is killed on the node.
`SCMP_ACT_KILL_PROCESS` does not hang: the container fails at once.

`SCMP_ACT_NOTIFY` for a call that runc itself makes hangs, too: nothing answers it.

The table counts such containers among those that do not start. One is found by its processes, whose main thread is dead while others sleep, or after 20 seconds.
";

/// The parts of a node that the outcome depends on.
#[derive(PartialEq, Eq)]
pub(super) struct Versions(String);

impl Versions {
    pub(super) async fn of(it: &Deployment) -> Self {
        let node = it.api.get("/api/v1/nodes/node-b").await.expect_ok("the node");
        let containerd = node["status"]["nodeInfo"]["containerRuntimeVersion"].as_str();
        let containerd = containerd.unwrap_or_default().replace("containerd://", "containerd ");
        let containerd = containerd.split('+').next().unwrap_or_default().to_owned();
        let runc = Command::new("runc").arg("--version").output().expect("nodes have it");
        let said = String::from_utf8_lossy(&runc.stdout).into_owned();
        let line = |start: &str| said.lines().find_map(|it| it.strip_prefix(start)).unwrap_or("?");
        let runc = line("runc version ").split('+').next().unwrap_or_default();
        Self(format!("{containerd}, runc {runc}, libseccomp {}", line("libseccomp: ")))
    }

    fn line(&self) -> String {
        format!("\nSeen on {}: {}.\n", std::env::consts::ARCH, self.0)
    }
}

/// Whether the page is about nodes like these.
pub(super) fn written_for(versions: &Versions) -> bool {
    let path = format!("{}/{PATH}", env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(path).unwrap_or_default();
    page.is_empty() || page.contains(&versions.line())
}

pub(super) fn assert_current(page: &str) {
    support::page::assert_current(PATH, page, "cargo test --test nodes -- linter");
}

pub(super) fn text(versions: &Versions, judged: &[Judged], starts: &[Start]) -> String {
    let mut page = format!("{HEAD}{}", versions.line());
    page += "\n## In all\n\n| callgate says | profiles | what becomes of a container |\n| --- | --- | --- |\n";
    for said in Said::ALL {
        let of: Vec<_> = judged.iter().filter(|it| it.said == said).collect();
        if !of.is_empty() {
            page += &row(&[said.words().to_owned(), of.len().to_string(), deeds(&of)]);
        }
    }
    page += VERDICTS;
    page += "\n## The profiles of each lint\n\nThose of tests/lints, which a lint finds something in, or nothing.\n\n";
    page += &sources(judged, true);
    page += "\n## The other profiles\n\n";
    page += &sources(judged, false);
    page += HANGS;
    page += "\n## Why no container starts\n\nOf each lint the first profile that does not load, in the words of both.\n\n";
    page += "| lint | callgate | runtime |\n| --- | --- | --- |\n";
    page += &reasons(judged);
    page += &startup(starts);
    page
}

/// What has become of the containers, and of how many.
fn deeds(of: &[&Judged]) -> String {
    let mut counted = BTreeMap::new();
    for it in of {
        *counted.entry(it.seen.words()).or_insert(0_usize) += 1;
    }
    let words: Vec<_> =
        counted.iter().map(|(words, number)| format!("{words}: {number}")).collect();
    words.join("; ")
}

fn lint_of(source: &str) -> Option<&str> {
    source.strip_prefix("tests/lints/")?.strip_suffix(".yaml")
}

/// A row for each source and verdict: the tables of lints, or all others.
fn sources(judged: &[Judged], of_lints: bool) -> String {
    let mut rows: BTreeMap<(&str, Said), Vec<&Judged>> = BTreeMap::new();
    for it in judged.iter().filter(|it| lint_of(&it.profile.source).is_some() == of_lints) {
        rows.entry((&it.profile.source, it.said)).or_default().push(it);
    }
    let head = if of_lints { "lint" } else { "from" };
    let mut table =
        format!("| {head} | profiles | callgate says | what becomes of a container |\n");
    table += "| --- | --- | --- | --- |\n";
    for ((source, said), of) in rows {
        let name = lint_of(source).map_or(source.to_owned(), |it| format!("`{it}`"));
        table += &row(&[name, of.len().to_string(), said.words().to_owned(), deeds(&of)]);
    }
    table
}

/// A row for each lint with a profile that does not load.
fn reasons(judged: &[Judged]) -> String {
    let mut rows = BTreeMap::new();
    for it in judged.iter().filter(|it| it.said == Said::DoesNotLoad) {
        let (Some(id), Some(error)) = (lint_of(&it.profile.source), it.seen.error()) else {
            continue;
        };
        let findings = lint(&it.profile.bytes);
        let is_reason =
            |it: &&Finding| it.lint.id == id && it.message.contains("no container starts");
        let Some(ours) = findings.iter().find(is_reason) else { continue };
        rows.entry(id).or_insert_with(|| {
            let ours = ours.to_string();
            let ours = ours.trim_end_matches(&format!(" [{id}]"));
            row(&[format!("`{id}`"), cell(ours), cell(error)])
        });
    }
    rows.into_values().collect()
}

/// Those that Go's runtime makes for runc, only at some moments: a container starts or not.
const AT_MOMENTS: &[&str] = &[
    "arch_prctl",
    "brk",
    "epoll_ctl",
    "epoll_pwait",
    "exit_group",
    "futex",
    "getpid",
    "mmap",
    "mprotect",
    "nanosleep",
    "rt_sigreturn",
    "sched_yield",
    "set_tid_address",
    "sigaltstack",
    "tgkill",
];

fn startup(starts: &[Start]) -> String {
    let number = starts.len();
    let starts: Vec<_> = starts.iter().filter(|it| !AT_MOMENTS.contains(&it.call)).collect();
    let is_needed = |it: &&&Start| {
        let runs = Seen::Runs { filtered: true };
        it.seen != runs || it.seen_without_privileges != runs
    };
    let needed: Vec<_> = starts.iter().filter(is_needed).collect();
    let others: Vec<_> = starts.iter().filter(|it| !is_needed(it)).map(|it| it.call).collect();
    let mut section = format!(
        "\n## The calls of a start\n\n`missing-startup-calls` warns of {number} calls that versions of runc need. \
         A profile that denies one of them by `SCMP_ACT_ERRNO` and allows the others, and `execve`:\n\n"
    );
    section +=
        "| denied | by default | with `allowPrivilegeEscalation: false` |\n| --- | --- | --- |\n";
    let outcome = |it: &Seen| match it.error() {
        Some(error) => cell(error),
        None => it.words().to_owned(),
    };
    for it in &needed {
        let name = format!("`{}`", it.call);
        section += &row(&[name, outcome(&it.seen), outcome(&it.seen_without_privileges)]);
    }
    let listed =
        |names: &[&str]| names.iter().map(|it| format!("`{it}`")).collect::<Vec<_>>().join(", ");
    let (others, moments) = (listed(&others), listed(AT_MOMENTS));
    let _ = writeln!(section, "\nWithout these this runc starts it: {others}.");
    let _ = writeln!(section, "Go's runtime makes the others only at some moments: {moments}.");
    section
}
