//! The nodes that a pod can land on, and what they have of a profile.

use std::{cmp::Reverse, collections::BTreeMap, rc::Rc};

use serde::Deserialize;

use crate::{
    placement::{Eligible, FileVersion, MOST_NAMED, ProfileDistribution},
    policy::{
        Context,
        list::quoted,
        pin::{self, NodeLabel, Pinning},
    },
    profile::{Catalog, Digest, Doubt, Problem, ProfilePath},
};

/// How a policy treats the nodes that a pod can land on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum Placement {
    /// The profile is checked on these nodes.
    #[default]
    Check,
    /// The same, and pods are pinned to nodes that have the profile, if agents install it: the
    /// scheduler waits for such a node.
    Pin,
    /// Only the catalog decides.
    Ignore,
}

/// What the nodes that a pod can land on report of a profile.
#[derive(Clone)]
pub(super) struct Landing<'a> {
    distribution: Rc<ProfileDistribution<'a>>,
    /// The digest that the file must have, if agents install it.
    current: Option<Digest>,
    /// The contents of the file, the most common first.
    contents: Rc<[(Digest, usize)]>,
}

/// How many contents of one file a message lists.
const MOST_CONTENTS: usize = 2;

impl<'a> Context<'a> {
    /// What the nodes report of the profile. `None` if no node that the pod can land on has
    /// reported, or if the policy ignores the nodes: then only the catalog decides.
    pub(super) fn landing(&self, path: &ProfilePath) -> Option<Landing<'a>> {
        if self.facts.policy.placement() == Placement::Ignore {
            return None;
        }
        let known = self.landings.borrow().get(path).cloned();
        let landing = known.unwrap_or_else(|| {
            let eligible = self.eligible.get_or_init(|| self.facts.nodes.eligible(self.pod));
            let landing = Landing::of(eligible, path, self.facts.catalog);
            self.landings.borrow_mut().insert(path.clone(), landing.clone());
            landing
        });
        (landing.distribution.eligible > landing.distribution.unknown).then_some(landing)
    }

    /// The same for the nodes that the pod could land on if it tolerated every taint; `None` if no
    /// node has a file that filters nothing, since only such files matter there.
    pub(super) fn hollow_on_reachable_nodes(&self, path: &ProfilePath) -> Option<Landing<'a>> {
        if self.facts.policy.placement() == Placement::Ignore || !self.facts.nodes.may_have_hollow()
        {
            return None;
        }
        let reachable = self.reachable.get_or_init(|| self.facts.nodes.reachable(self.pod));
        Some(Landing::of(reachable, path, self.facts.catalog))
    }

    /// Whether the pod is, or can be, pinned to the nodes that have the profile; `None` if the
    /// policy does not pin.
    pub(super) fn pinning(&self, path: &ProfilePath) -> Option<Pinning> {
        let is_wanted = self.facts.policy.placement() == Placement::Pin;
        if is_wanted { self.pinning_under_pin(path) } else { None }
    }

    /// The same under a policy that pins.
    pub(super) fn pinning_under_pin(&self, path: &ProfilePath) -> Option<Pinning> {
        let is_possible = self.facts.catalog.is_managed(path) && self.is_new;
        if !is_possible {
            return None;
        }
        let label = NodeLabel::of(path, self.facts.catalog)?;
        Some(if self.is_pinnable { pin::pinning(self.pod, &label) } else { Pinning::Impossible })
    }
}

impl<'a> Landing<'a> {
    fn of(nodes: &Eligible<'a>, path: &ProfilePath, catalog: &Catalog) -> Self {
        let current = catalog.current(path);
        let distribution = nodes.distribution(path, current);
        let mut contents = BTreeMap::<Digest, usize>::new();
        for FileVersion { digest, nodes, .. } in
            distribution.found.iter().filter(|it| is_loadable(it.problem))
        {
            // An unreadable file has no digest to compare.
            if let Some(digest) = digest {
                *contents.entry(*digest).or_default() += nodes;
            }
        }
        let mut contents: Vec<_> = contents.into_iter().collect();
        contents.sort_by_key(|it| Reverse(it.1));
        Self { distribution: distribution.into(), current, contents: contents.into() }
    }

    fn count(&self, is: impl Fn(Option<Problem>) -> bool) -> usize {
        self.count_of(|it| is(it.problem))
    }

