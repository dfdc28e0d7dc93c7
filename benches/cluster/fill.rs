//! The objects of a large cluster.

use std::fmt::{self, Display, Formatter};

use futures_util::{StreamExt, stream};
use serde_json::{Value, json};
use support::e2e::api::Api;

use crate::account;

/// Requests under way at once.
pub(crate) const AT_ONCE: usize = 8;

/// How much there is of everything.
pub(crate) struct Size {
    namespaces: usize,
    policies: usize,
    profiles: usize,
    nodes: usize,
    profiles_per_node: usize,
}

/// What was made.
pub(crate) struct Filled {
    size: Size,
    /// The bytes of one profile, and of one node's inventory, as the API server sends them.
    profile: usize,
    inventory: usize,
    /// Namespaces in which pods can be created.
    pub(crate) for_pods: Vec<String>,
}

impl Size {
    /// What the targets for memory speak of.
    pub(crate) fn of_the_target(nodes: usize) -> Self {
        Self { namespaces: 2000, policies: 20, profiles: 200, nodes, profiles_per_node: 50 }
    }
}

pub(crate) async fn fill(api: &Api, size: Size) -> Filled {
    let ours = "/apis/callgate.dev/v1alpha1";
    let Size { namespaces, policies, profiles, nodes, profiles_per_node } = size;
    make(policies, async |at| {
        api.post(&format!("{ours}/seccomppolicies"), &policy(at)).await.expect_ok("the policy")
    })
    .await;
    let profile = make(profiles, async |at| {
        api.post(&format!("{ours}/seccompprofiles"), &profile(at)).await.expect_ok("the profile")
    })
    .await;
    make(namespaces, async |at| {
        let object = namespace(at, policies);
        api.post("/api/v1/namespaces", &object).await.expect_ok("the namespace")
    })
    .await;
    let for_pods: Vec<_> = (0..20).map(|it| format!("team-{}", it * namespaces / 20)).collect();
    for it in &for_pods {
        account(api, it).await;
    }
    let inventory = make(nodes, async |at| {
        api.post("/api/v1/nodes", &node(at)).await.expect_ok("the node");
        let (path, object) = (format!("{ours}/seccompnodes"), inventory(at, profiles_per_node));
        api.post(&path, &object).await.expect_ok("the inventory");
        let name = object["metadata"]["name"].as_str().expect("it has a name");
        let path = format!("{path}/{name}/status");
        api.merge(&path, &json!({ "status": object["status"] })).await.expect_ok("its status")
    })
    .await;
    Filled { size, profile, inventory, for_pods }
}

/// Makes as many; how large the last one is.
async fn make(count: usize, one: impl AsyncFn(usize) -> Value) -> usize {
    let one = &one;
    let made = stream::iter(0..count).map(move |at| one(at)).buffer_unordered(AT_ONCE);
    made.fold(0, async |_, object| object.to_string().len()).await
}

impl Filled {
    pub(crate) fn has_nodes(&self) -> bool {
        self.size.nodes > 0
    }
}

impl Display for Filled {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Size { namespaces, policies, profiles, nodes, profiles_per_node } = self.size;
        let profile = self.profile;
        write!(
            f,
            "{namespaces} namespaces, {policies} policies, {profiles} profiles of {profile} bytes"
        )?;
        if nodes > 0 {
            let inventory = self.inventory;
            write!(
                f,
                ", {nodes} nodes with {profiles_per_node} profiles each ({inventory} bytes)"
            )?;
        }
        Ok(())
    }
}

fn policy(at: usize) -> Value {
    json!({
        "apiVersion": "callgate.dev/v1alpha1", "kind": "SeccompPolicy",
        "metadata": { "name": format!("policy-{at}") },
        "spec": {
            "default": { "type": "RuntimeDefault" },
            "bindings": [{
                "podSelector": { "matchLabels": { "app": format!("web-{at}") } },
                "profile": { "type": "Localhost", "localhostProfile": format!("callgate/profile-{at}.json") },
            }],
            "exemptions": [{
                "name": "node-exporter", "reason": "reads counters of the host",
                "owner": "sre@example.com", "rules": ["privileged"],
                "match": { "namespaces": ["monitoring"], "containers": ["exporter"] },
            }],
        },
    })
}

/// Labelled, and with what kubectl and a platform leave on a namespace.
fn namespace(at: usize, policies: usize) -> Value {
    let name = format!("team-{at}");
    let labels = json!({
        "callgate.dev/policy": format!("policy-{}", at % policies),
        "callgate.dev/mode": "enforce",
        "pod-security.kubernetes.io/warn": "restricted",
        "app.kubernetes.io/managed-by": "platform",
        "team": name,
    });
    let applied = json!({ "apiVersion": "v1", "kind": "Namespace",
        "metadata": { "name": name, "labels": labels } });
    json!({
        "apiVersion": "v1", "kind": "Namespace",
        "metadata": { "name": name, "labels": labels, "annotations": {
            "kubectl.kubernetes.io/last-applied-configuration": applied.to_string(),
            "example.com/contact": format!("{name}@example.com"),
        }},
    })
}

