//! Where a pod can land, and what it finds there.

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

#[cfg(test)]
mod tests;
