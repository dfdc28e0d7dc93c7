//! Where a pod can land, and which profiles are there.

mod demand;
mod eligible;
mod interner;
mod nodes;
mod record;
mod toleration;

use std::collections::BTreeMap;

pub use self::{
    demand::MOST_REQUIREMENTS,
    eligible::{Eligible, Found, ProfileDistribution},
    nodes::Nodes,
};

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

#[cfg(test)]
mod tests;
