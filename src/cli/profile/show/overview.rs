//! All calls, by what becomes of them.

use std::{collections::BTreeMap, fmt::Write};

use serde::Serialize;

use crate::{
    cli::profile::{
        input::Loaded,
        show::process::{Process, any_of},
        words::{self, Said},
    },
    profile::{Architecture, Filter, Group, Outcome, Region},
    report::counted,
};

/// What a filter does with every call.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Overview {
    #[serde(skip)]
    title: String,
    profile: String,
    node: &'static str,
    seccomp_disabled: bool,
    architectures: Vec<Part>,
}

/// The same for the programs of one architecture.
#[derive(Serialize)]
struct Part {
    #[serde(skip)]
    title: String,
    architecture: &'static str,
    /// Whether the profile has rules for it. If not, every call kills the thread.
    covered: bool,
    /// What becomes of every call, in words, if it is the same.
    #[serde(skip)]
    of_all: Option<String>,
    calls: Vec<Call>,
}

#[derive(Serialize)]
struct Call {
    name: &'static str,
    group: &'static str,
    /// Empty, if it depends on too much.
    cases: Vec<Case>,
    #[serde(skip)]
    order: Group,
    #[serde(skip)]
    outcomes: Vec<(Outcome, Vec<Region>)>,
    /// In words, if it is not known on which arguments it depends.
    #[serde(skip)]
    by_arguments: Option<String>,
}

#[derive(Serialize)]
struct Case {
    effects: Vec<Said>,
    /// One of these has to hold; without any, it is so always.
    when: Vec<String>,
}

pub(super) fn of(loaded: &Loaded, native: Architecture) -> anyhow::Result<Overview> {
    let filter = loaded.filter(native)?;
    let architectures = native.of_programs().into_iter().map(|it| part(&filter, it)).collect();
    Ok(Overview {
        title: format!("{} on {} nodes", loaded.name(), native.node()),
        profile: loaded.name().to_owned(),
        node: native.node(),
        seccomp_disabled: loaded.is_disabled(),
        architectures,
    })
}

/// The same of a process.
pub(super) fn of_process(process: &Process, native: Architecture) -> Overview {
    let call = |architecture: Architecture, name: &'static str| {
        let order = Group::of(name);
        let effects = process.effects(architecture, name, &[None; 6]);
        let (outcomes, by_arguments) = match effects.as_slice() {
            [only] => (vec![(Outcome::Certain(*only), Vec::new())], None),
            [] => (Vec::new(), None),
            all => (Vec::new(), Some(format!("{}, by its arguments", any_of(all)))),
        };
        let case = Case { effects: words::said_of(effects.into_iter()), when: Vec::new() };
        let cases = if case.effects.is_empty() { Vec::new() } else { vec![case] };
        Call { name, group: order.title, cases, order, outcomes, by_arguments }
    };
    let part = |architecture: Architecture| {
        let calls: Vec<_> = architecture.calls().map(|it| call(architecture, it)).collect();
        let killed = "kills the thread";
        let is_killed = |it: &Call| it.by_arguments.is_none() && it.says() == killed;
        let of_all = calls.iter().all(is_killed).then(|| killed.to_owned());
        let title = words::architecture(architecture);
        Part { title, architecture: architecture.seccomp(), covered: true, of_all, calls }
    };
    let count = counted(process.filters(), "filter");
    Overview {
        title: format!("{}: {count}", process.name),
        profile: process.name.clone(),
        node: native.node(),
        seccomp_disabled: process.filters() == 0,
        architectures: native.of_programs().into_iter().map(part).collect(),
    }
}

fn part(filter: &Filter<'_>, architecture: Architecture) -> Part {
    let covered = filter.covers(architecture);
    let calls = architecture.calls().filter(|_| covered).map(|name| {
        let outcomes = filter.outcomes(architecture, name).unwrap_or_default();
        let order = Group::of(name);
        let case = |(outcome, when): &(Outcome, Vec<Region>)| {
            let always = when.iter().any(Region::is_everything);
            let when = when.iter().filter(|_| !always).map(ToString::to_string).collect();
            Case { effects: words::said(outcome), when }
        };
        let cases = outcomes.iter().map(case).collect();
        Call { name, group: order.title, cases, order, outcomes, by_arguments: None }
    });
    let title = words::architecture(architecture);
    let architecture = architecture.seccomp();
    let of_all =
        (!covered).then(|| "kills the thread, since the profile does not list it".to_owned());
    Part { title, architecture, covered, of_all, calls: calls.collect() }
}

