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

/// All nodes and what is on them, at one moment. A clone is cheap, so that a
/// change of one node is no work for the others.
///
/// What many nodes have in common, which is most of their labels and profiles,
/// is kept once.
#[derive(Clone, Debug, Default)]
pub struct Nodes {
    pub(super) by_name: BTreeMap<Arc<str>, Arc<NodeRecord>>,
    pub(super) interners: Interners,
    /// How many interned values there may be before it is worth finding out which are
    /// still used.
    enough: usize,
}

impl Nodes {
    pub fn put(&mut self, name: &str, node: Node) {
        let attributes = self.interners.attributes(node);
        self.record(name).node = Some(attributes);
        self.sweep();
    }

    /// Forgets the node and what was reported of it.
    pub fn gone(&mut self, name: &str) {
        self.by_name.remove(name);
    }

    /// Takes down what is on a node, `None`: that nobody knows. It may come
    /// before the node itself, which until then no pod can land on.
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

    /// Whether the agent of a node is silent. What it reported then counts no
    /// longer, until it reports something or is no longer silent.
    pub fn set_silent(&mut self, name: &str, is_silent: bool) {
        if let Some(record) = self.by_name.get_mut(name) {
            Arc::make_mut(record).is_silent = is_silent;
        }
    }

    /// What the nodes that `pod` can land on say of the profile at `path`.
    pub fn distribution(&self, pod: &Pod<'_>, path: &ProfilePath) -> ProfileDistribution<'_> {
        self.eligible(pod).distribution(path, None)
    }

    /// The nodes that `pod` can land on.
    ///
    /// A pod that is bound has one such node, whether it is known or not. Neither
    /// taints nor labels matter then: the scheduler is not asked, and if the
    /// kubelet turns the pod down, it runs nowhere else.
    pub fn eligible(&self, pod: &Pod<'_>) -> Eligible<'_> {
        self.meeting(pod, &Demand::of(pod, &self.interners))
    }

    /// The nodes that `pod` can land on once it is given more tolerations.
    ///
    /// Whoever may update a pod may add some at any time
    /// (`validateOnlyAddedTolerations` in pkg/apis/core/validation), and no
    /// webhook of ours is asked about that.
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

    /// Every path that some node has, and whether it has it without a problem
    /// somewhere, in alphabetical order.
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

    /// Whether some node has the file without a problem; `None` where no node
    /// has it at all. It takes less time than [`paths`](Self::paths).
    pub fn find(&self, path: &ProfilePath) -> Option<bool> {
        let path = self.interners.paths.find(path);
        let rows = self.by_name.values().filter_map(|it| it.files.as_ref());
        let files = rows.filter_map(|it| Some(self.interners.files.value(lookup(it, path)?)));
        files.map(|it| it.problem.is_none()).reduce(|a, b| a || b)
    }

    /// Whether some node may have a file that filters nothing; where none has, it
    /// seldom says so all the same, for a while after the last is gone.
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
