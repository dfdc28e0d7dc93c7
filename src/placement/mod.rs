//! Where a pod can land, and what it finds there.

mod demand;
mod interner;
mod record;
mod toleration;

use std::{cmp::Reverse, collections::BTreeMap, sync::Arc};

use crate::{
    placement::{
        demand::Demand,
        interner::{UNKNOWN_ID, lookup},
        record::{Interners, NodeRecord},
    },
    pod::Pod,
    profile::{Digest, Doubt, File, Inventory, Problem, ProfilePath},
};

pub use demand::MOST_REQUIREMENTS;

/// How many nodes a message names.
pub const MOST_NAMED: usize = 3;

/// What the scheduler looks at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Node {
    pub labels: BTreeMap<String, String>,
    pub taints: Vec<Taint>,
    /// Cordoned.
    pub unschedulable: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Taint {
    pub key: String,
    pub value: String,
    pub effect: String,
}

/// All nodes and what is on them, at one moment. A clone is cheap, so that a
/// change of one node is no work for the others.
///
/// What many nodes have in common, which is most of their labels and profiles,
/// is kept once.
#[derive(Clone, Debug, Default)]
pub struct Nodes {
    by_name: BTreeMap<Arc<str>, Arc<NodeRecord>>,
    interners: Interners,
    /// How many interned values there may be before it is worth finding out which are
    /// still used.
    enough: usize,
}

/// The nodes that one pod can land on, to be asked about each of its profiles.
#[derive(Clone, Debug)]
pub struct Eligible<'a> {
    interners: &'a Interners,
    /// In alphabetical order.
    known: Vec<(&'a str, &'a NodeRecord)>,
    /// Of how many an agent has reported.
    reported: usize,
    /// Of how many an agent has reported some files and not all.
    cut: usize,
    /// How many there are besides, of which not even the name is known.
    strange: usize,
}

/// What the nodes on which a pod can land say of one profile.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProfileDistribution<'a> {
    /// How many nodes the pod can land on.
    pub eligible: usize,
    /// Of these, on how many nobody has reported what is there, or more than is listed.
    pub unknown: usize,
    /// Of these, how many have said that the file is not there.
    pub lacking: usize,
    /// The first of those that lack it, [`MOST_NAMED`] at most, in alphabetical order.
    pub lacking_names: Vec<&'a str>,
    /// What the others have at that path, the most common first; what is equally
    /// common, in the order of the nodes.
    pub found: Vec<Found<'a>>,
}

/// One content of a file, and on how many of the nodes it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found<'a> {
    pub digest: Option<Digest>,
    pub problem: Option<Problem>,
    pub doubt: Option<Doubt>,
    pub nodes: usize,
    /// The first of these nodes, [`MOST_NAMED`] at most, in alphabetical order.
    pub names: Vec<&'a str>,
}

// === impl Nodes ===

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

// === impl Eligible ===

impl<'a> Eligible<'a> {
    /// The names that are known, in alphabetical order.
    pub fn names(&self) -> impl Iterator<Item = &'a str> {
        self.known.iter().map(|it| it.0)
    }

    /// What these nodes say of the profile at `path`. Where no node at all has
    /// such a file, none is looked at: a pod may name thousands of profiles.
    ///
    /// Where a list was cut, what is not in it may be there all the same. Such a
    /// node's label says so of a profile that its agent has installed, if it
    /// bears the digest `current`.
    pub fn distribution(
        &self,
        path: &ProfilePath,
        current: Option<Digest>,
    ) -> ProfileDistribution<'a> {
        let label = path.node_label().zip(current).filter(|_| self.cut > 0);
        let label = label.map(|(key, digest)| {
            (self.interners.texts.find(&*key), self.interners.texts.find(&*digest.short()))
        });
        let path = self.interners.paths.find(path);
        let mut distribution = ProfileDistribution {
            eligible: self.known.len() + self.strange,
            unknown: self.known.len() + self.strange - self.reported,
            lacking: self.reported,
            ..ProfileDistribution::default()
        };
        let reported = self.known.iter().filter_map(|it| Some((it.0, it.1, it.1.reported()?)));
        if path == UNKNOWN_ID && self.cut == 0 {
            distribution.lacking_names = reported.map(|it| it.0).take(MOST_NAMED).collect();
            return distribution;
        }
        let mut positions = BTreeMap::new();
        let mut labelled = Found::of(&File { digest: current, ..File::default() });
        for (name, record, files) in reported {
            let Some(number) = lookup(files, path) else {
                if record.is_cut {
                    distribution.lacking -= 1;
                    if label.is_some_and(|it| record.is_labelled(it)) {
                        labelled.add(name);
                    } else {
                        distribution.unknown += 1;
                    }
                } else if distribution.lacking_names.len() < MOST_NAMED {
                    distribution.lacking_names.push(name);
                }
                continue;
            };
            let position = *positions.entry(number).or_insert_with(|| {
                distribution.found.push(Found::of(self.interners.files.value(number)));
                distribution.found.len() - 1
            });
            distribution.found[position].add(name);
            distribution.lacking -= 1;
        }
        if labelled.nodes > 0 {
            distribution.found.push(labelled);
        }
        distribution.found.sort_by_key(|it| Reverse(it.nodes));
        distribution
    }
}

