//! Objects of a cluster of which little is kept: a node tells of every image that it has, and its
//! managed fields are longer than itself.

use std::{borrow::Cow, collections::BTreeMap};

use k8s_openapi::api::core::v1::Node as Original;
use kube::{Resource, api::ObjectMeta};
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

use crate::{
    placement::{Node, Taint},
    profile::Inventory,
};

/// A `Node`, as far as the scheduler's choice depends on it.
#[derive(Clone, Debug)]
pub(super) struct SlimNode {
    metadata: ObjectMeta,
    pub(super) node: Node,
}

/// A `SeccompNode`: what the agent of a node has said.
#[derive(Clone, Debug)]
pub(super) struct Said {
    metadata: ObjectMeta,
    /// None, until it has said something.
    pub(super) inventory: Option<Inventory>,
}

/// What a watch needs of the metadata, and the labels.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    name: Option<String>,
    resource_version: Option<String>,
    #[serde(default)]
    labels: Option<BTreeMap<String, String>>,
}

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

impl Metadata {
    fn without_labels(&mut self) -> ObjectMeta {
        ObjectMeta {
            name: self.name.take(),
            resource_version: self.resource_version.take(),
            ..ObjectMeta::default()
        }
    }
}

impl<'de> Deserialize<'de> for SlimNode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Raw {
            metadata: Metadata,
            #[serde(default)]
            spec: Spec,
        }
        let Raw { mut metadata, spec } = Raw::deserialize(deserializer)?;
        let taint = |RawTaint { key, value, effect }| Taint {
            key,
            value: value.unwrap_or_default(),
            effect,
        };
        let node = Node {
            labels: metadata.labels.take().unwrap_or_default(),
            taints: spec.taints.into_iter().flatten().map(taint).collect(),
            unschedulable: spec.unschedulable.unwrap_or_default(),
        };
        Ok(Self { metadata: metadata.without_labels(), node })
    }
}

impl<'de> Deserialize<'de> for Said {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Raw {
            metadata: Metadata,
            #[serde(default)]
            status: Value,
        }
        let Raw { mut metadata, status } = Raw::deserialize(deserializer)?;
        let inventory = status.is_object().then(|| Inventory::read(&json!({ "status": status })));
        Ok(Self { metadata: metadata.without_labels(), inventory })
    }
}

macro_rules! resource {
    ($type:ty, $kind:literal, $group:literal, $version:literal, $plural:literal) => {
        impl Resource for $type {
            type DynamicType = ();
            type Scope = <Original as Resource>::Scope;

            fn kind((): &()) -> Cow<'_, str> {
                $kind.into()
            }

            fn group((): &()) -> Cow<'_, str> {
                $group.into()
            }

            fn version((): &()) -> Cow<'_, str> {
                $version.into()
            }

            fn plural((): &()) -> Cow<'_, str> {
                $plural.into()
            }

            fn meta(&self) -> &ObjectMeta {
                &self.metadata
            }

            fn meta_mut(&mut self) -> &mut ObjectMeta {
                &mut self.metadata
            }
        }
    };
}

resource!(SlimNode, "Node", "", "v1", "nodes");
resource!(Said, "SeccompNode", "callgate.dev", "v1alpha1", "seccompnodes");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_node_only_what_the_scheduler_looks_at_is_kept() {
        let object = json!({
            "apiVersion": "v1", "kind": "Node",
            "metadata": {
                "name": "node-a", "resourceVersion": "7", "uid": "5f3c",
                "labels": { "disk": "ssd" }, "annotations": { "a": "b" }, "managedFields": [{}],
            },
            "spec": {
                "podCIDR": "10.244.0.0/24", "unschedulable": true,
                "taints": [{ "key": "gpu", "effect": "NoSchedule", "timeAdded": "2026-11-24T00:00:00Z" }],
            },
            "status": { "images": [{ "names": ["app"], "sizeBytes": 7 }] },
        });
        let SlimNode { metadata, node } = serde_json::from_value(object).unwrap();
        let expected = Node {
            labels: BTreeMap::from([("disk".into(), "ssd".into())]),
            taints: vec![Taint {
                key: "gpu".into(),
                value: String::new(),
                effect: "NoSchedule".into(),
            }],
            unschedulable: true,
        };
        assert_eq!(node, expected);
        let kept = ObjectMeta {
            name: Some("node-a".into()),
            resource_version: Some("7".into()),
            ..ObjectMeta::default()
        };
        assert_eq!(metadata, kept);
    }

    #[test]
    fn an_agent_that_has_said_nothing_has_not_said_that_nothing_is_there() {
        let said = |status: Value| {
            let object = json!({ "metadata": { "name": "node-a" }, "spec": {}, "status": status });
            serde_json::from_value::<Said>(object).unwrap().inventory
        };
        assert_eq!(said(Value::Null), None);
        assert_eq!(said(json!({ "profiles": [] })), Some(Inventory::default()));
        let one = said(json!({ "profiles": [{ "path": "a.json" }, { "path": "/b.json" }, 7] }));
        assert_eq!(one.unwrap().files.len(), 1, "what cannot be read stops nothing");
    }
}
