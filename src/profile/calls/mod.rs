//! Evaluates the rules of a profile by system call, as libseccomp does.
//!
//! This evaluation is the only source for whether rules conflict, whether they
//! deny anything, and what effect they have on a call. `e2e/oracle` compares it
//! with the filters that runc and libseccomp make.

mod call;
mod clash;
mod classes;
mod code;
mod condition;
mod multiplexed;
mod space;
mod upper;

pub(super) use clash::Clash;
use std::collections::{BTreeMap, BTreeSet};

use call::Call;
pub use call::Outcome;
pub(super) use call::Rules;
pub(super) use code::{IS_EQUAL, IS_GREATER_OR_EQUAL, LOAD, Layout, RETURN, guarded, plain};
pub(super) use condition::Condition;
pub(super) use multiplexed::shared;
pub(super) use space::Space;
pub(crate) use space::{Region, number};
pub(super) use upper::Search;

use crate::profile::{
    action::{Action, Effect, Operator},
    architecture::{Architecture, Width},
    document::{Arg, Document, Spanned, Syscall},
    json::NodeId,
    syscalls,
};

/// The most rules that are evaluated, counted by system call and set of conditions:
/// each takes an instruction at least, and the kernel takes no filter of more
/// (`BPF_MAXINSNS`).
pub(super) const MOST_RULES: usize = 4096;

/// The most conflicts that are kept. libseccomp stops at the first.
const MOST_CONFLICTS: usize = 100;

/// The rules of a profile by system call.
pub(super) struct Calls<'a> {
    default: Option<Effect>,
    by_name: BTreeMap<&'a str, Call>,
    /// Calls that the architecture lacks, if libseccomp makes rules for them.
    missing: BTreeMap<&'a str, Call>,
    /// Whether some versions of libseccomp lose all rules because of a missing call.
    lost: Lost<'a>,
    /// Whether there are more than [`MOST_RULES`]; the others are left out.
    is_cut: bool,
    /// Whether libseccomp may compile the conditions of some call otherwise than
    /// they are written. Then it may mix code of that call into others.
    has_irregular: bool,
    /// The losing and the winning rule of each clash, with their calls.
    clashes: BTreeMap<(Clash, NodeId, NodeId), Vec<&'a str>>,
}

/// Whether libseccomp may lose all rules, and because of which call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lost<'a> {
    No,
    /// The table of calls lacks the architecture.
    Unknown,
    For(&'a str),
}

impl<'a> Calls<'a> {
    /// Evaluates for a 64-bit architecture that has every call.
    pub(super) fn of(document: &'a Document) -> Self {
        let mut calls = Self::new(document, Width::Bits64, |call| vec![(call, None)]);
        calls.has_irregular = calls.any_is_irregular();
        calls
    }

    /// Evaluates for this architecture.
    pub(super) fn on(document: &'a Document, architecture: Architecture) -> Self {
        let ways = |call| multiplexed::ways(architecture, call);
        let mut calls = Self::new(document, architecture.width(), ways);
        if architecture.multiplexes() {
            // libseccomp makes no rules for missing calls there.
            let missing = std::mem::take(&mut calls.missing);
            calls.clashes.retain(|_, names| {
                names.retain(|it| !missing.contains_key(it));
                !names.is_empty()
            });
        }
        calls.lost = calls.lost_on(document, architecture);
        calls.has_irregular = calls.any_is_irregular();
        calls
    }

