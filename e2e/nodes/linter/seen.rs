//! What becomes of a container on a node.

use std::{
    io::Write,
    path::PathBuf,
    process::{Command, Stdio},
};

use serde::{Deserialize, Serialize};

/// A container to start.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Question {
    /// The path of the profile on the node.
    pub(super) profile: String,
    pub(super) no_new_privileges: bool,
}

/// As `e2e/cluster/tools/containers` says it.
#[derive(Deserialize)]
struct Answer {
    deed: String,
    why: String,
    code: i32,
    seccomp: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// containerd has not created it: its error.
    Refused(String),
    /// runc has not started it: its error.
    Failed(String),
    /// It ended before its program began.
    Ended(i32),
    Hangs(String),
    Runs {
        filtered: bool,
    },
}

/// Starts a container for each question on the node with this root directory, whose kubelet does not run.
pub(super) fn ask(
    containers: PathBuf,
    root: PathBuf,
    cgroup: &str,
    questions: &[Question],
) -> Vec<Seen> {
    let mut process = Command::new(containers)
        .arg(root)
        .arg(cgroup)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it is built with the cluster");
    let mut stdin = process.stdin.take().expect("it is piped");
    let questions = serde_json::to_vec(questions).expect("it is plain data");
    stdin.write_all(&questions).expect("it reads everything first");
    drop(stdin);
    let output = process.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{}", output.status);
    let answers: Vec<Answer> = serde_json::from_slice(&output.stdout).expect("they are answers");
    answers.into_iter().map(Seen::of).collect()
}

impl Seen {
    fn of(answer: Answer) -> Self {
        let Answer { deed, why, code, seccomp } = answer;
        match (deed.as_str(), seccomp.as_str()) {
            ("refused", _) => Self::Refused(brief(&why)),
            ("failed", _) => Self::Failed(brief(&why)),
            ("ended", _) => Self::Ended(code),
            ("hangs", _) => Self::Hangs(why),
            ("runs", "0") => Self::Runs { filtered: false },
            ("runs", "2") => Self::Runs { filtered: true },
            _ => panic!("{deed}: {why} {seccomp:?}"),
        }
    }

    /// In the words of the page.
    pub(super) fn words(&self) -> &'static str {
        match self {
            Self::Refused(_) => "containerd refuses it",
            // Which of these it is can depend on the moment.
            Self::Failed(_) | Self::Ended(_) | Self::Hangs(_) => "does not start",
            Self::Runs { filtered: false } => "runs, `Seccomp: 0`",
            Self::Runs { filtered: true } => "runs, `Seccomp: 2`",
        }
    }

    /// The error of the runtime, if it has said one.
    pub(super) fn error(&self) -> Option<&str> {
        match self {
            Self::Refused(why) | Self::Failed(why) => {
                Some(why).filter(|it| !it.is_empty()).map(String::as_str)
            }
            Self::Ended(_) | Self::Hangs(_) | Self::Runs { .. } => None,
        }
    }
}

/// What runtimes say before that.
const BEFORE: [&str; 4] = [
    "error during container init: ",
    "unable to start container process: ",
    "runc create failed: ",
    "desc = ",
];

/// The part of an error that differs from case to case.
fn brief(error: &str) -> String {
    // runc had created it, and its process ended on the way: which error that is depends on the moment.
    if error.contains("failed to start containerd task") {
        return String::new();
    }
    let cut = BEFORE.iter().find_map(|it| error.split_once(it)).map_or(error, |it| it.1);
    // containerd names the file.
    let cut = cut.split_once(".json\": ").map_or(cut, |it| it.1);
    cut.to_owned()
}
