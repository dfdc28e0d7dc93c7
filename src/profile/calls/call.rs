//! The effective rules for one system call.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
};

use super::{Clash, Effect, condition::Condition};
use crate::profile::{architecture::Width, json::NodeId};

/// The rules for one call, as libseccomp keeps them: a rule without conditions
/// replaces those with conditions, before or after it (`db_col_rule_add`).
#[derive(Default)]
pub(super) struct Call {
    /// The rule without conditions, and its node.
    always: Option<(Effect, NodeId)>,
    sometimes: BTreeMap<Vec<Condition>, (Effect, NodeId)>,
    /// The sets of `sometimes` that libseccomp may have left out.
    shadowed: BTreeSet<Vec<Condition>>,
}

/// The effect of a filter on a call with given arguments.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    Certain(Effect),
    /// One of these: the order in which libseccomp compares overlapping conditions
    /// differs between its versions.
    OneOf(BTreeSet<Effect>),
}

/// What decides about a call.
pub(in crate::profile) enum Rules<'a> {
    /// The default action.
    None,
    Always(Effect),
    /// Sets of conditions, in the order of the document; without one that holds, the default action.
    Sometimes(Vec<(&'a [Condition], Effect)>),
}

/// The most sets of conditions with different effects that are evaluated.
const MOST_MIXED: usize = 16;

impl Outcome {
    /// The possible effects.
    pub fn effects(&self) -> impl Iterator<Item = Effect> {
        let (certain, others) = match self {
            Self::Certain(effect) => (Some(*effect), None),
            Self::OneOf(effects) => (None, Some(effects)),
        };
        certain.into_iter().chain(others.into_iter().flatten().copied())
    }

    /// Adds another possible effect.
    #[must_use]
    pub(in crate::profile) fn or(self, other: Effect) -> Self {
        let mut effects = match self {
            Self::Certain(effect) => BTreeSet::from([effect]),
            Self::OneOf(effects) => effects,
        };
        effects.insert(other);
        if effects.len() == 1 { Self::Certain(other) } else { Self::OneOf(effects) }
    }
}

impl Call {
    /// Adds a set of conditions and returns the clashes that this causes, each with
    /// the losing and the winning rule.
    pub(super) fn add(
        &mut self,
        set: &[Condition],
        rule: (Effect, NodeId),
        width: Width,
    ) -> Vec<(Clash, NodeId, NodeId)> {
        let (effect, node) = rule;
        if let Some((first, winner)) = self.always {
            let kind = if set.is_empty() { Clash::Overruled } else { Clash::Swallowed };
            let lost = !set.is_empty() || first != effect;
            return if lost { vec![(kind, node, winner)] } else { Vec::new() };
        }
        if set.is_empty() {
            let losers = std::mem::take(&mut self.sometimes).into_values();
            self.always = Some(rule);
            return losers.map(|(_, loser)| (Clash::Swallowed, loser, node)).collect();
        }
        let mut shorter = (1..set.len()).map(|length| &set[..length]);
        if let Some((_, winner)) = shorter.find_map(|it| self.sometimes.get(it)) {
            return vec![(Clash::Swallowed, node, *winner)];
        }
        if let Some(winner) =
            self.covering(set, effect).filter(|_| !self.sometimes.contains_key(set))
        {
            return vec![(Clash::Swallowed, node, winner)];
        }
        let (mut clashes, mut lost) = (Vec::new(), Vec::new());
        let from = (Bound::Included(set), Bound::Unbounded);
        let same_or_longer = self.sometimes.range::<[Condition], _>(from);
        for (other, (its, loser)) in same_or_longer.take_while(|it| it.0.starts_with(set)) {
            if self.covering(other, *its).is_some() {
                // libseccomp dropped it when the covering rule was added.
                lost.push(other.clone());
            } else if self.shadowed.contains(other) {
                // Both remain possible.
            } else if *its != effect {
                clashes.push((Clash::Conflicting, node, *loser));
            } else if other.as_slice() != set {
                clashes.push((Clash::Swallowed, *loser, node));
                lost.push(other.clone());
            }
        }
        for it in lost {
            self.sometimes.remove(&it);
        }
        // On 32 bits libseccomp 2.5.4 leaves a rule out if an earlier one has its last condition
        // alone, whatever their actions.
        let is_shadowed = width == Width::Bits32
            && set.len() > 1
            && set.last().is_some_and(|it| self.sometimes.contains_key(std::slice::from_ref(it)));
        if is_shadowed && !self.sometimes.contains_key(set) {
            self.shadowed.insert(set.to_vec());
        }
        self.sometimes.entry(set.to_vec()).or_insert(rule);
        clashes
    }

    /// A rule with the same effect whose conditions are a contiguous part of these:
    /// libseccomp keeps the shorter one for both.
    fn covering(&self, set: &[Condition], effect: Effect) -> Option<NodeId> {
        let runs = (1..set.len()).flat_map(|length| set.windows(length));
        let mut same = runs.filter_map(|it| self.sometimes.get(it)).filter(|it| it.0 == effect);
        same.next().map(|it| it.1)
    }

    /// The effect, and the rules that decide; without rules the default action does.
    ///
    /// `beside_irregular` says whether the filter has a call that is not
    /// [regular](Self::is_regular).
    pub(super) fn decide(
        &self,
        default: Effect,
        args: &[u64; 6],
        beside_irregular: bool,
    ) -> (Outcome, Vec<NodeId>) {
        if let Some((effect, node)) = self.always {
            return (Outcome::Certain(effect), vec![node]);
        }
        if !self.is_sure(beside_irregular) {
            let effects = self.sometimes.values().map(|it| it.0).chain([default]).collect();
            return (Outcome::OneOf(effects), distinct(self.sometimes.values().map(|it| it.1)));
        }
        let holds = |set: &&Vec<Condition>| set.iter().all(|it| it.holds(args));
        let holding = || self.sometimes.iter().filter(|it| holds(&it.0)).map(|it| *it.1);
        let effects: BTreeSet<_> = holding().map(|it| it.0).collect();
        let outcome = match effects.first() {
            None => Outcome::Certain(default),
            Some(only) if effects.len() == 1 => Outcome::Certain(*only),
            Some(_) => Outcome::OneOf(effects),
        };
        (outcome, distinct(holding().map(|it| it.1)))
    }

    pub(super) fn rules(&self) -> Rules<'_> {
        if let Some((effect, _)) = self.always {
            return Rules::Always(effect);
        }
        let mut all: Vec<_> = self.sometimes.iter().collect();
        all.sort_by_key(|(_, (_, node))| *node);
        Rules::Sometimes(all.into_iter().map(|(set, rule)| (set.as_slice(), rule.0)).collect())
    }

    /// How many sets of conditions decide.
    pub(super) fn sets(&self) -> usize {
        self.sometimes.len()
    }

    /// The conditions on which the effect depends.
    pub(super) fn conditions(&self, beside_irregular: bool) -> Vec<Condition> {
        let depends = self.always.is_none() && self.is_sure(beside_irregular);
        let all = self.sometimes.keys().filter(|_| depends).flatten().copied();
        all.collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// The effect that is the same for all arguments, and its rule, if there is one.
    pub(super) fn unconditional(&self, default: Effect) -> Option<(Effect, Option<NodeId>)> {
        let always = self.always.map(|(effect, node)| (effect, Some(node)));
        if self.sometimes.is_empty() { always.or(Some((default, None))) } else { always }
    }

    /// Whether the call may be executed with some arguments.
    pub(super) fn may_pass(&self, default: Effect) -> bool {
        if let Some((effect, _)) = self.always {
            return effect.lets_through();
        }
        let mut possible = self.sometimes.iter().filter(|it| is_possible(it.0));
        default.lets_through() || possible.any(|it| it.1.0.lets_through())
    }

    /// Whether the call may be denied with some arguments.
    pub(super) fn may_stop(&self, default: Effect) -> bool {
        if let Some((effect, _)) = self.always {
            return !effect.lets_through();
        }
        let mut possible = self.sometimes.iter().filter(|it| is_possible(it.0));
        !default.lets_through() || possible.any(|it| !it.1.0.lets_through())
    }

    /// Whether the call is certainly denied with some arguments, given that the
    /// default action denies nothing. False where that is expensive to find out.
    pub(super) fn is_stopped(&self, default: Effect, beside_irregular: bool) -> bool {
        if let Some((effect, _)) = self.always {
            return effect.stops();
        }
        let mut possible = self.sometimes.iter().filter(|it| is_possible(it.0));
        if self.sometimes.values().all(|it| it.0.stops()) {
            return possible.next().is_some();
        }
        let is_simple = self.is_sure(beside_irregular) && self.sometimes.len() <= MOST_MIXED;
        is_simple
            && possible.filter(|it| it.1.0.stops()).any(|it| {
                let args = self.example(it.0);
                matches!(self.decide(default, &args, beside_irregular).0, Outcome::Certain(it) if it.stops())
            })
    }

    /// The least and the largest number of nodes that libseccomp makes of the rules.
    pub(super) fn nodes(&self, width: Width) -> (usize, usize) {
        let of = |set: &Vec<Condition>| set.iter().map(|it| it.nodes(width)).sum::<usize>();
        if self.always.is_some() {
            return (0, 0);
        }
        let all: usize = self.sometimes.keys().map(of).sum();
        // With a mask of the upper 32 bits, libseccomp 2.5.4 may make a node that compares nothing.
        if self.sometimes.keys().any(|it| of(it) == 0) {
            return (0, all.max(1));
        }
        (self.sometimes.keys().map(of).max().unwrap_or(0), all)
    }

    /// Whether libseccomp compiles the conditions as written.
    ///
    /// It compares 64 bits by halves, in one tree for all rules of a call. Where
    /// inequalities share a branch, libseccomp 2.5.4 loses or mixes conditions for
    /// about a tenth of random sets, and does not terminate for some.
    pub(super) fn is_regular(&self) -> bool {
        let simple =
            |set: &[Condition]| matches!(set, [only] if only.is_equality() || only.is_small());
        self.is_simple() || self.sometimes.keys().all(|it| simple(it))
    }

    /// Whether the filter does with the call what its conditions say.
    ///
    /// libseccomp keeps one copy of code that looks the same, whatever comes after
    /// it (`_hsh_add` in 2.5.4). So a call that it compiles wrongly can change what
    /// becomes of another that has inequalities on the same arguments.
    fn is_sure(&self, beside_irregular: bool) -> bool {
        if beside_irregular { self.is_simple() } else { self.is_regular() }
    }

    /// Whether there is one set of conditions at most, or equalities alone.
    fn is_simple(&self) -> bool {
        self.sometimes.len() <= 1 || self.sometimes.keys().flatten().all(Condition::is_equality)
    }

    /// Arguments that meet these conditions and, as far as a greedy search finds
    /// them, no set of conditions under which the call is executed.
    fn example(&self, set: &[Condition]) -> [u64; 6] {
        let mut args = [0; 6];
        let passing = self.sometimes.iter().filter(|it| !it.1.0.stops());
        let mut passing: Vec<_> = passing.map(|it| it.0).collect();
        for index in 0..6 {
            let own = set.iter().find(|it| it.index == index);
            let of_others = passing.iter().flat_map(|it| it.iter()).filter(|it| it.index == index);
            let edges = own.into_iter().chain(of_others).flat_map(Condition::edges);
            let with = |value: u64| {
                let mut args = [0; 6];
                args[usize::try_from(index).unwrap_or_default()] = value;
                args
            };
            let fits = |value: &u64| own.is_none_or(|it| it.holds(&with(*value)));
            let left = |value: &u64| {
                let fails = |it: &Condition| it.index == index && !it.holds(&with(*value));
                passing.iter().filter(|it| !it.iter().any(fails)).count()
            };
            let best = edges.chain([0]).filter(fits).min_by_key(left).unwrap_or_default();
            passing.retain(|it| !it.iter().any(|it| it.index == index && !it.holds(&with(best))));
            args[usize::try_from(index).unwrap_or_default()] = best;
        }
        args
    }
}

fn distinct(nodes: impl Iterator<Item = NodeId>) -> Vec<NodeId> {
    nodes.collect::<BTreeSet<_>>().into_iter().collect()
}

fn is_possible(set: &[Condition]) -> bool {
    !set.iter().any(Condition::is_impossible)
}
