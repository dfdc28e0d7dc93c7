//! Where a pod can land, and which profiles are there.

mod demand;
mod eligible;
mod interner;
mod node;
mod nodes;
mod record;
mod toleration;

pub use self::{
    demand::MOST_REQUIREMENTS,
    eligible::{Eligible, FileVersion, ProfileDistribution},
    node::{MOST_NAMED, Node, Taint},
    nodes::Nodes,
};

#[cfg(test)]
mod tests;
