//! What a cluster says: its namespaces, its policies, its profiles.

mod facts;
mod find;
mod watch;

pub use facts::{Facts, Unreadable};
pub use find::{Find, find_namespace};
pub use watch::{Watched, watch};
