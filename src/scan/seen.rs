//! What was seen of containers on nodes: those that run without a filter, by the kernel, and what filters
//! denied.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::value::RawValue;

use super::denied::{DenialTotals, Denied, SeenDenial};
use crate::{
    denials::Denials,
    witness::{Containers, Unfiltered},
};

/// How many containers of one namespace are kept.
const MOST: usize = 100;

/// What agents report of the containers on their nodes.
#[derive(Debug, Default)]
pub struct Seen {
    totals: SeenTotals,
    by_namespace: BTreeMap<String, Vec<SeenContainer>>,
    denied: Denied,
}

/// The containers of all nodes that report them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SeenTotals {
    pub nodes: usize,
    pub filter: usize,
    pub none: usize,
    pub strict: usize,
    pub unknown: usize,
    /// How many of `none` no agent had room to name.
    pub unlisted: usize,
}

/// A container that runs without a filter, and what its pod declares.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SeenContainer {
    pub node: String,
    #[serde(flatten)]
    pub container: Unfiltered,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Status<'a> {
    #[serde(borrow)]
    containers: Option<&'a RawValue>,
    #[serde(borrow)]
    denials: Option<&'a RawValue>,
}

/// What cannot be read says nothing.
fn read<T: DeserializeOwned>(text: Option<&RawValue>) -> Option<T> {
    serde_json::from_str(text?.get()).ok()
}

impl Seen {
    /// Takes the status of the `SeccompNode` of that name. One that cannot be read says nothing.
    pub fn take(&mut self, node: &str, status: &str) {
        let Status { containers, denials } = serde_json::from_str(status).unwrap_or_default();
        if let Some(it) = read::<Denials>(denials) {
            self.denied.take(node, it);
        }
        let Some(containers) = read::<Containers>(containers) else { return };
        let Containers { filter, none, strict, unknown, unfiltered, unlisted } = containers;
        let totals = &mut self.totals;
        totals.nodes += 1;
        totals.filter += filter;
        totals.none += none;
        totals.strict += strict;
        totals.unknown += unknown;
        totals.unlisted += unlisted.unwrap_or_default();
        for container in unfiltered {
            let all = self.by_namespace.entry(container.place.namespace.clone()).or_default();
            all.push(SeenContainer { node: node.to_owned(), container });
            if all.len() > 2 * MOST {
                totals.unlisted += cut(all);
            }
        }
    }

    /// The totals; `None` if no agent looks at containers.
    pub(super) fn totals(&self) -> Option<SeenTotals> {
        (self.totals.nodes > 0).then_some(self.totals)
    }

    /// The calls that were denied; `None` if no node reports any.
    pub(super) fn denials(&self) -> Option<DenialTotals> {
        self.denied.totals()
    }

    /// The calls that were denied in a namespace, the latest first.
    pub(super) fn denied_in(&self, name: &str) -> Vec<SeenDenial> {
        self.denied.in_namespace(name)
    }

    /// The UIDs of the pods that have one of these containers.
    pub(super) fn uids(&self) -> BTreeSet<&str> {
        self.by_namespace.values().flatten().map(|it| &*it.container.place.uid).collect()
    }

    /// The containers of a namespace, those whose pod declares a filter first. Without those of pods
    /// that are gone.
    pub(super) fn in_namespace(&self, name: &str, pods: &BTreeSet<&str>) -> Vec<SeenContainer> {
        let all = self.by_namespace.get(name).into_iter().flatten();
        let mut all: Vec<_> =
            all.filter(|it| pods.contains(&*it.container.place.uid)).cloned().collect();
        cut(&mut all);
        all
    }
}

/// Puts contradictions first, and drops what there is no room for; returns how many.
fn cut(all: &mut Vec<SeenContainer>) -> usize {
    all.sort_by_key(|it| !it.is_contradiction());
    let more = all.len().saturating_sub(MOST);
    all.truncate(MOST);
    more
}

impl SeenContainer {
    /// Whether its pod declares a filter.
    pub fn is_contradiction(&self) -> bool {
        self.container.place.declared.asks_for_a_filter()
    }
}
