//! The types that a cluster stores, for their schemas alone.
//!
//! What an object means is read by the core ([`crate::policy::Policy::read`]),
//! from the same JSON; a schema only keeps out early what that would refuse.

mod evidence;
mod node;
mod policy;
mod profile;
mod schema;
mod status;

use kube::{CustomResourceExt, Resource};

pub use evidence::{
    EvidenceFinding, EvidenceOwner, SeccompEvidence, SeccompEvidenceSpec, SeccompEvidenceStatus,
};
pub use node::{InstalledProfile, SeccompNode, SeccompNodeSpec, SeccompNodeStatus, Source};
pub use policy::{SeccompPolicy, SeccompPolicySpec};
pub use profile::{SeccompProfile, SeccompProfileSpec};
pub use schema::json_schema;
pub use status::Status;

/// Every `CustomResourceDefinition`, as JSON, in alphabetical order.
///
/// # Panics
/// Never: they are built from constants, and a test builds them.
pub fn definitions() -> Vec<serde_json::Value> {
    [of::<SeccompEvidence>(), of::<SeccompNode>(), of::<SeccompPolicy>(), of::<SeccompProfile>()]
        .into()
}

fn of<K: CustomResourceExt + Resource>() -> serde_json::Value {
    serde_json::to_value(K::crd()).expect("a definition is plain data")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::group::{API_VERSION, EVIDENCE, GROUP, NODE, OwnKind, POLICY, PROFILE};

    #[test]
    fn the_definitions_have_the_names_of_the_group() {
        for (own, definition) in [EVIDENCE, NODE, POLICY, PROFILE].into_iter().zip(definitions()) {
            let OwnKind { kind, plural, .. } = own;
            let spec = &definition["spec"];
            assert_eq!([&spec["names"]["kind"], &spec["names"]["plural"]], [kind, plural]);
            let version = spec["versions"][0]["name"].as_str().unwrap();
            assert_eq!(spec["group"], GROUP);
            assert_eq!(API_VERSION, format!("{GROUP}/{version}"));
        }
    }
}
