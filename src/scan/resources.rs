//! What a scan reads of a cluster, in this order; and the role that permits exactly that.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::{
    group::{GROUP, NODE, POLICY, PROFILE},
    pod::Kind,
};

/// A type of objects that is listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resource {
    pub group: &'static str,
    version: &'static str,
    pub plural: &'static str,
    pub reads: Reads,
}

/// What its objects are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reads {
    /// They decide about others.
    Fact,
    /// They are workloads, or pods.
    Pods(Kind),
}

const fn fact(group: &'static str, version: &'static str, plural: &'static str) -> Resource {
    Resource { group, version, plural, reads: Reads::Fact }
}

const fn pods(group: &'static str, plural: &'static str, kind: Kind) -> Resource {
    Resource { group, version: "v1", plural, reads: Reads::Pods(kind) }
}

/// Owners come before pods, so that the owner of each pod is known when it comes.
pub const RESOURCES: &[Resource] = &[
    fact("", "v1", "namespaces"),
    fact("", "v1", "nodes"),
    fact("node.k8s.io", "v1", "runtimeclasses"),
    fact(GROUP, "v1alpha1", POLICY.plural),
    fact(GROUP, "v1alpha1", PROFILE.plural),
    fact(GROUP, "v1alpha1", NODE.plural),
    pods("apps", "deployments", Kind::Deployment),
    pods("apps", "statefulsets", Kind::StatefulSet),
    pods("apps", "daemonsets", Kind::DaemonSet),
    pods("batch", "cronjobs", Kind::CronJob),
    pods("batch", "jobs", Kind::Job),
    pods("", "replicationcontrollers", Kind::ReplicationController),
    pods("apps", "replicasets", Kind::ReplicaSet),
    pods("", "pods", Kind::Pod),
];

impl Resource {
    /// The path of the list, of all namespaces or of one.
    pub fn path(&self, namespace: Option<&str>) -> String {
        let Self { group, version, plural, reads } = self;
        let root = if group.is_empty() { "/api".to_owned() } else { format!("/apis/{group}") };
        match (reads, namespace) {
            (Reads::Pods(_), Some(it)) => format!("{root}/{version}/namespaces/{it}/{plural}"),
            _ => format!("{root}/{version}/{plural}"),
        }
    }

    /// The name in messages, such as `deployments.apps`.
    pub fn name(&self) -> String {
        let dot = if self.group.is_empty() { "" } else { "." };
        format!("{}{dot}{}", self.plural, self.group)
    }
}

/// The `ClusterRole` with the rights of a scan, in YAML.
pub fn role() -> String {
    let mut groups = BTreeMap::<&str, Vec<&str>>::new();
    for it in RESOURCES {
        groups.entry(it.group).or_default().push(it.plural);
    }
    let mut text = String::from(
        "# The rights of `callgate scan`, and no others.\n\
         apiVersion: rbac.authorization.k8s.io/v1\n\
         kind: ClusterRole\n\
         metadata:\n  name: callgate-scan\nrules:\n",
    );
    for (group, mut plurals) in groups {
        plurals.sort_unstable();
        let group = if group.is_empty() { "\"\"" } else { group };
        let plurals = plurals.join(", ");
        write!(text, "  - apiGroups: [{group}]\n    resources: [{plurals}]\n    verbs: [list]\n")
            .expect("a string takes everything");
    }
    text
}