/// Of an effect with more calls, only the number in each group is shown.
const MOST_LISTED: usize = 100;
const WIDTH: usize = 100;

impl Overview {
    pub(super) fn human(&self, all: bool) -> String {
        let Self { title, seccomp_disabled, architectures, .. } = self;
        let mut text = format!("{title}\n");
        if *seccomp_disabled {
            text.push_str(
                "the profile has neither a defaultAction nor syscalls: the runtime switches seccomp off\n",
            );
        }
        for (at, part) in architectures.iter().enumerate() {
            text.push('\n');
            text.push_str(&part.human(all, architectures.first().filter(|_| at > 0)));
        }
        text
    }
}

impl Part {
    /// `first` is the node's own architecture, with which another one is compared.
    fn human(&self, all: bool, first: Option<&Self>) -> String {
        let Self { title, architecture: _, covered: _, of_all, calls } = self;
        if let Some(effect) = of_all {
            return format!("{title}: every call {effect}\n");
        }
        let mut text = format!("{title}: {}\n", counted(calls.len(), "call"));
        let mut effects: BTreeMap<(bool, &Outcome), Vec<&Call>> = BTreeMap::new();
        let mut others = Vec::new();
        for call in calls {
            match call.outcomes.as_slice() {
                [(outcome, _)] if call.by_arguments.is_none() => {
                    effects.entry((!outcome.may_pass(), outcome)).or_default().push(call);
                }
                _ => others.push(call),
            }
        }
        for ((_, outcome), calls) in effects {
            line(&mut text, &format!("  {}: {}", words::outcome(outcome), calls.len()));
            if first.is_none() {
                listed(&mut text, &calls, all || calls.len() <= MOST_LISTED);
            }
        }
        if !others.is_empty() {
            line(&mut text, &format!("  depends on arguments: {}", others.len()));
        }
        let of_first = |call: &Call| first?.calls.iter().find(|it| it.name == call.name);
        for call in others.into_iter().filter(|it| of_first(it).is_none()) {
            line(&mut text, &format!("    {}: {}", call.name, call.says()));
        }
        let is_unlike = |call: &&Call| of_first(call).is_some_and(|it| it.says() != call.says());
        for (at, call) in calls.iter().filter(is_unlike).enumerate() {
            if let (0, Some(first)) = (at, first) {
                line(&mut text, &format!("  unlike {}:", first.title));
            }
            line(&mut text, &format!("    {}: {}", call.name, call.says()));
        }
        text
    }
}

impl Call {
    /// What becomes of it, with conditions.
    fn says(&self) -> String {
        if let Some(says) = &self.by_arguments {
            return says.clone();
        }
        match self.outcomes.as_slice() {
            [] => "depends on too much to show".to_owned(),
            [(only, _)] => words::outcome(only),
            all => {
                let mut sorted: Vec<_> = all.iter().collect();
                sorted.sort_by_key(|(outcome, when)| (!outcome.may_pass(), when.len()));
                let (last, others) = sorted.split_last().expect("there are several");
                let mut parts: Vec<_> = others
                    .iter()
                    .map(|(outcome, when)| {
                        format!("{}{}", words::outcome(outcome), words::when(when))
                    })
                    .collect();
                parts.push(format!("otherwise {}", words::outcome(&last.0)));
                parts.join("; ")
            }
        }
    }
}

fn line(text: &mut String, line: &str) {
    writeln!(text, "{line}").expect("a string takes everything");
}

/// Lists the calls by group: their names, or their number.
fn listed(text: &mut String, calls: &[&Call], with_names: bool) {
    let mut groups: BTreeMap<Group, Vec<&str>> = BTreeMap::new();
    for call in calls {
        groups.entry(call.order).or_default().push(call.name);
    }
    if with_names {
        for (group, names) in groups {
            wrapped(text, &format!("    {}:", group.title), &names);
        }
    } else {
        let counts: Vec<_> = groups
            .iter()
            .map(|(group, names)| format!("{} {}", group.title, names.len()))
            .collect();
        let counts: Vec<_> = counts.iter().map(String::as_str).collect();
        wrapped(text, "   ", &counts);
    }
}

/// Words after a heading, separated by commas, in lines that are not too long.
fn wrapped(text: &mut String, heading: &str, words: &[&str]) {
    let mut current = heading.to_owned();
    for (at, word) in words.iter().enumerate() {
        let comma = if at + 1 < words.len() { "," } else { "" };
        if current.len() + word.len() + 2 > WIDTH {
            line(text, &current);
            "     ".clone_into(&mut current);
        }
        write!(current, " {word}{comma}").expect("a string takes everything");
    }
    line(text, &current);
}
