//! All nodes, what is on them, and which of them a pod can land on.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    Eligible, Node, ProfileDistribution,
    demand::Demand,
    interner::lookup,
    record::{Interners, NodeRecord},
};
use crate::{
    pod::Pod,
    profile::{Inventory, Problem, ProfilePath},
};

/// A snapshot of all nodes and of what is on them. A clone is cheap, so that the change of one node
/// costs nothing for the others.
///
/// Values that many nodes have in common, which are most labels and profiles, are kept once.
#[derive(Clone, Debug, Default)]
pub struct Nodes {
    pub(super) by_name: BTreeMap<Arc<str>, Arc<NodeRecord>>,
    pub(super) interners: Interners,
    /// How many values may be interned before the unused ones are removed.
    enough: usize,
}

impl Nodes {
    pub fn put(&mut self, name: &str, node: Node) {
        let attributes = self.interners.attributes(node);
        self.record(name).node = Some(attributes);
        self.sweep();
    }

    /// Removes a node and its report.
    pub fn gone(&mut self, name: &str) {
        self.by_name.remove(name);
    }

    /// Records what is on a node; `None` if that is not known. The report may arrive before the
    /// node itself, and until then no pod can land on it.
    pub fn report(&mut self, name: &str, inventory: Option<Inventory>) {
        let is_cut = inventory.as_ref().is_some_and(|it| it.is_cut);
        let files = inventory.map(|it| self.interners.files(&it));
        let record = self.record(name);
        (record.files, record.is_cut, record.is_silent) = (files, is_cut, false);
        if record.is_nothing() {
            self.by_name.remove(name);
        }
        self.sweep();
    }

    /// Records whether the agent of a node is silent. Its report then no longer counts, until it
    /// reports again or is no longer silent.
    pub fn set_silent(&mut self, name: &str, is_silent: bool) {
        if let Some(record) = self.by_name.get_mut(name) {
            Arc::make_mut(record).is_silent = is_silent;
        }
    }

    /// What the nodes that `pod` can land on report of the profile at `path`.
    pub fn distribution(&self, pod: &Pod<'_>, path: &ProfilePath) -> ProfileDistribution<'_> {
        self.eligible(pod).distribution(path, None)
    }

    /// The nodes that `pod` can land on.
    ///
    /// For a bound pod this is its node, whether the node is known or not. Taints and labels do not
    /// matter then: the pod does not pass the scheduler, and if the kubelet rejects it, it runs
    /// nowhere else.
    pub fn eligible(&self, pod: &Pod<'_>) -> Eligible<'_> {
        self.meeting(pod, &Demand::of(pod, &self.interners))
    }

    /// The nodes that `pod` can land on if it gets more tolerations.
    ///
    /// A client that may update a pod may add tolerations at any time
    /// (`validateOnlyAddedTolerations` in pkg/apis/core/validation), and our webhooks are not
    /// called for that.
    pub fn reachable(&self, pod: &Pod<'_>) -> Eligible<'_> {
        self.meeting(pod, &Demand::of(pod, &self.interners).tolerating_all())
    }

    fn meeting(&self, pod: &Pod<'_>, demand: &Demand<'_>) -> Eligible<'_> {
        let interners = &self.interners;
        let known: Vec<_> = if let Some(name) = pod.node_name() {
            self.by_name.get_key_value(name).map(named).into_iter().collect()
        } else {
            let is_met = |name: &str, it: &NodeRecord| {
                it.node.as_ref().is_some_and(|it| demand.is_met(name, it))
            };
            self.by_name.iter().filter(|(name, it)| is_met(name, it)).map(named).collect()
        };
        let reported = known.iter().filter(|it| it.1.reported().is_some()).count();
        let cut = known.iter().filter(|it| it.1.is_cut).count();
        let is_strange = pod.node_name().is_some() && known.is_empty();
        Eligible { interners, known, reported, cut, strange: usize::from(is_strange) }
    }

    /// Every path that some node has, in alphabetical order, and whether some node has the file
    /// without a problem.
    pub fn paths(&self) -> BTreeMap<&ProfilePath, bool> {
        let is_sound: Vec<_> =
            self.interners.files.values().iter().map(|it| it.problem.is_none()).collect();
        let mut sound = vec![None; self.interners.paths.len()];
        for (path, file) in
            self.by_name.values().flat_map(|it| it.files.iter().flat_map(|it| &**it))
        {
            *sound[*path as usize].get_or_insert(false) |= is_sound[*file as usize];
        }
        let paths = self.interners.paths.values().iter().zip(sound);
        paths.filter_map(|(path, sound)| Some((&**path, sound?))).collect()
    }

    /// Whether some node has the file without a problem; `None` if no node has it. Takes less time
    /// than [`paths`](Self::paths).
    pub fn find(&self, path: &ProfilePath) -> Option<bool> {
        let path = self.interners.paths.find(path);
        let rows = self.by_name.values().filter_map(|it| it.files.as_ref());
        let files = rows.filter_map(|it| Some(self.interners.files.value(lookup(it, path)?)));
        files.map(|it| it.problem.is_none()).reduce(|a, b| a || b)
    }

    /// Whether some node may have a file that filters nothing. `true` may be wrong for a while
    /// after the last such file is gone; `false` is never wrong.
    pub fn may_have_hollow(&self) -> bool {
        let mut problems = self.interners.files.values().iter().filter_map(|it| it.problem);
        problems.any(Problem::is_hollow)
    }

    fn record(&mut self, name: &str) -> &mut NodeRecord {
        Arc::make_mut(self.by_name.entry(Arc::from(name)).or_default())
    }

    fn sweep(&mut self) {
        if self.interners.len() > self.enough {
            self.interners.sweep(&mut self.by_name);
            self.enough = 2 * self.interners.len() + 1_000;
        }
    }
}

fn named<'a>((name, known): (&'a Arc<str>, &'a Arc<NodeRecord>)) -> (&'a str, &'a NodeRecord) {
    (name, known)
}
