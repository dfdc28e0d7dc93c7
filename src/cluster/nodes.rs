//! What is known about the nodes, updated with each watch event.

use std::{
    collections::{BTreeMap, BTreeSet},
    hash::{BuildHasher, RandomState},
    time::Duration,
};

use tokio::time::Instant;

use super::{
    heartbeats::Heartbeats,
    partial::{PartialNode, PartialSeccompNode},
};
use crate::{
    placement::{Node, Nodes},
    profile::ProfilePath,
    watch::Change,
};

/// The default for how long an agent may be silent: three of its refreshes, which are five minutes
/// apart, and one more minute.
const SILENT_AFTER: Duration = Duration::from_mins(16);

/// The nodes of a cluster, and what their agents report.
#[derive(Debug)]
pub(super) struct NodeStore {
    nodes: Nodes,
    there: Fingerprints<Node>,
    reporting: Fingerprints<PartialSeccompNode>,
    heartbeats: Heartbeats,
    silent_after: Duration,
    /// The profiles that at least one node has without a problem.
    paths: BTreeSet<ProfilePath>,
}

/// Fingerprints of the objects that a watch has reported: they show whether the next event of the
/// watch changes anything.
#[derive(Debug)]
struct Fingerprints<T> {
    /// A fingerprint for each name. The objects themselves are kept in `NodeStore`.
    known: BTreeMap<String, u64>,
    listed: BTreeSet<String>,
    is_complete: bool,
    keys: RandomState,
    of: fn(&T, &RandomState) -> u64,
}

/// A change to one node.
enum Step<T> {
    Put(String, T),
    Gone(String),
}

impl Default for NodeStore {
    fn default() -> Self {
        Self::new(SILENT_AFTER)
    }
}

impl NodeStore {
    pub(super) fn new(silent_after: Duration) -> Self {
        Self {
            nodes: Nodes::default(),
            there: Fingerprints::default(),
            reporting: Fingerprints::default(),
            heartbeats: Heartbeats::default(),
            silent_after,
            paths: BTreeSet::new(),
        }
    }

    pub(super) fn nodes(&self) -> &Nodes {
        &self.nodes
    }

    pub(super) fn is_complete(&self) -> bool {
        self.there.is_complete && self.reporting.is_complete
    }

    /// The profiles that at least one node has without a problem, as of the last
    /// [`refresh`](Self::refresh).
    pub(super) fn paths(&self) -> impl Iterator<Item = &ProfilePath> {
        self.paths.iter()
    }

    /// Applies a change; returns whether it changed anything.
    pub(super) fn take_node(&mut self, change: Change<PartialNode>) -> bool {
        let is_end = matches!(change, Change::End);
        let mut is_new = is_end;
        if let Change::Put(name, it) | Change::Listed(name, it) = &change
            && self.heartbeats.seen(name, it.heartbeat.as_deref())
        {
            self.nodes.set_silent(name, false);
            is_new = true;
        }
        let steps = self.there.take(change.map(|it| it.node));
        is_new |= !steps.is_empty();
        for step in steps {
            match step {
                Step::Put(name, node) => self.nodes.put(&name, node),
                Step::Gone(name) => {
                    self.nodes.gone(&name);
                    self.heartbeats.forget(&name);
                    // `Nodes::gone` has removed the report of its agent as well.
                    self.reporting.known.remove(&name);
                }
            }
        }
        is_new
    }

    /// Applies a change; returns whether it changed anything.
    pub(super) fn take_report(&mut self, change: Change<PartialSeccompNode>) -> bool {
        let is_end = matches!(change, Change::End);
        let steps = self.reporting.take(change);
        let is_new = is_end || !steps.is_empty();
        for step in steps {
            match step {
                Step::Put(name, inventory) => {
                    self.heartbeats.reported(&name);
                    self.nodes.report(&name, inventory);
                }
                Step::Gone(name) => self.nodes.report(&name, None),
            }
        }
        is_new
    }

    /// Records that the watch of the nodes is up to date as of `at`. Returns whether an agent has
    /// now been silent for too long, in which case its report no longer counts.
    pub(super) fn confirmed(&mut self, at: Instant) -> bool {
        self.heartbeats.confirmed(at);
        let silent = self.heartbeats.newly_silent(self.silent_after);
        for name in &silent {
            self.nodes.set_silent(name, true);
        }
        !silent.is_empty()
    }

    /// The nodes whose agents have sent a report and are silent now.
    pub(super) fn silent(&self) -> impl Iterator<Item = &str> {
        let is_reported = |it: &&str| self.reporting.known.contains_key(*it);
        self.heartbeats.silent().filter(is_reported)
    }

