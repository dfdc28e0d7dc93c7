//! A node, as far as it decides whether a pod can run there.

use std::collections::BTreeMap;

/// How many nodes a message names.
pub const MOST_NAMED: usize = 3;

/// What the scheduler reads of a node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Node {
    pub labels: BTreeMap<String, String>,
    pub taints: Vec<Taint>,
    /// Whether the node is cordoned.
    pub unschedulable: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Taint {
    pub key: String,
    pub value: String,
    pub effect: String,
}
