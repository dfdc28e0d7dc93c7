//! `SeccompNode`.

#![expect(unreachable_pub, reason = "KubeSchema writes every type again inside of a function")]

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A `SeccompNode` has no settings.
#[derive(CustomResource, KubeSchema, Clone, Debug, Default, Deserialize, Serialize)]
#[kube(
    group = "callgate.dev",
    version = "v1alpha1",
    kind = "SeccompNode",
    plural = "seccompnodes",
    shortname = "scnode",
    category = "callgate",
    doc = "The profiles on one node, as its agent reports them. The object has the name of its Node, which owns it; only the agent of that node writes it.",
    status = "SeccompNodeStatus",
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct SeccompNodeSpec {}

/// The inventory of the node.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SeccompNodeStatus {
    /// The files under the node's seccomp directory: first the profiles of the cluster, then
    /// released files, then all others, until the list is full.
    #[serde(default)]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["path".to_owned()]))]
    #[schemars(length(max = 1000))]
    pub profiles: Vec<InstalledProfile>,
    /// The number of further files, at least, for which the list has no room. If it is set, a file
    /// that is not listed may still be on the node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub unlisted: Option<i64>,
}

/// A file as the agent read it.
#[derive(JsonSchema, Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct InstalledProfile {
    /// The path relative to the seccomp directory, as in a pod's `localhostProfile`.
    #[schemars(length(min = 1, max = 1024))]
    pub path: String,
    /// The SHA-256 of the file; unset if the agent could not read it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = "^sha256:[0-9a-f]{64}$"))]
    pub digest: Option<String>,
    /// The size in bytes.
    pub size: i64,
    /// The origin of the file: `callgate` (the agent wrote it from a `SeccompProfile`), `released`
    /// (the agent wrote it, and the `SeccompProfile` was deleted since), `node` (another program or
    /// an administrator wrote it).
    pub source: Source,
    /// Why no container is confined by the file, as one word: `hollow` if the runtime loads it and
    /// filters nothing, `unreadable` if the agent cannot read it, any other if the runtime cannot
    /// load it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub problem: Option<String>,
    /// Why the file is probably a mistake although the runtime loads it, as one word: `no-start` if
    /// no container can start under it, `docker-keys` if containerd drops some of its keys.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub doubt: Option<String>,
}

/// The origin of a file.
#[derive(JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub enum Source {
    /// The agent wrote it from a `SeccompProfile`.
    #[serde(rename = "callgate")]
    Callgate,
    /// The agent wrote it from a `SeccompProfile` that was deleted since; running containers may
    /// still need it.
    #[serde(rename = "released")]
    Released,
    /// Another program or an administrator wrote it.
    #[serde(rename = "node")]
    Node,
}
