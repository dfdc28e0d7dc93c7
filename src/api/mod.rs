//! The types that a cluster stores, for their schemas alone.
//!
//! What an object means is read by the core ([`crate::policy::Policy::read`]),
//! from the same JSON; a schema only keeps out early what that would refuse.

mod node;
mod policy;
mod profile;
mod status;

use kube::{CustomResourceExt, Resource};

pub use node::{InstalledProfile, SeccompNode, SeccompNodeSpec, SeccompNodeStatus, Source};
pub use policy::{SeccompPolicy, SeccompPolicySpec};
pub use profile::{SeccompProfile, SeccompProfileSpec};
pub use status::Status;

/// The group of all our types.
pub const GROUP: &str = "callgate.dev";

/// The condition that agents keep of their nodes.
pub const NODE_CONDITION: &str = "SeccompProfilesReady";

/// Every `CustomResourceDefinition`, as JSON, in alphabetical order.
///
/// # Panics
/// Never: they are built from constants, and a test builds them.
pub fn definitions() -> Vec<serde_json::Value> {
    [of::<SeccompNode>(), of::<SeccompPolicy>(), of::<SeccompProfile>()].into()
}

fn of<K: CustomResourceExt + Resource>() -> serde_json::Value {
    serde_json::to_value(K::crd()).expect("a definition is plain data")
}
