//! docs/tutorial.md, line by line: writes its files, runs its commands, and compares what they print.

use std::{fs, path::Path, sync::Arc};

use support::e2e::cluster::{self, Place, Site};

use crate::deployment::Deployment;

/// What a reader of the page does.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    /// A block of another language, after a line that ends with its name: "Save this as `pod.yaml`:".
    Write { file: String, text: String },
    /// A line after `$ ` in a block marked `console`, and the lines up to the next one.
    Run { command: String, output: String },
}

pub(crate) async fn what_the_tutorial_shows_happens(_: Arc<Deployment>) {
    let Place::Inside(site) = cluster::place(env!("CARGO_BIN_EXE_callgate")) else {
        panic!("the suite runs in a cluster")
    };
    let page = fs::read_to_string("docs/tutorial.md").expect("there is a tutorial");
    let folder = tempfile::tempdir().expect("there is room for temporary files");
    let follow = move || {
        for step in steps(&page) {
            step.take(&site, folder.path());
        }
    };
    tokio::task::spawn_blocking(follow)
        .await
        .expect("each step has the result that the page shows");
}

impl Step {
    fn take(&self, site: &Site, folder: &Path) {
        match self {
            Self::Write { file, text } => {
                fs::write(folder.join(file), text).expect("the folder is ours");
            }
            Self::Run { command, output } => {
                let printed = run(command, site, folder);
                assert!(
                    is_as_shown(&printed, output),
                    "$ {command}\n--- printed\n{printed}--- the page shows\n{output}"
                );
            }
        }
    }
}

/// What a command prints, on both of its streams; it may fail.
fn run(command: &str, site: &Site, folder: &Path) -> String {
    let output = site.bash(&format!("set -uo pipefail\n{command}"), folder).output();
    String::from_utf8_lossy(&output.expect("bash starts").stdout).into_owned()
}

/// `…` stands for any text within a line, and for any lines where it is alone.
fn is_as_shown(printed: &str, shown: &str) -> bool {
    matches(&printed.lines().collect::<Vec<_>>(), &shown.lines().collect::<Vec<_>>())
}

fn matches(printed: &[&str], shown: &[&str]) -> bool {
    match (shown, printed) {
        ([], []) => true,
        (["…", rest @ ..], _) => {
            (0..=printed.len()).any(|skipped| matches(&printed[skipped..], rest))
        }
        ([line, rest @ ..], [first, others @ ..]) => {
            line_matches(first, line) && matches(others, rest)
        }
        _ => false,
    }
}

fn line_matches(printed: &str, shown: &str) -> bool {
    let mut parts = shown.split('…');
    let Some(mut rest) = parts.next().and_then(|it| printed.strip_prefix(it)) else { return false };
    let mut parts: Vec<_> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

fn steps(page: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    let (mut before, mut lines) = ("", page.lines());
    while let Some(line) = lines.next() {
        match line.strip_prefix("```") {
            None if line.is_empty() => {}
            None => before = line,
            Some(language) => {
                let block: Vec<_> = lines.by_ref().take_while(|it| *it != "```").collect();
                if language == "console" {
                    steps.extend(commands(&block));
                } else {
                    let file = before.strip_suffix("`:").and_then(|it| it.rsplit('`').next());
                    let file =
                        file.unwrap_or_else(|| panic!("no test runs the block after {before:?}"));
                    steps
                        .push(Step::Write { file: file.to_owned(), text: block.join("\n") + "\n" });
                }
            }
        }
    }
    steps
}

fn commands(block: &[&str]) -> Vec<Step> {
    let mut all = Vec::new();
    for line in block {
        if let Some(command) = line.strip_prefix("$ ") {
            all.push(Step::Run { command: command.to_owned(), output: String::new() });
        } else if let Some(Step::Run { output, .. }) = all.last_mut() {
            output.push_str(line);
            output.push('\n');
        } else {
            panic!("a block begins with a command, not with {line:?}");
        }
    }
    all
}
