//! Where a pod can land, and what it finds there.

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    pod::Pod,
    profile::{Digest, Inventory, Problem, ProfilePath},
};

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

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taint {
    pub key: String,
    pub value: String,
    pub effect: String,
}

/// All nodes and what is on them, at one moment. A clone is cheap, so that a
/// change of one node is no work for the others.
#[derive(Clone, Debug, Default)]
pub struct Nodes {
    nodes: BTreeMap<String, Arc<Known>>,
}

#[derive(Clone, Debug, Default)]
struct Known {
    node: Option<Node>,
    /// None, where no agent has reported.
    inventory: Option<Inventory>,
}

/// What the nodes on which a pod can land say of one profile.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spread<'a> {
    /// How many nodes the pod can land on.
    pub eligible: usize,
    /// Of these, on how many nobody has reported what is there.
    pub unknown: usize,
    /// Of these, how many have said that the file is not there.
    pub lacking: usize,
    /// The first of those that lack it, [`MOST_NAMED`] at most, in alphabetical order.
    pub lacking_names: Vec<&'a str>,
    /// What the others have at that path, the most common first.
    pub found: Vec<Found>,
}

/// One content of a file, and on how many of the nodes it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    pub digest: Option<Digest>,
    pub problem: Option<Problem>,
    pub nodes: usize,
}

impl Nodes {
    pub fn put(&mut self, name: &str, node: Node) {
        Arc::make_mut(self.nodes.entry(name.to_owned()).or_default()).node = Some(node);
    }

    pub fn gone(&mut self, name: &str) {
        self.nodes.remove(name);
    }

    pub fn report(&mut self, name: &str, inventory: Option<Inventory>) {
        Arc::make_mut(self.nodes.entry(name.to_owned()).or_default()).inventory = inventory;
    }

    /// What the nodes that `pod` can land on say of the profile at `path`.
    pub fn spread(&self, _pod: &Pod<'_>, path: &ProfilePath) -> Spread<'_> {
        let mut spread = Spread::default();
        for (name, known) in self.nodes.iter().filter(|(_, it)| it.node.is_some()) {
            spread.eligible += 1;
            match known.inventory.as_ref().map(|it| it.files.get(path)) {
                None => spread.unknown += 1,
                Some(None) => {
                    spread.lacking += 1;
                    if spread.lacking_names.len() < MOST_NAMED {
                        spread.lacking_names.push(name);
                    }
                }
                Some(Some(file)) => {
                    let same =
                        |it: &&mut Found| (it.digest, it.problem) == (file.digest, file.problem);
                    match spread.found.iter_mut().find(same) {
                        Some(found) => found.nodes += 1,
                        None => spread.found.push(Found {
                            digest: file.digest,
                            problem: file.problem,
                            nodes: 1,
                        }),
                    }
                }
            }
        }
        spread.found.sort_by_key(|it| std::cmp::Reverse(it.nodes));
        spread
    }

    /// Every path that some node has, and whether it has it without a problem
    /// somewhere, in alphabetical order.
    pub fn paths(&self) -> BTreeMap<&ProfilePath, bool> {
        let mut paths = BTreeMap::new();
        let inventories = self.nodes.values().filter_map(|it| it.inventory.as_ref());
        for (path, file) in inventories.flat_map(|it| &it.files) {
            *paths.entry(path).or_default() |= file.problem.is_none();
        }
        paths
    }
}
