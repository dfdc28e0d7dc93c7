//! The fields that are kept of large objects: a `Node` lists every image that it has, and its
//! managed fields are longer than the rest of it.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    group::NODE_CONDITION,
    placement::{Node, Taint},
    profile::Inventory,
    watch::Object,
};

#[derive(Default, Deserialize)]
#[serde(default)]
struct Spec {
    taints: Option<Vec<RawTaint>>,
    unschedulable: Option<bool>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct RawTaint {
    key: String,
    value: Option<String>,
    effect: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Status {
    conditions: Option<Vec<RawCondition>>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct RawCondition {
    #[serde(rename = "type")]
    kind: String,
    last_heartbeat_time: Option<String>,
}

/// The fields of a `Node` that the scheduler's choice depends on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct PartialNode {
    pub(super) node: Node,
    /// The last heartbeat of its agent, by the clock of the node. It is compared only with the one
    /// before, never with a clock.
    pub(super) heartbeat: Option<String>,
}

pub(super) fn node(object: &Object<'_>) -> Result<PartialNode, String> {
    let Spec { taints, unschedulable } = object.spec()?;
    let taint =
        |RawTaint { key, value, effect }| Taint { key, value: value.unwrap_or_default(), effect };
    let node = Node {
        labels: object.labels()?,
        taints: taints.into_iter().flatten().map(taint).collect(),
        unschedulable: unschedulable.unwrap_or_default(),
    };
    // Where a pod can land does not depend on the status, so an unreadable status is ignored.
    let Status { conditions } = object.status().unwrap_or_default();
    let mut conditions = conditions.into_iter().flatten();
    let ours = conditions.find(|it| it.kind == NODE_CONDITION);
    Ok(PartialNode { node, heartbeat: ours.and_then(|it| it.last_heartbeat_time) })
}

/// The inventory in a `SeccompNode`; `None` until its agent has reported.
pub(super) type PartialSeccompNode = Option<Inventory>;

pub(super) fn seccomp_node(object: &Object<'_>) -> Result<PartialSeccompNode, String> {
    let status: Value = object.status()?;
    Ok(status.is_object().then(|| Inventory::read(&json!({ "status": status }))))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn of_a_node_only_what_the_scheduler_looks_at_is_kept() {
        let mut object = json!({
            "apiVersion": "v1", "kind": "Node",
            "metadata": {
                "name": "node-a", "resourceVersion": "7", "uid": "5f3c",
                "labels": { "disk": "ssd" }, "annotations": { "a": "b" }, "managedFields": [{}],
            },
            "spec": {
                "podCIDR": "10.244.0.0/24", "unschedulable": true,
                "taints": [{ "key": "gpu", "effect": "NoSchedule", "timeAdded": "2026-11-24T00:00:00Z" }],
            },
            "status": {
                "images": [{ "names": ["app"], "sizeBytes": 7 }],
                "conditions": [
                    { "type": "Ready", "lastHeartbeatTime": "2026-11-24T00:00:07Z" },
                    { "type": "SeccompProfilesReady", "lastHeartbeatTime": "2026-11-24T00:00:00Z" },
                ],
            },
        });
        let kept = Node {
            labels: BTreeMap::from([("disk".into(), "ssd".into())]),
            taints: vec![Taint {
                key: "gpu".into(),
                value: String::new(),
                effect: "NoSchedule".into(),
            }],
            unschedulable: true,
        };
        let read = |object: &Value| node(&Object::read(&object.to_string()).unwrap());
        let heartbeat = Some("2026-11-24T00:00:00Z".to_owned());
        assert_eq!(read(&object), Ok(PartialNode { node: kept.clone(), heartbeat }));
        object["status"]["conditions"] = json!("none");
        assert_eq!(read(&object), Ok(PartialNode { node: kept, heartbeat: None }));
    }

    #[test]
    fn an_agent_without_a_report_does_not_count_as_an_empty_node() {
        let inventory = |status: Value| {
            let object = json!({ "metadata": { "name": "node-a" }, "spec": {}, "status": status });
            seccomp_node(&Object::read(&object.to_string()).unwrap()).unwrap()
        };
        assert_eq!(inventory(Value::Null), None);
        assert_eq!(inventory(json!({ "profiles": [] })), Some(Inventory::default()));
        let one =
            inventory(json!({ "profiles": [{ "path": "a.json" }, { "path": "/b.json" }, 7] }));
        assert_eq!(one.unwrap().files.len(), 1, "what cannot be read stops nothing");
    }
}
