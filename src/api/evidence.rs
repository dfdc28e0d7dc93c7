//! `SeccompEvidence`.

#![expect(unreachable_pub, reason = "KubeSchema writes every type again inside of a function")]

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A `SeccompEvidence` has no settings.
#[expect(clippy::duplicated_attributes, reason = "two columns have the same type")]
#[derive(CustomResource, KubeSchema, Clone, Debug, Default, Deserialize, Serialize)]
#[kube(
    group = "callgate.dev",
    version = "v1alpha1",
    kind = "SeccompEvidence",
    plural = "seccompevidences",
    shortname = "scev",
    category = "callgate",
    namespaced,
    doc = "Which pods of its namespace were denied, or would have been in mode enforce, since the object was created. There is one in a namespace, named callgate, which replicas write with --evidence; callgate ladder reads it.",
    status = "SeccompEvidenceStatus",
    printcolumn(
        name = "Pods",
        type_ = "integer",
        json_path = ".status.pods",
        description = "How many pods were denied, or would have been"
    ),
    printcolumn(
        name = "Last",
        type_ = "date",
        json_path = ".status.last",
        description = "The time since the last of them"
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct SeccompEvidenceSpec {}

/// What was found.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SeccompEvidenceStatus {
    /// How many pods were denied, or would have been in mode enforce. A pod whose controller tries
    /// again counts each time.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub pods: i64,
    /// When the last of them was reviewed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<Time>,
    /// What was found in them, by owner, rule and field. If the list is full, what was found last
    /// stays.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub findings: Vec<EvidenceFinding>,
    /// How often something was found for which the list has no room.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub unlisted: Option<i64>,
}

/// A finding for which pods of one owner were denied, or would have been in mode enforce.
#[derive(JsonSchema, Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EvidenceFinding {
    /// The policy that the pods were judged by.
    #[schemars(length(min = 1, max = 253))]
    pub policy: String,
    /// The id of the rule; `callgate explain` prints its page.
    #[schemars(length(min = 1, max = 64))]
    pub rule: String,
    /// The workload at the top, as far as it can be told by the names that controllers give; the pod
    /// itself if it has no owner.
    pub owner: EvidenceOwner,
    /// The field of the pod, with the name of its container.
    #[schemars(length(min = 1, max = 1024))]
    pub field: String,
    /// What is wrong with it.
    #[schemars(length(max = 1024))]
    pub message: String,
    /// How often it was found.
    #[schemars(range(min = 1))]
    pub count: i64,
    /// When it was found first.
    pub first: Time,
    /// When it was found last.
    pub last: Time,
}

/// What makes the pods.
#[derive(JsonSchema, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EvidenceOwner {
    /// Its `apiVersion`.
    #[schemars(length(max = 253))]
    pub api_version: String,
    /// Its `kind`.
    #[schemars(length(max = 253))]
    pub kind: String,
    /// Its name.
    #[schemars(length(max = 253))]
    pub name: String,
}
