//! The object that a pod belongs to.

use serde::Deserialize;

/// An object that creates pods, as an `OwnerReference` names it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Owner {
    pub api_version: String,
    pub kind: String,
    pub name: String,
    pub uid: String,
}

/// An entry of `metadata.ownerReferences`.
#[derive(Debug, Deserialize)]
pub struct OwnerReference {
    #[serde(flatten)]
    owner: Owner,
    controller: Option<bool>,
}

impl Owner {
    /// The controller among the owners of a pod. That of a static pod is its node, which creates no
    /// other pods, and does not count.
    pub fn controller(owners: Vec<OwnerReference>) -> Option<Self> {
        let controller = owners.into_iter().find(|it| it.controller == Some(true))?.owner;
        (controller.kind != "Node").then_some(controller)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;

    #[rstest]
    #[case::none(json!([]), None)]
    #[case::the_controller(
        json!([{ "kind": "Team", "name": "a" }, { "kind": "Job", "name": "b", "controller": true }]),
        Some("b"),
    )]
    #[case::no_controller(
        json!([{ "kind": "Team", "name": "a" }, { "kind": "Job", "name": "b", "controller": false }]),
        None,
    )]
    #[case::a_static_pod(json!([{ "kind": "Node", "name": "node-a", "controller": true }]), None)]
    fn the_controller_of_a_pod_creates_others_like_it(
        #[case] mut owners: Value,
        #[case] expected: Option<&str>,
    ) {
        for it in owners.as_array_mut().unwrap() {
            it["apiVersion"] = "v1".into();
            it["uid"] = "u".into();
        }
        let found = Owner::controller(serde_json::from_value(owners).unwrap());
        assert_eq!(found.map(|it| it.name).as_deref(), expected);
    }
}
