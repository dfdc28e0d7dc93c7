//! One call, for every architecture, and which line decides.

use std::fmt::Write;

use serde::Serialize;

use crate::{
    cli::profile::{
        input::Loaded,
        show::process::Process,
        words::{self, Said},
    },
    position::Position,
    profile::{self, Architecture, Case as Decided, Effect, Filter, Region, is_narrow, number},
};

/// What becomes of one call.
#[derive(Serialize)]
pub(super) struct Answer {
    profile: String,
    syscall: &'static str,
    answers: Vec<Part>,
}

/// The same on one architecture, in one way in which the call can be made.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Part {
    #[serde(skip)]
    title: String,
    architecture: &'static str,
    /// The call that is made, with its arguments; the others can have any value.
    call: String,
    /// Why it is shown beside the call that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
    /// Empty, if it depends on too much.
    cases: Vec<Case>,
}

#[derive(PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Case {
    #[serde(skip)]
    says: String,
    effects: Vec<Said>,
    /// One of these has to hold; without any, it is so always.
    when: Vec<String>,
    #[serde(skip)]
    if_any: String,
    decided_by: Vec<Place>,
    #[serde(skip_serializing_if = "Option::is_none")]
    because: Option<&'static str>,
}

#[derive(PartialEq, Eq, Serialize)]
struct Place {
    path: String,
    line: usize,
    column: usize,
}

pub(super) fn answer(
    loaded: &Loaded,
    native: Architecture,
    call: &'static str,
    known: [Option<u64>; 6],
) -> anyhow::Result<Answer> {
    let filter = loaded.filter(native)?;
    let mut answers = Vec::new();
    for architecture in native.of_programs() {
        let one = |name, known, note| part(loaded, &filter, architecture, (name, known), note);
        let exists = architecture.calls().any(|it| it == call);
        if exists {
            let asked = one(call, known, None);
            let mut wide = Vec::new();
            for (index, value) in known.iter().enumerate() {
                let Some(value) = value.filter(|it| u32::try_from(*it).is_ok()) else { continue };
                let mut other = known;
                other[index] = Some(value | 1 << 32);
                if architecture.is_wide() {
                    wide.push(one(call, other, Some(upper(call, index))));
                }
            }
            wide.retain(|it: &Part| it.cases != asked.cases);
            answers.push(asked);
            answers.append(&mut wide);
        }
        if let Some((shared, selector)) = profile::multiplexed(architecture, call) {
            let mut first = [None; 6];
            first[0] = Some(selector);
            let note = format!(
                "{shared} makes the same call; its arguments are in memory, which no filter sees"
            );
            answers.push(one(shared, first, Some(note)));
        } else if !exists {
            let note = format!("there is no {call} here");
            answers.push(Part {
                title: words::architecture(architecture),
                architecture: architecture.seccomp(),
                call: call.to_owned(),
                note: Some(note),
                cases: Vec::new(),
            });
        }
    }
    Ok(Answer { profile: loaded.name().to_owned(), syscall: call, answers })
}

/// The same of a process, whose filters have no lines.
pub(super) fn of_process(
    process: &Process,
    native: Architecture,
    call: &'static str,
    known: &[Option<u64>; 6],
) -> Answer {
    let part = |architecture: Architecture| {
        let effects = process.effects(architecture, call, known);
        let exists = architecture.calls().any(|it| it == call);
        let case = |effect: Effect| Case {
            says: words::effect(effect),
            effects: words::said_of(std::iter::once(effect)),
            when: Vec::new(),
            if_any: String::new(),
            decided_by: Vec::new(),
            because: None,
        };
        Part {
            title: words::architecture(architecture),
            architecture: architecture.seccomp(),
            call: with_arguments(call, known),
            note: (!exists).then(|| format!("there is no {call} here")),
            cases: effects.into_iter().map(case).collect(),
        }
    };
    let answers = native.of_programs().into_iter().map(part).collect();
    Answer { profile: process.name.clone(), syscall: call, answers }
}

fn with_arguments(call: &str, known: &[Option<u64>; 6]) -> String {
    let arguments: Vec<_> = known
        .iter()
        .enumerate()
        .filter_map(|(index, value)| Some(format!("{index}={}", number((*value)?))))
        .collect();
    format!("{call}({})", arguments.join(", "))
}

fn upper(call: &str, index: usize) -> String {
    if is_narrow(call, u64::try_from(index).unwrap_or_default()) {
        format!(
            "the kernel reads the lower 32 bits of argument {index} of {call}, so it is the same call"
        )
    } else {
        format!("the same lower half of argument {index}, which the kernel reads as 64 bits")
    }
}

fn part(
    loaded: &Loaded,
    filter: &Filter<'_>,
    architecture: Architecture,
    (call, known): (&str, [Option<u64>; 6]),
    note: Option<String>,
) -> Part {
    let cases = filter.cases(architecture, call, &known).unwrap_or_default();
    Part {
        title: words::architecture(architecture),
        architecture: architecture.seccomp(),
        call: with_arguments(call, &known),
        note,
        cases: cases.iter().map(|it| case(loaded, it)).collect(),
    }
}

fn case(loaded: &Loaded, Decided { outcome, reason, when }: &Decided) -> Case {
    let (decided_by, because) = loaded.decided_by(reason);
    let place =
        |(path, Position { line, column }): (String, Position)| Place { path, line, column };
    let is_always = when.iter().any(Region::is_everything);
    Case {
        says: words::outcome(outcome),
        effects: words::said(outcome),
        when: when.iter().filter(|_| !is_always).map(ToString::to_string).collect(),
        if_any: words::when(when),
        decided_by: decided_by.into_iter().map(place).collect(),
        because,
    }
}

impl Answer {
    pub(super) fn human(&self) -> String {
        let mut text = String::new();
        for Part { title, call, note, cases, .. } in &self.answers {
            let mut put = |line: String| {
                writeln!(text, "{line}").expect("a string takes everything");
            };
            if let (true, Some(note)) = (cases.is_empty(), note) {
                put(format!("{title}: {note}"));
                continue;
            }
            let one = if let [only] = cases.as_slice() { Some(only) } else { None };
            match one {
                Some(only) => put(format!("{title}: {call}: {}", only.says)),
                None if cases.is_empty() => {
                    put(format!("{title}: {call}: depends on too much to show"));
                }
                None => put(format!("{title}: {call}: depends on other arguments")),
            }
            for case in cases {
                if one.is_none() {
                    put(format!("  {}{}", case.says, case.if_any));
                }
                let indent = if one.is_none() { "    " } else { "  " };
                for Place { path, line, column } in &case.decided_by {
                    put(format!("{indent}{}:{line}:{column}: {path}", self.profile));
                }
                if let Some(because) = case.because {
                    put(format!("{indent}{because}"));
                }
            }
            if let Some(note) = note {
                put(format!("  note: {note}"));
            }
        }
        text
    }
}