    /// Recomputes `paths` from all nodes; returns whether they differ from before.
    pub(super) fn refresh(&mut self) -> bool {
        let paths = self.nodes.paths();
        let sound = || paths.iter().filter(|(_, is_sound)| **is_sound).map(|(path, _)| *path);
        if sound().eq(&self.paths) {
            return false;
        }
        self.paths = sound().cloned().collect();
        true
    }
}

impl<T> Fingerprints<T> {
    /// The steps that a change requires. A node changes every few seconds because of heartbeats,
    /// which do not change its fingerprint and so require none.
    fn take(&mut self, change: Change<T>) -> Vec<Step<T>> {
        match change {
            Change::Begin => self.listed.clear(),
            Change::Listed(name, object) => {
                self.listed.insert(name.clone());
                return self.put(name, object);
            }
            Change::End => {
                self.is_complete = true;
                let listed = std::mem::take(&mut self.listed);
                let gone: Vec<_> =
                    self.known.keys().filter(|it| !listed.contains(*it)).cloned().collect();
                return gone.into_iter().filter_map(|it| self.gone(it)).collect();
            }
            Change::Put(name, object) => return self.put(name, object),
            Change::Gone(name) => return self.gone(name).into_iter().collect(),
        }
        Vec::new()
    }

    fn put(&mut self, name: String, object: T) -> Vec<Step<T>> {
        let fingerprint = (self.of)(&object, &self.keys);
        if self.known.insert(name.clone(), fingerprint) == Some(fingerprint) {
            return Vec::new();
        }
        vec![Step::Put(name, object)]
    }

    fn gone(&mut self, name: String) -> Option<Step<T>> {
        self.known.remove(&name).map(|_| Step::Gone(name))
    }
}

impl Default for Fingerprints<Node> {
    fn default() -> Self {
        Self::by(|Node { labels, taints, unschedulable }, keys| {
            let taints: Vec<_> = taints.iter().map(|it| (&it.key, &it.value, &it.effect)).collect();
            keys.hash_one((labels, taints, unschedulable))
        })
    }
}

impl Default for Fingerprints<PartialSeccompNode> {
    fn default() -> Self {
        Self::by(|it, keys| keys.hash_one(it.as_ref().map(|it| (&it.files, it.is_cut))))
    }
}

impl<T> Fingerprints<T> {
    fn by(of: fn(&T, &RandomState) -> u64) -> Self {
        let (known, listed) = (BTreeMap::new(), BTreeSet::new());
        Self { known, listed, is_complete: false, keys: RandomState::new(), of }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        pod::Pod,
        profile::{File, Inventory, Problem},
    };

    fn labelled(disk: &str) -> Node {
        Node { labels: BTreeMap::from([("disk".into(), disk.into())]), ..Node::default() }
    }

    fn inventory(files: &[(&str, Option<Problem>)]) -> Inventory {
        let file = |(path, problem): &(&str, Option<Problem>)| {
            (path.parse().unwrap(), File { digest: None, problem: *problem, doubt: None })
        };
        Inventory { files: files.iter().map(file).collect(), is_cut: false }
    }

    fn node(store: &mut NodeStore, name: &str, node: Node) -> bool {
        beats(store, name, node, None)
    }

    fn beats(store: &mut NodeStore, name: &str, node: Node, heartbeat: Option<&str>) -> bool {
        let heartbeat = heartbeat.map(str::to_owned);
        store.take_node(Change::Put(name.into(), PartialNode { node, heartbeat }))
    }

    fn says(store: &mut NodeStore, name: &str, it: impl Into<Option<Inventory>>) -> bool {
        store.take_report(Change::Put(name.into(), it.into()))
    }

    fn paths(store: &mut NodeStore) -> (bool, Vec<&str>) {
        (store.refresh(), store.paths().map(ProfilePath::as_str).collect())
    }

    /// How many nodes there are, how many are unknown, and how many lack `x.json`.
    fn distribution(store: &NodeStore) -> (usize, usize, usize) {
        let distribution = store.nodes().distribution(&Pod::default(), &"x.json".parse().unwrap());
        (distribution.eligible, distribution.unknown, distribution.lacking)
    }

    #[test]
    fn a_heartbeat_alone_makes_no_new_snapshot() {
        let mut store = NodeStore::default();
        assert!(node(&mut store, "a", labelled("ssd")));
        assert!(!node(&mut store, "a", labelled("ssd")));
        assert!(node(&mut store, "a", labelled("tape")));
        assert!(node(&mut store, "a", Node { unschedulable: true, ..labelled("tape") }));
        let one = |problem| inventory(&[("x.json", problem)]);
        assert!(says(&mut store, "a", one(None)));
        assert!(!says(&mut store, "a", one(None)));
        assert!(says(&mut store, "a", one(Some(Problem::Hollow))));
        assert!(says(&mut store, "a", inventory(&[])));
        assert!(says(&mut store, "a", Inventory { is_cut: true, ..inventory(&[]) }));
        assert!(says(&mut store, "a", None), "to say nothing is not to have nothing");
    }