    fn count_of(&self, is: impl Fn(&FileVersion<'_>) -> bool) -> usize {
        self.distribution.found.iter().filter(|it| is(it)).map(|it| it.nodes).sum()
    }

    /// The nodes that have such a file, in words; `None` if there is none.
    fn on(&self, is: impl Fn(&FileVersion<'_>) -> bool) -> Option<String> {
        let (count, names) = (self.count_of(&is), self.names(is));
        Some(match (count, self.distribution.eligible) {
            (0, _) => return None,
            (1, 1) => format!("{names}, {}", self.of_nodes(1)),
            _ => format!("{}: {names}", self.of_nodes(count)),
        })
    }

    /// How many nodes have a file that loads, whether or not it filters.
    pub(super) fn having(&self) -> usize {
        self.count(is_loadable)
    }

    /// On how many nodes it filters nothing.
    pub(super) fn hollow(&self) -> usize {
        self.count(|it| it.is_some_and(Problem::is_hollow))
    }

    /// The names of these nodes, or of the first of them.
    pub(super) fn hollow_names(&self) -> String {
        self.names(|it| it.problem.is_some_and(Problem::is_hollow))
    }

    /// The nodes on which it filters nothing, in words; `None` if there is none.
    pub(super) fn hollow_on(&self) -> Option<String> {
        self.on(|it| it.problem.is_some_and(Problem::is_hollow))
    }

    /// The nodes on which agents have not yet installed the current version, in words.
    pub(super) fn outdated_on(&self) -> Option<String> {
        self.on(|it| self.is_outdated(it))
    }

    fn is_outdated(&self, found: &FileVersion<'_>) -> bool {
        // An unreadable file has no digest to compare.
        let pair = found.digest.zip(self.current);
        is_loadable(found.problem) && pair.is_some_and(|(there, current)| there != current)
    }

    /// On how many nodes the file has this doubt.
    pub(super) fn doubtful(&self, doubt: Doubt) -> usize {
        self.count_of(|it| it.doubt == Some(doubt))
    }

    /// On how many nodes no container runtime can load the file.
    pub(super) fn broken(&self) -> usize {
        self.count(|it| !is_loadable(it))
    }

    /// How many nodes have reported that they have no file that loads.
    pub(super) fn lacking(&self) -> usize {
        self.distribution.lacking + self.broken()
    }

    /// How many nodes have not reported.
    pub(super) fn unknown(&self) -> usize {
        self.distribution.unknown
    }

    /// Whether nodes have different contents, for a file that agents do not install.
    pub(super) fn differs(&self) -> bool {
        self.current.is_none() && self.contents.len() > 1
    }

    /// `count` of the nodes, in words.
    pub(super) fn of_nodes(&self, count: usize) -> String {
        match (count, self.distribution.eligible) {
            (1, 1) => "the only node this pod can land on".to_owned(),
            (0, all) => format!("none of the {all} nodes this pod can land on"),
            (count, all) if count == all => format!("all {all} nodes this pod can land on"),
            (count, all) => format!("{count} of the {all} nodes this pod can land on"),
        }
    }

    /// The beginning of a message about a profile that no node has.
    pub(super) fn of_none(&self, path: &str) -> String {
        let broken = self.broken();
        match (broken, self.distribution.eligible, self.distribution.lacking_names.first()) {
            (0, 1, Some(name)) => {
                format!("profile {path:?} is not on {name:?}, {}", self.of_nodes(1))
            }
            (0, ..) => format!("profile {path:?} is on {}", self.of_nodes(0)),
            (_, 1, _) => {
                let (words, node) = (self.problems(), self.of_nodes(1));
                if self.count(|it| it.is_some_and(Problem::is_of_the_runtime)) > 0 {
                    format!("no container runtime can load profile {path:?} from {node} ({words})")
                } else {
                    format!("callgate cannot judge profile {path:?} on {node} ({words})")
                }
            }
            _ => {
                let words = self.problems();
                format!(
                    "profile {path:?} can be loaded on {}: it is broken on {broken} ({words})",
                    self.of_nodes(0)
                )
            }
        }
    }

    /// Which nodes lack it, which have another version, and how many have not reported.
    pub(super) fn details(&self) -> String {
        let ProfileDistribution { unknown, lacking, lacking_names, .. } = &*self.distribution;
        let mut details = Vec::new();
        if *lacking > 0 {
            let names = quoted(lacking_names, *lacking);
            details.push(names + if *lacking == 1 { " lacks it" } else { " lack it" });
        }
        if self.broken() > 0 {
            details.push(format!("it is broken on {} ({})", self.broken(), self.problems()));
        }
        let outdated = |it: &FileVersion<'_>| self.is_outdated(it);
        match self.count_of(outdated) {
            0 => {}
            1 => details.push(self.names(outdated) + " has another version"),
            _ => details.push(self.names(outdated) + " have another version"),
        }
        if self.differs() {
            let listed = self.contents.iter().take(MOST_CONTENTS);
            details.extend(listed.map(|(it, count)| format!("{} {}", have(*count), it.short())));
            let others: usize = self.contents.iter().skip(MOST_CONTENTS).map(|it| it.1).sum();
            if others > 0 {
                details.push(format!("{} others", have(others)));
            }
        }
        if *unknown > 0 {
            details.push(format!("{unknown} {} unknown", if *unknown == 1 { "is" } else { "are" }));
        }
        details.join(", ")
    }

    /// The names of the first nodes that have such a file.
    fn names(&self, is: impl Fn(&FileVersion<'_>) -> bool) -> String {
        let found = || self.distribution.found.iter().filter(|it| is(it));
        let mut names: Vec<_> = found().flat_map(|it| it.names.iter().copied()).collect();
        names.sort_unstable();
        names.truncate(MOST_NAMED);
        quoted(&names, self.count_of(&is))
    }

    fn problems(&self) -> String {
        let problems = self.distribution.found.iter().filter_map(|it| it.problem);
        let mut words: Vec<_> =
            problems.filter(|it| !it.is_hollow()).map(Problem::as_str).collect();
        words.sort_unstable();
        words.dedup();
        words.join(", ")
    }
}

fn is_loadable(problem: Option<Problem>) -> bool {
    problem.is_none_or(Problem::is_hollow)
}

fn have(count: usize) -> String {
    format!("{count} {}", if count == 1 { "has" } else { "have" })
}
