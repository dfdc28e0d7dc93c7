//! Where a pod can land, and which profiles are there.

mod demand;
mod eligible;
mod interner;
mod node;
mod nodes;
mod record;
mod toleration;

pub use self::node::{MOST_NAMED, Node, Taint};

pub use self::{
    demand::MOST_REQUIREMENTS,
    eligible::{Eligible, FileVersion, ProfileDistribution},
    nodes::Nodes,
};

#[cfg(test)]
mod tests;
