//! `SeccompNode`.

#![expect(unreachable_pub, reason = "KubeSchema writes every type again inside of a function")]

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the agent of a node says of the profiles there. It bears the name of
/// its node, which owns it; nobody but that agent writes it.
#[derive(CustomResource, KubeSchema, Clone, Debug, Default, Deserialize, Serialize)]
#[kube(
    group = "callgate.dev",
    version = "v1alpha1",
    kind = "SeccompNode",
    plural = "seccompnodes",
    shortname = "scnode",
    category = "callgate",
    status = "SeccompNodeStatus",
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct SeccompNodeSpec {}

/// Every file under the node's seccomp directory.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SeccompNodeStatus {
    #[serde(default)]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["path".to_owned()]))]
    #[schemars(length(max = 1000))]
    pub profiles: Vec<InstalledProfile>,
    /// How many more files there are, at least, for which the list has no room.
    /// What is not listed may then be there all the same. The profiles of the
    /// cluster come first, then those that are kept although they were deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub unlisted: Option<i64>,
}

/// A file as the agent has read it.
#[derive(JsonSchema, Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct InstalledProfile {
    /// What a pod calls it in `localhostProfile`.
    #[schemars(length(min = 1, max = 1024))]
    pub path: String,
    /// The SHA-256 of the bytes; left out, where they were not read.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = "^sha256:[0-9a-f]{64}$"))]
    pub digest: Option<String>,
    /// In bytes.
    pub size: i64,
    pub source: Source,
    /// Why it is of no use as a profile, in a word.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub problem: Option<String>,
    /// Why it is hardly what is meant, in a word: `no-start`, if no container
    /// can start under it, or `docker-keys`, if the runtime drops some of its keys.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub doubt: Option<String>,
}

/// Who put a file there.
#[derive(JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub enum Source {
    /// The agent, from a `SeccompProfile`.
    #[serde(rename = "callgate")]
    Callgate,
    /// The agent, from a `SeccompProfile` that is no more: running containers
    /// may still need it.
    #[serde(rename = "released")]
    Released,
    /// Somebody else.
    #[serde(rename = "node")]
    Node,
}
