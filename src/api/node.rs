//! `SeccompNode`.

#![expect(unreachable_pub, reason = "KubeSchema writes every type again inside of a function")]

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
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
    /// What the running containers of the node's pods run under, by the kernel; unset if the agent
    /// does not look at that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub containers: Option<Containers>,
    /// What filters denied in the containers of the node's pods, by the kernel's audit records; unset
    /// if nothing listens to those. The component `denials` writes it, not the agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub denials: Option<Denials>,
}

/// What filters denied in containers. Only filters with the flag `SECCOMP_FILTER_FLAG_LOG`, and the
/// actions that kill or log, leave records.
#[derive(JsonSchema, Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct Denials {
    /// When counting began: all counts are of the time since then.
    pub since: Time,
    /// The calls that were denied or logged within the last day: those that were made last, until the
    /// list is full.
    #[serde(default)]
    #[schemars(length(max = 100))]
    pub calls: Vec<DeniedCall>,
    /// How many further calls were denied for which the list has no room.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub unlisted: Option<i64>,
    /// How many calls were denied of processes that had ended before their container was found. They
    /// may be processes of the node itself.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub unknown: i64,
    /// How often the kernel had more records than could be read in time; each time an unknown number of
    /// them was lost.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub lost: i64,
}

/// A system call that a filter denied, or logged, in one container.
#[derive(JsonSchema, Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DeniedCall {
    #[serde(flatten)]
    pub place: ContainerPlace,
    /// The name of the system call, or its number if it is not known.
    #[schemars(length(min = 1, max = 64))]
    pub syscall: String,
    /// The architecture of the program, `SCMP_ARCH_…`.
    #[schemars(length(min = 1, max = 64))]
    pub architecture: String,
    /// What the filter did, `SCMP_ACT_…`. `SCMP_ACT_LOG` let the call pass.
    #[schemars(length(min = 1, max = 64))]
    pub action: String,
    /// How often.
    #[schemars(range(min = 1))]
    pub count: i64,
    /// The time of the last one.
    pub last: Time,
}

/// The running containers, by the seccomp mode of their processes.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
pub struct Containers {
    /// The number of containers whose processes are all under a filter.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub filter: i64,
    /// The number of containers with a process that is under no filter.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub none: i64,
    /// The number of containers whose processes are in the strict mode of seccomp.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub strict: i64,
    /// The number of containers of which no process was seen, or none for long enough: they have just
    /// started, or their processes are not processes of the node, as in a virtual machine.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub unknown: i64,
    /// The containers with a process that is under no filter: first those whose pod declares one,
    /// until the list is full.
    #[serde(default)]
    #[schemars(length(max = 100))]
    pub unfiltered: Vec<UnfilteredContainer>,
    /// The number of further such containers for which the list has no room.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub unlisted: Option<i64>,
}

/// A container of a pod, and what the pod declares for it.
#[derive(JsonSchema, Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ContainerPlace {
    /// The namespace of the pod.
    #[schemars(length(max = 63))]
    pub namespace: String,
    /// The name of the pod.
    #[schemars(length(max = 253))]
    pub pod: String,
    /// The `metadata.uid` of the pod.
    #[schemars(length(max = 253))]
    pub uid: String,
    /// The name of the container.
    #[schemars(length(max = 63))]
    pub container: String,
    /// What the pod declares for the container: the type of its profile (`RuntimeDefault`,
    /// `Localhost`, `Unconfined`), `Unset` if there is none, `Privileged` if it is privileged, or
    /// `Invalid` if the kubelet cannot use its profile.
    #[schemars(length(min = 1, max = 64))]
    pub declared: String,
    /// The `localhostProfile` of a profile of type `Localhost`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub localhost_profile: Option<String>,
}

/// A container with a process that is under no filter.
#[derive(JsonSchema, Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UnfilteredContainer {
    #[serde(flatten)]
    pub place: ContainerPlace,
    /// The processes that are under no filter: `All` or `Some` of the container.
    #[schemars(length(min = 1, max = 64))]
    pub processes: String,
    /// Whether none of them can gain rights by executing a program (`no_new_privs`).
    #[serde(default)]
    pub no_new_privs: bool,
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