/// As long as the profile that container engines have by default, and with the
/// copy that kubectl leaves.
fn profile(at: usize) -> Value {
    const NAMES: &str = include_str!("../../src/profile/syscalls.txt");
    let names: Vec<_> = NAMES.lines().skip(at % 50).take(370).collect();
    let one = |call: &str, value: u64, op: &str| {
        json!({ "names": [call], "action": "SCMP_ACT_ALLOW",
            "args": [{ "index": 0, "value": value, "op": op }] })
    };
    let personalities = [0, 8, 0x2_0000, 0x2_0008, 0xffff_ffff];
    let mut syscalls = vec![json!({ "names": names, "action": "SCMP_ACT_ALLOW" })];
    syscalls.extend(personalities.map(|it| one("personality", it, "SCMP_CMP_EQ")));
    syscalls.push(one("socket", 40, "SCMP_CMP_NE"));
    syscalls.push(one("clone", 0x7e02_0000, "SCMP_CMP_NE"));
    syscalls.push(json!({ "names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38 }));
    let name = format!("profile-{at}");
    let spec = json!({
        "defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 1,
        "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
        "syscalls": syscalls,
    });
    let (version, kind) = ("callgate.dev/v1alpha1", "SeccompProfile");
    let applied = json!({ "apiVersion": version, "kind": kind,
        "metadata": { "name": name }, "spec": spec });
    json!({
        "apiVersion": version, "kind": kind,
        "metadata": { "name": name, "annotations": {
            "kubectl.kubernetes.io/last-applied-configuration": applied.to_string(),
        }},
        "spec": spec,
    })
}

/// With the labels of a cloud's nodes and a list of images as kubelets report it.
fn node(at: usize) -> Value {
    let name = format!("node-{at}");
    let zone = format!("eu-west-1{}", ["a", "b", "c"][at % 3]);
    let images: Vec<_> = (0..50)
        .map(|it| {
            let image = format!("registry.example.com/platform/service-{it}");
            json!({ "names": [format!("{image}@sha256:{:064x}", at * 1000 + it), format!("{image}:1.{it}")],
                "sizeBytes": 40_000_000 + it })
        })
        .collect();
    let pool = if at.is_multiple_of(10) { "gpu" } else { "general" };
    let taints = if pool == "gpu" {
        json!([{ "key": "dedicated", "value": "gpu", "effect": "NoSchedule" }])
    } else {
        json!([])
    };
    json!({
        "apiVersion": "v1", "kind": "Node",
        "metadata": {
            "name": name,
            "labels": {
                "kubernetes.io/arch": "amd64", "kubernetes.io/os": "linux",
                "kubernetes.io/hostname": name,
                "node.kubernetes.io/instance-type": "m7i.2xlarge",
                "topology.kubernetes.io/region": "eu-west-1", "topology.kubernetes.io/zone": zone,
                "example.com/pool": pool, "example.com/generation": (at % 7).to_string(),
            },
            "annotations": {
                "node.alpha.kubernetes.io/ttl": "0",
                "volumes.kubernetes.io/controller-managed-attach-detach": "true",
            },
        },
        "spec": { "taints": taints, "providerID": format!("cloud:///{zone}/{name}") },
        "status": {
            "capacity": { "cpu": "8", "memory": "32Gi", "pods": "110" },
            "allocatable": { "cpu": "7910m", "memory": "30Gi", "pods": "110" },
            "conditions": [{ "type": "Ready", "status": "True", "reason": "KubeletReady",
                "lastHeartbeatTime": "2026-11-24T10:00:00Z",
                "lastTransitionTime": "2026-11-24T10:00:00Z" }],
            "images": images,
        },
    })
}

/// Where the status of a node's inventory is written, and the inventory.
pub(crate) fn inventory_of(filled: &Filled, at: u32) -> (String, Value) {
    let object = inventory(at as usize, filled.size.profiles_per_node);
    (format!("/apis/callgate.dev/v1alpha1/seccompnodes/node-{at}/status"), object)
}

fn inventory(at: usize, profiles: usize) -> Value {
    let profiles: Vec<_> = (0..profiles)
        .map(|it| {
            json!({ "path": format!("callgate/profile-{it}.json"),
                "digest": format!("sha256:{it:064x}"), "size": 7000 + it, "source": "callgate" })
        })
        .collect();
    json!({
        "apiVersion": "callgate.dev/v1alpha1", "kind": "SeccompNode",
        "metadata": { "name": format!("node-{at}") },
        "spec": {},
        "status": { "profiles": profiles },
    })
}
