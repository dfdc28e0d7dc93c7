//! Answers what callgate makes of profiles, one a line, for `e2e/oracle/filters`.

use std::io::{self, BufRead, Write};

use callgate::profile::{Architecture, Defect, Document, Effect, Hollow, Idle, Outcome, Problem};
use serde::{Deserialize, Serialize};

#[derive(Deserialize)]
struct Question {
    profile: String,
    calls: Vec<Call>,
}

#[derive(Deserialize)]
struct Call {
    arch: String,
    name: String,
    args: [u64; 6],
}

#[derive(Default, Serialize)]
struct Answer {
    /// What is wrong with it on a node like this machine, in a word.
    problem: Option<&'static str>,
    words: Option<String>,
    /// Whether it is only not certain that it stops anything.
    undecided: bool,
    /// What may become of each call: action and error number.
    effects: Vec<Vec<(&'static str, u16)>>,
}

fn main() -> io::Result<()> {
    let mut out = io::stdout().lock();
    for line in io::stdin().lock().lines() {
        let question = serde_json::from_str(&line?).expect("it is a question");
        writeln!(out, "{}", serde_json::to_string(&answer(&question)).expect("it is JSON"))?;
        out.flush()?;
    }
    Ok(())
}

fn answer(question: &Question) -> Answer {
    let native = if cfg!(target_arch = "x86_64") { "amd64" } else { "arm64" };
    let native = Architecture::of_node(native).expect("it is one of nodes");
    let bytes = question.profile.as_bytes();
    let defect = Document::inspect_on(bytes, native);
    let mut answer = Answer {
        problem: defect.as_ref().and_then(Problem::of).map(Problem::as_str),
        words: defect.as_ref().map(ToString::to_string),
        undecided: matches!(
            defect,
            Some(Defect::Hollow(Hollow::Permissive {
                idle: Some(Idle::Undecided { .. } | Idle::Lost { .. }),
                ..
            }))
        ),
        ..Answer::default()
    };
    let Ok(document) = Document::parse(bytes) else {
        return answer;
    };
    if let Some(filter) = document.filter(native) {
        let effects = question.calls.iter().map(|call| {
            let architecture = Architecture::named(&call.arch).expect("it is one");
            let all = match filter.decide(architecture, &call.name, &call.args) {
                Outcome::Certain(only) => vec![only],
                Outcome::OneOf(all) => all.into_iter().collect(),
            };
            all.into_iter().map(|it: Effect| (it.action(), it.code())).collect()
        });
        answer.effects = effects.collect();
    }
    answer
}