    #[test]
    fn a_profile_is_there_as_long_as_one_node_has_it_to_run_under() {
        let mut store = NodeStore::default();
        let sound = || inventory(&[("x.json", None)]);
        says(&mut store, "a", sound());
        assert_eq!(paths(&mut store), (true, vec!["x.json"]));
        says(&mut store, "b", sound());
        says(&mut store, "a", inventory(&[("x.json", Some(Problem::Hollow))]));
        assert_eq!(paths(&mut store), (false, vec!["x.json"]));
        says(&mut store, "b", inventory(&[("y.json", None)]));
        assert_eq!(paths(&mut store), (true, vec!["y.json"]));
        store.take_report(Change::Gone("b".into()));
        assert_eq!(paths(&mut store), (true, vec![]));
    }

    #[test]
    fn a_report_counts_as_soon_as_its_node_exists() {
        let mut store = NodeStore::default();
        says(&mut store, "a", inventory(&[]));
        assert_eq!(distribution(&store), (0, 0, 0));
        node(&mut store, "a", labelled("ssd"));
        assert_eq!(distribution(&store), (1, 0, 1));
        assert!(store.take_node(Change::Gone("a".into())));
        assert!(!store.take_node(Change::Gone("a".into())));
        assert_eq!(distribution(&store), (0, 0, 0));
        node(&mut store, "a", labelled("ssd"));
        assert_eq!(distribution(&store), (1, 1, 0), "another node of that name: nobody has looked");
        assert!(says(&mut store, "a", inventory(&[])));
        assert_eq!(distribution(&store), (1, 0, 1));
        assert!(store.take_report(Change::Gone("a".into())));
        assert_eq!(distribution(&store), (1, 1, 0));
    }

    #[tokio::test]
    async fn the_files_of_a_silent_agent_are_unknown_until_its_next_heartbeat() {
        let mut store = NodeStore::new(Duration::from_mins(1));
        let mut now = Instant::now();
        store.confirmed(now);
        let mut pass = |store: &mut NodeStore| {
            let steps = (0..7).map(|_| {
                now += Duration::from_secs(10);
                store.confirmed(now)
            });
            steps.filter(|it| *it).count()
        };
        beats(&mut store, "a", labelled("ssd"), Some("10:00"));
        beats(&mut store, "b", labelled("ssd"), Some("10:00"));
        says(&mut store, "a", inventory(&[]));
        says(&mut store, "b", inventory(&[("x.json", None)]));
        assert_eq!(paths(&mut store), (true, vec!["x.json"]));
        assert_eq!(distribution(&store), (2, 0, 1));
        assert_eq!(pass(&mut store), 1, "both at once, and once");
        assert_eq!(store.silent().collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(distribution(&store), (2, 2, 0), "neither there nor missing");
        assert_eq!(paths(&mut store), (false, vec!["x.json"]), "it is known from somewhere");
        assert!(!beats(&mut store, "a", labelled("ssd"), Some("10:00")), "the same as before");
        assert!(beats(&mut store, "a", labelled("ssd"), Some("10:01")));
        assert_eq!(distribution(&store), (2, 1, 1), "what it reported counts again");
        assert!(says(&mut store, "b", inventory(&[])), "a report is a sign of life, too");
        assert_eq!(distribution(&store), (2, 0, 2));
        assert_eq!(pass(&mut store), 1);
        store.take_node(Change::Gone("a".into()));
        assert_eq!(store.silent().collect::<Vec<_>>(), ["b"]);
    }

    #[test]
    fn objects_missing_in_a_list_are_removed_at_its_end() {
        let mut store = NodeStore::default();
        node(&mut store, "a", labelled("ssd"));
        node(&mut store, "b", labelled("ssd"));
        says(&mut store, "b", inventory(&[]));
        assert_eq!(distribution(&store), (2, 1, 1));
        store.take_node(Change::Begin);
        let b = PartialNode { node: labelled("ssd"), heartbeat: None };
        store.take_node(Change::Listed("b".into(), b));
        assert_eq!(distribution(&store), (2, 1, 1), "until it ends nobody is gone");
        assert!(store.take_node(Change::End));
        assert_eq!(distribution(&store), (1, 0, 1));
        assert!(!store.is_complete());
        store.take_report(Change::Begin);
        assert!(store.take_report(Change::End));
        assert_eq!(distribution(&store), (1, 1, 0));
        assert!(store.is_complete());
    }
}
