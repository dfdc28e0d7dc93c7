//! Judges what an audit log of an API server remembers: how many pods would have been changed,
//! warned of or denied. From lines to a history, nothing else; of each line only what is counted
//! is kept.

mod event;
mod history;
mod tally;
mod text;

pub use history::History;
pub use tally::Replay;
pub use text::{summary, text};

#[cfg(test)]
mod tests;

use jiff::civil::Date;

use crate::{
    placement::Nodes,
    policy::{Facts, Policy, RuntimeClasses},
    profile::Catalog,
};

/// All that the verdicts depend on besides the log.
#[derive(Debug)]
pub struct World {
    pub policy: Policy,
    pub catalog: Catalog,
    pub nodes: Nodes,
    pub classes: RuntimeClasses,
    pub today: Date,
}

impl World {
    fn facts<'a>(&'a self, namespace: &'a str) -> Facts<'a> {
        let Self { policy, catalog, nodes, classes, today } = self;
        Facts { policy, catalog, nodes, classes, namespace, today: *today }
    }
}