    /// libseccomp 2.5.4 reads the number of the call in the code for the call
    /// that it takes to be the cheapest, and leaves that code out if the
    /// architecture does not have the call (`_gen_bpf_syscalls`): then it
    /// compares something else with all numbers.
    fn lost_on(&self, document: &Document, architecture: Architecture) -> Lost<'a> {
        let x32 = document.architectures.iter().any(|it| it.as_str() == "SCMP_ARCH_X32");
        let is_x86_64 = architecture.seccomp() == "SCMP_ARCH_X86_64";
        // Here libseccomp always reads the number, or makes no rules for missing calls.
        if is_x86_64 && !x32 || architecture.multiplexes() || self.by_name.is_empty() {
            return Lost::No;
        }
        if architecture.column().is_none() {
            return Lost::Unknown;
        }
        // One program is made for both, and the shorter code is that of x32.
        let width = if is_x86_64 { Width::Bits32 } else { architecture.width() };
        let nodes = |calls: &BTreeMap<&'a str, Call>, name| {
            calls.get(name).map_or((0, 0), |it: &Call| it.nodes(width))
        };
        let cheapest = self.by_name.keys().map(|it| nodes(&self.by_name, it).1).min();
        let missing = self.missing.keys().min_by_key(|it| nodes(&self.missing, it).0);
        match missing {
            Some(it) if Some(nodes(&self.missing, it).0) < cheapest => Lost::For(it),
            _ => Lost::No,
        }
    }

    /// `ways` returns the calls through which a call can be made, each with its
    /// first argument.
    fn new(
        document: &'a Document,
        width: Width,
        ways: impl Fn(&'a str) -> Vec<(&'a str, Option<u64>)>,
    ) -> Self {
        let errno = |it: &Option<Spanned<u64>>| it.as_ref().map(|it| it.it);
        let default = Action::parse(&document.default_action);
        let default = default.map(|it| Effect::of(it, errno(&document.default_errno)));
        let (by_name, clashes) = (BTreeMap::new(), BTreeMap::new());
        let (missing, lost) = (BTreeMap::new(), Lost::No);
        let (is_cut, has_irregular) = (false, false);
        let mut calls = Self { default, by_name, missing, lost, is_cut, has_irregular, clashes };
        let mut left = MOST_RULES;
        for rule in &document.syscalls {
            let Some(action) = Action::parse(&rule.action) else {
                continue;
            };
            let effect = Effect::of(action, errno(&rule.errno));
            let Some(sets) = alternatives(&rule.args, width) else {
                continue;
            };
            // runc skips rules with the default action and unknown names.
            if default != Some(effect) {
                let names = rule.names.iter().map(|it| it.as_str());
                // The same rule once more for the same call changes nothing.
                let mut seen = BTreeSet::new();
                for name in names.filter(|it| syscalls::exists(it) && seen.insert(*it)) {
                    let Some(rest) = left.checked_sub(sets.len()) else {
                        calls.is_cut = true;
                        return calls;
                    };
                    left = rest;
                    let ways = ways(name);
                    for (name, first) in &ways {
                        calls.add(
                            name,
                            &with_first(&sets, *first, width),
                            (effect, rule.node),
                            width,
                        );
                    }
                    if ways.is_empty() {
                        calls.add_missing(name, &sets, (effect, rule.node), width);
                    }
                    if calls.clashes(Clash::Conflicting).take(MOST_CONFLICTS).count()
                        == MOST_CONFLICTS
                    {
                        return calls;
                    }
                }
            }
        }
        calls
    }

    fn any_is_irregular(&self) -> bool {
        self.by_name.values().chain(self.missing.values()).any(|it| !it.is_regular())
    }

    /// Whether some rules were left out, as there are too many.
    pub(super) fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// The default action.
    pub(super) fn default(&self) -> Option<Effect> {
        self.default
    }

    /// The effect on a call with any arguments, and its rule; `None` if the effect
    /// depends on the arguments.
    pub(super) fn outcome(&self, name: &str) -> Option<(Effect, Option<NodeId>)> {
        let default = self.default?;
        self.by_name.get(name).map_or(Some((default, None)), |it| it.unconditional(default))
    }

    /// The effect on a call with these arguments, and the rules that decide, if it is not the default
    /// action.
    pub(super) fn decide(&self, name: &str, args: &[u64; 6]) -> Option<(Outcome, Vec<NodeId>)> {
        let default = self.default?;
        let certain = || (Outcome::Certain(default), Vec::new());
        let (outcome, rules) = self
            .by_name
            .get(name)
            .map_or_else(certain, |it| it.decide(default, args, self.has_irregular));
        Some((if self.lost == Lost::No { outcome } else { outcome.or(default) }, rules))
    }

    /// The rules for a call.
    pub(super) fn rules(&self, name: &str) -> Rules<'_> {
        self.by_name.get(name).map_or(Rules::None, Call::rules)
    }

    /// How many sets of conditions decide about a call.
    pub(super) fn sets(&self, name: &str) -> usize {
        self.by_name.get(name).map_or(0, Call::sets)
    }

    /// The conditions on which the effect on a call depends.
    pub(super) fn conditions(&self, name: &str) -> Vec<Condition> {
        self.by_name.get(name).map(|it| it.conditions(self.has_irregular)).unwrap_or_default()
    }

    /// The missing call because of which some versions of libseccomp may lose
    /// all rules.
    pub(super) fn lost_for(&self) -> Option<&'a str> {
        if let Lost::For(call) = self.lost { Some(call) } else { None }
    }

    /// Whether the call may be executed with some arguments.
    pub(super) fn may_pass(&self, name: &str) -> bool {
        let Some(default) = self.default else {
            return false;
        };
        self.by_name.get(name).map_or(default.lets_through(), |it| it.may_pass(default))
    }

    /// Whether the call may be denied with some arguments.
    pub(super) fn may_stop(&self, name: &str) -> bool {
        self.default.is_some_and(|default| {
            self.by_name.get(name).map_or(!default.lets_through(), |it| it.may_stop(default))
        })
    }

    /// Whether some call is certainly denied, at least with some arguments.
    pub(super) fn stop_something(&self) -> bool {
        let Some(default) = self.default else {
            return false;
        };
        let is_sure = self.lost == Lost::No;
        default.stops()
            || is_sure && self.by_name.values().any(|it| it.is_stopped(default, self.has_irregular))
    }

    /// The clashes of one kind: the losing rule, the winning rule, and their calls.
    pub(super) fn clashes(
        &self,
        kind: Clash,
    ) -> impl Iterator<Item = (NodeId, NodeId, &[&'a str])> {
        let first = NodeId::default();
        let all = self.clashes.range((kind, first, first)..).take_while(move |it| it.0.0 == kind);
        all.map(|((_, loser, winner), names)| (*loser, *winner, names.as_slice()))
    }

    fn add(
        &mut self,
        name: &'a str,
        sets: &[Vec<Condition>],
        rule: (Effect, NodeId),
        width: Width,
    ) {
        let call = self.by_name.entry(name).or_default();
        for clash in sets.iter().flat_map(|it| call.add(it, rule, width)) {
            self.clashes.entry(clash).or_default().push(name);
        }
    }

    /// Rules for a call that the architecture lacks can still conflict.
    fn add_missing(
        &mut self,
        name: &'a str,
        sets: &[Vec<Condition>],
        rule: (Effect, NodeId),
        width: Width,
    ) {
        let call = self.missing.entry(name).or_default();
        for clash in sets.iter().flat_map(|it| call.add(it, rule, width)) {
            if clash.0 == Clash::Conflicting {
                self.clashes.entry(clash).or_default().push(name);
            }
        }
    }
}