// === impl Found ===

impl<'a> Found<'a> {
    fn of(file: &File) -> Self {
        let File { digest, problem, doubt } = *file;
        Self { digest, problem, doubt, nodes: 0, names: Vec::new() }
    }

    fn add(&mut self, name: &'a str) {
        self.nodes += 1;
        if self.names.len() < MOST_NAMED {
            self.names.push(name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labelled(key: &str, value: &str) -> Node {
        let labels = BTreeMap::from([(key.to_owned(), value.to_owned())]);
        Node { labels, ..Node::default() }
    }

    fn inventory(path: &str, byte: u8) -> Inventory {
        let file = File { digest: Some([byte; 32].into()), problem: None, doubt: None };
        Inventory { files: BTreeMap::from([(path.parse().unwrap(), file)]), is_cut: false }
    }

    fn pod(spec: &str) -> Pod<'_> {
        serde_json::from_str(spec).unwrap()
    }

    /// In a cluster that grows and shrinks every node has a name that was never there.
    #[test]
    fn what_is_gone_is_forgotten() {
        let mut nodes = Nodes::default();
        nodes.put("stays", labelled("zone", "z1"));
        nodes.report("stays", Some(inventory("web.json", 7)));
        let then = nodes.clone();
        for number in 0..10_000 {
            let name = format!("node-{number}");
            nodes.put(&name, labelled("hostname", &name));
            nodes.report(&name, Some(inventory(&format!("{name}.json"), 8)));
            nodes.gone(&name);
            assert!(nodes.interners.len() < 1_100, "{}", nodes.interners.len());
        }
        let path = "web.json".parse().unwrap();
        for nodes in [&then, &nodes] {
            assert_eq!(nodes.find(&path), Some(true));
            assert_eq!(nodes.paths().len(), 1);
            let pod = pod(r#"{"spec": {"nodeSelector": {"zone": "z1"}}}"#);
            let digest = Some([7; 32].into());
            let names = vec!["stays"];
            let found = Found { digest, problem: None, doubt: None, nodes: 1, names };
            let distribution = ProfileDistribution {
                eligible: 1,
                found: vec![found],
                ..ProfileDistribution::default()
            };
            assert_eq!(nodes.distribution(&pod, &path), distribution);
        }
    }

    #[test]
    fn a_pod_that_is_bound_to_nobody_knows_what_is_on_one_unknown_node() {
        let mut nodes = Nodes::default();
        nodes.put("node-a", Node::default());
        nodes.report("node-a", Some(inventory("web.json", 7)));
        nodes.report("node-b", Some(Inventory::default()));
        let path = "web.json".parse().unwrap();
        let distribution = |spec| nodes.distribution(&pod(spec), &path);
        let unknown =
            ProfileDistribution { eligible: 1, unknown: 1, ..ProfileDistribution::default() };
        assert_eq!(distribution(r#"{"spec": {"nodeName": "node-z"}}"#), unknown);
        let lacking = ProfileDistribution {
            eligible: 1,
            lacking: 1,
            lacking_names: vec!["node-b"],
            ..ProfileDistribution::default()
        };
        assert_eq!(distribution(r#"{"spec": {"nodeName": "node-b"}}"#), lacking);
        // Without the node itself only who is bound to it asks about it.
        assert_eq!(distribution(r#"{"spec": {}}"#).eligible, 1);
    }

    #[test]
    fn the_first_nodes_that_lack_it_are_named_and_the_most_common_content_comes_first() {
        let mut nodes = Nodes::default();
        let contents = [None, Some(1), Some(2), None, Some(2), None, None];
        for (number, content) in contents.into_iter().enumerate().rev() {
            let name = format!("node-{number}");
            nodes.put(&name, Node::default());
            let inventory = content.map_or_else(Inventory::default, |it| inventory("web.json", it));
            nodes.report(&name, Some(inventory));
        }
        nodes.put("node-x", Node::default());
        let found = |byte: u8, names: &[&'static str]| Found {
            digest: Some([byte; 32].into()),
            problem: None,
            doubt: None,
            nodes: names.len(),
            names: names.to_vec(),
        };
        let expected = ProfileDistribution {
            eligible: 8,
            unknown: 1,
            lacking: 4,
            lacking_names: vec!["node-0", "node-3", "node-5"],
            found: vec![found(2, &["node-2", "node-4"]), found(1, &["node-1"])],
        };
        let pod = pod(r#"{"spec": {}}"#);
        assert_eq!(nodes.distribution(&pod, &"web.json".parse().unwrap()), expected);

        let nowhere = nodes.distribution(&pod, &"nowhere.json".parse().unwrap());
        let lacking_names = vec!["node-0", "node-1", "node-2"];
        let expected = ProfileDistribution {
            eligible: 8,
            unknown: 1,
            lacking: 7,
            lacking_names,
            found: Vec::new(),
        };
        assert_eq!(nowhere, expected);
    }

    #[test]
    fn what_is_not_in_a_list_that_was_cut_is_unknown_and_a_label_with_its_digest_is_evidence() {
        let mut nodes = Nodes::default();
        let cut = |it| Inventory { is_cut: true, ..it };
        nodes.put("cut", Node::default());
        nodes.report("cut", Some(cut(Inventory::default())));
        nodes.put("labelled", labelled("profile.callgate.dev/web", "070707070707"));
        nodes.report("labelled", Some(cut(Inventory::default())));
        for (name, value) in [("before", "060606060606"), ("longer", "07070707070707"), ("odd", "")]
        {
            nodes.put(name, labelled("profile.callgate.dev/web", value));
            nodes.report(name, Some(cut(Inventory::default())));
        }
        nodes.put("lacking", labelled("profile.callgate.dev/web", "070707070707"));
        nodes.report("lacking", Some(Inventory::default()));
        nodes.put("listed", Node::default());
        nodes.report("listed", Some(cut(inventory("callgate/web.json", 7))));
        let pod = pod(r#"{"spec": {}}"#);
        let current = Some([7; 32].into());
        let distribution =
            |path: &str| nodes.eligible(&pod).distribution(&path.parse().unwrap(), current);
        let found = |name| {
            let names = vec![name];
            Found { digest: current, problem: None, doubt: None, nodes: 1, names }
        };
        let expected = ProfileDistribution {
            eligible: 7,
            unknown: 4,
            lacking: 1,
            lacking_names: vec!["lacking"],
            found: vec![found("listed"), found("labelled")],
        };
        assert_eq!(distribution("callgate/web.json"), expected);
        // No agent brings it, so no label speaks of it.
        let expected =
            ProfileDistribution { unknown: 6, found: Vec::new(), ..distribution("web.json") };
        assert_eq!(distribution("web.json"), expected);
        assert_eq!(
            (distribution("web.json").lacking, distribution("nowhere.json").unknown),
            (1, 6)
        );
    }

    #[test]
    fn a_taint_or_a_cordon_keeps_nobody_away_for_good_but_a_label_does() {
        let mut nodes = Nodes::default();
        let taint = Taint { key: "gpu".into(), value: String::new(), effect: "NoExecute".into() };
        nodes.put("tainted", Node { taints: vec![taint], ..labelled("zone", "z1") });
        nodes.put("cordoned", Node { unschedulable: true, ..labelled("zone", "z1") });
        nodes.put("elsewhere", labelled("zone", "z2"));
        let selecting = pod(r#"{"spec": {"nodeSelector": {"zone": "z1"}}}"#);
        assert_eq!(nodes.eligible(&selecting).names().count(), 0);
        assert_eq!(
            nodes.reachable(&selecting).names().collect::<Vec<_>>(),
            ["cordoned", "tainted"]
        );
        let bound = pod(r#"{"spec": {"nodeName": "elsewhere"}}"#);
        assert_eq!(nodes.reachable(&bound).names().collect::<Vec<_>>(), ["elsewhere"]);
    }

    #[test]
    fn a_node_with_a_hollow_file_makes_it_worth_looking_for_one() {
        let mut nodes = Nodes::default();
        let of = |problem| {
            let file = File { digest: None, problem, doubt: None };
            let files = BTreeMap::from([("web.json".parse().unwrap(), file)]);
            Some(Inventory { files, is_cut: false })
        };
        nodes.report("node-a", of(None));
        nodes.report("node-b", of(Some(Problem::NotJson)));
        assert!(!nodes.may_have_hollow());
        nodes.report("node-b", of(Some(Problem::Hollow)));
        assert!(nodes.may_have_hollow());
    }

    #[test]
    fn of_a_node_that_nobody_has_seen_or_reported_nothing_is_kept() {
        let mut nodes = Nodes::default();
        nodes.report("node-a", Some(Inventory::default()));
        nodes.report("node-a", None);
        assert!(nodes.by_name.is_empty());
    }
}
