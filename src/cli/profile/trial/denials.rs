//! What was denied, or would have been.

use std::collections::BTreeMap;

use confine::{Call, Waiting};

use super::calls;
use crate::{
    bpf::{Data, Program},
    cli::profile::{input::Loaded, words},
    position::Position,
    profile::{Architecture, Effect, Filter, Observed, Outcome, Reason},
    report::counted,
};

/// The most different calls that are kept.
const MOST: usize = 1000;

/// The calls that were denied, in the order in which they were seen first.
pub(super) struct Denials<'a> {
    loaded: &'a Loaded,
    filter: &'a Filter<'a>,
    /// The filter as it would be without a supervisor.
    program: Program,
    native: Architecture,
    all: Vec<Denial>,
    by_key: BTreeMap<Key, usize>,
    /// How many calls were denied.
    total: usize,
    /// How many of them are not among `all`.
    dropped: usize,
}

/// Calls with one key are shown as one.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    architecture: &'static str,
    number: u32,
    outcome: Outcome,
    reason: Reason,
    /// The arguments on which the effect depends.
    values: Vec<Option<u64>>,
}

struct Denial {
    key: Key,
    /// The first of them.
    call: String,
    observed: Observed,
    count: usize,
}

impl<'a> Denials<'a> {
    pub(super) fn new(
        loaded: &'a Loaded,
        filter: &'a Filter<'a>,
        native: Architecture,
    ) -> anyhow::Result<Self> {
        let program = Program::new(&filter.program(native, Effect::returned)?)?;
        let (all, by_key) = (Vec::new(), BTreeMap::new());
        Ok(Self { loaded, filter, program, native, all, by_key, total: 0, dropped: 0 })
    }

    /// Notes a call that is denied, and returns the error with which it fails.
    pub(super) fn note(&mut self, waiting: &Waiting<'_>) -> u16 {
        let Call { number, architecture, arguments, .. } = waiting.call;
        let returned =
            self.program.run(&Data { number, architecture, instruction_pointer: 0, arguments });
        self.total += 1;
        if let Some((architecture, number)) = self.native.of_call(architecture, number) {
            let (outcome, reason) = self.filter.explain_number(architecture, number, &arguments);
            let depends = self.filter.depends_on(architecture, number);
            let values = depends.iter().zip(arguments);
            let values = values.map(|(depends, value)| depends.then_some(value)).collect();
            let key = Key { architecture: architecture.seccomp(), number, outcome, reason, values };
            if let Some(at) = self.by_key.get(&key) {
                self.all[*at].count += 1;
            } else if self.all.len() < MOST {
                self.by_key.insert(key.clone(), self.all.len());
                let call = calls::written(waiting, architecture, number);
                let observed = Observed { architecture, number, arguments };
                self.all.push(Denial { key, call, observed, count: 1 });
            } else {
                self.dropped += 1;
            }
        } else {
            self.dropped += 1;
        }
        u16::try_from(returned & 0xffff).unwrap_or_default()
    }

    pub(super) fn report(&self, observe: bool) -> String {
        let name = self.loaded.name();
        if self.loaded.is_disabled() {
            return format!("{name} denies nothing: the runtime switches seccomp off");
        }
        let calls = match self.total {
            0 => "no call".to_owned(),
            total => counted(total, "call"),
        };
        // The kernel does not say which calls it kills or traps.
        let head = if observe {
            format!("{name} would have denied {calls}")
        } else {
            format!("{name} made {calls} fail")
        };
        if self.total == 0 {
            return head;
        }
        let mut lines = vec![format!("{head}:")];
        for it in &self.all {
            lines.push(format!("  {}", self.said(it)));
            let (places, because) = self.loaded.decided_by(&it.key.reason);
            let place = |(path, Position { line, column }): (String, Position)| {
                format!("    {name}:{line}:{column}: {path}")
            };
            lines.extend(places.into_iter().map(place));
            lines.extend(because.map(|it| format!("    {it}")));
        }
        if self.dropped > 0 {
            lines.push(format!("  and {} that are not listed", self.dropped));
        }
        lines.join("\n")
    }

    fn said(&self, it: &Denial) -> String {
        let more = if it.count > 1 { format!(" and {} more", it.count - 1) } else { String::new() };
        let is_native = it.observed.architecture == self.native;
        let of = if is_native {
            String::new()
        } else {
            format!(" of {}", words::architecture(it.observed.architecture))
        };
        format!("{}{of}{more}: {}", it.call, words::outcome(&it.key.outcome))
    }

    pub(super) fn observed(&self) -> impl Iterator<Item = &Observed> {
        self.all.iter().map(|it| &it.observed)
    }

    /// How the report calls some of the observed calls.
    pub(super) fn said_of(&self, some: &[Observed]) -> Vec<String> {
        let is_one = |it: &&Denial| some.contains(&it.observed);
        self.all.iter().filter(is_one).map(|it| it.call.clone()).collect()
    }
}