/// The alternative sets of conditions of a rule. A rule is one set, unless it has
/// two conditions on one argument: then each condition is a set. `None` if runc
/// rejects a condition.
fn alternatives(args: &[Spanned<Arg>], width: Width) -> Option<Vec<Vec<Condition>>> {
    let condition = |it: &Spanned<Arg>| {
        let operator = Operator::parse(&it.op).filter(|_| *it.index <= 5)?;
        Some((*it.index, Condition::of(it, operator, width)))
    };
    let all: Vec<_> = args.iter().map(condition).collect::<Option<_>>()?;
    let mut sorted = all.clone();
    sorted.sort_unstable();
    if sorted.windows(2).any(|it| it[0].0 == it[1].0) {
        // Their order decides where one of them always holds.
        return Some(all.into_iter().map(|it| it.1.into_iter().collect()).collect());
    }
    Some(vec![sorted.into_iter().filter_map(|it| it.1).collect()])
}

/// Replaces the conditions on the first argument.
fn with_first(sets: &[Vec<Condition>], first: Option<u64>, width: Width) -> Vec<Vec<Condition>> {
    let Some(value) = first else {
        return sets.to_vec();
    };
    let own = Condition::equals(0, value, width);
    let rest =
        |set: &[Condition]| -> Vec<_> { set.iter().filter(|it| it.index != 0).copied().collect() };
    sets.iter().map(|it| [vec![own], rest(it)].concat()).collect()
}

/// Whether a rule can hold with some arguments.
pub(super) fn can_hold(rule: &Syscall, width: Width) -> bool {
    let sets = alternatives(&rule.args, width).unwrap_or_default();
    sets.iter().any(|it| !it.iter().any(Condition::is_impossible))
}
