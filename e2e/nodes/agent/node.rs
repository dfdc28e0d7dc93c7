//! Profiles on nodes, and what is told of them.

use std::{fs, path::PathBuf};

use callgate::profile::Digest;
use serde_json::{Value, json};
use support::wait::{eventually, patiently};

use crate::deployment::{Deployment, Replica, pod};

pub(super) const NODES: [&str; 2] = ["node-a", "node-b"];
pub(super) const NODE: &str = "/api/v1/nodes";
pub(super) const SECCOMP_NODE: &str = "/apis/callgate.dev/v1alpha1/seccompnodes";
pub(super) const PROFILES: &str = "/apis/callgate.dev/v1alpha1/seccompprofiles";
pub(super) const AGENTS: &str = "/api/v1/namespaces/callgate-agent/pods";

pub(super) fn profile(name: &str, call: &str) -> Value {
    json!({
        "apiVersion": "callgate.dev/v1alpha1", "kind": "SeccompProfile",
        "metadata": { "name": name },
        "spec": {
            "defaultAction": "SCMP_ACT_ALLOW",
            "syscalls": [{ "names": [call, format!("{call}at")], "action": "SCMP_ACT_KILL" }],
        },
    })
}

pub(super) async fn apply(it: &Deployment, name: &str, call: &str) {
    let path = format!("{PROFILES}/{name}");
    it.api.apply(&path, &profile(name, call)).await.expect_ok("the profile");
}

pub(super) async fn delete(it: &Deployment, name: &str) {
    let path = format!("{PROFILES}/{name}");
    it.api.delete(&path).await.expect_ok("the profile");
}

pub(super) fn file(it: &Deployment, node: &str, name: &str) -> PathBuf {
    it.seccomp_root(node).join("callgate").join(format!("{name}.json"))
}

/// The names of all system calls.
pub(super) fn names_of_calls() -> impl Iterator<Item = &'static str> {
    let table = include_str!("../../../src/profile/syscalls.txt");
    // Its numbers follow each name.
    table.lines().filter_map(|it| it.split_whitespace().next())
}

/// What the node reports of a profile.
pub(super) async fn reported(it: &Deployment, node: &str, name: &str) -> Option<Value> {
    let object = it.api.get(&format!("{SECCOMP_NODE}/{node}")).await.body;
    let path = format!("callgate/{name}.json");
    let profiles = object["status"]["profiles"].as_array()?;
    profiles.iter().find(|it| it["path"] == *path).cloned()
}

pub(super) async fn node(it: &Deployment, name: &str) -> Value {
    it.api.get(&format!("{NODE}/{name}")).await.expect_ok("the node")
}

/// What a node may join with.
pub(super) fn taint() -> Value {
    json!([{ "key": "callgate.dev/agent-not-ready", "effect": "NoSchedule" }])
}

pub(super) fn is_tainted(node: &Value) -> bool {
    let taints = node["spec"]["taints"].as_array();
    taints.into_iter().flatten().any(|it| it["key"] == "callgate.dev/agent-not-ready")
}

/// As whose the report of this node is to be known.
pub(super) fn owner(node: &Value) -> Value {
    let (name, uid) = (&node["metadata"]["name"], &node["metadata"]["uid"]);
    json!([{ "apiVersion": "v1", "kind": "Node", "name": name, "uid": uid }])
}

pub(super) fn label<'a>(node: &'a Value, name: &str) -> Option<&'a str> {
    node["metadata"]["labels"][format!("profile.callgate.dev/{name}")].as_str()
}

pub(super) fn condition(node: &Value) -> &Value {
    let conditions = node["status"]["conditions"].as_array().expect("a list");
    let ours = conditions.iter().find(|it| it["type"] == "SeccompProfilesReady");
    ours.unwrap_or(&Value::Null)
}

/// Waits until the node holds the profile and says so in all three places.
pub(super) async fn installed(it: &Deployment, name: &str, call: &str) -> String {
    let mut digest = String::new();
    for node in NODES {
        digest = eventually("the profile is installed and reported", async || {
            let text = fs::read_to_string(file(it, node, name)).ok()?;
            assert!(text.ends_with("}\n"), "torn: {text:?}");
            let digest = Digest::of(text.as_bytes());
            let object = self::node(it, node).await;
            let known = text.contains(&format!("\"{call}\""))
                && reported(it, node, name).await?["digest"] == digest.to_string()
                && label(&object, name) == Some(&digest.short())
                && condition(&object)["status"] == "True";
            known.then(|| digest.to_string())
        })
        .await;
    }
    digest
}

pub(super) async fn agents(it: &Deployment) -> Vec<Replica> {
    let list = it.api.get(AGENTS).await.expect_ok("the agents");
    let mut agents: Vec<_> =
        list["items"].as_array().expect("a list").iter().map(Replica::read).collect();
    agents.sort_by(|a, b| a.node.cmp(&b.node));
    agents
}

pub(super) async fn agent_on(it: &Deployment, node: &str) -> Replica {
    patiently("an agent is ready", async || {
        agents(it).await.into_iter().find(|it| it.node == node && it.is_ready)
    })
    .await
}

/// A pod under that profile that says so and makes a directory.
pub(super) fn tutorial(name: &str, localhost: &str) -> Value {
    // Two streams come in no order.
    let script = "exec 2>&1; grep Seccomp: /proc/self/status; mkdir /tmp/a; exit $?";
    let profile = json!({ "type": "Localhost", "localhostProfile": localhost });
    pod(name, &["sh", "-c", script], &json!({ "seccompProfile": profile }))
}

/// Waits for its end: what it said, and with what code it ended.
pub(super) async fn outcome(it: &Deployment, namespace: &str, name: &str) -> (String, i64) {
    let path = format!("/api/v1/namespaces/{namespace}/pods/{name}");
    let code = eventually("the pod has run", async || {
        let body = it.api.get(&path).await.body;
        let state = &body["status"]["containerStatuses"][0]["state"];
        let waits = state["waiting"]["reason"].as_str().unwrap_or_default();
        assert_ne!(waits, "CreateContainerError", "{}", state["waiting"]["message"]);
        state["terminated"]["exitCode"].as_i64()
    })
    .await;
    let said = it.kubectl_ok(&["-n", namespace, "logs", name]).await;
    // Whether a core is dumped is up to the limits of the runtime.
    (said.replace(" (core dumped)", ""), code)
}
