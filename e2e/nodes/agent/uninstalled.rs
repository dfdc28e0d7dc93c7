//! The agents' namespace is deleted while the rest of callgate stays (docs/runbook.md, "In another
//! order").

use std::{fs, sync::Arc};

use serde_json::{Value, json};
use support::{program::metric, wait::eventually};

use super::node::{
    self, NODE, NODES, SECCOMP_NODE, agent_on, apply, condition, delete, file, installed,
    is_tainted, label, outcome, taint, tutorial,
};
use crate::deployment::{Deployment, Replica};

/// How many agents a replica counts as silent.
async fn silent(replica: &Replica) -> Option<u64> {
    metric(&replica.metrics().await?, "callgate_agents_silent")
}

async fn set_timeout(it: &Deployment, variable: &str) {
    let words = ["-n", "callgate-system", "set", "env", "deployment/callgate", variable];
    let before = it.replicas().await;
    it.kubectl_ok(&words).await;
    it.rolled_out().await;
    it.gone(&before).await;
}

/// What is known of a node: its condition, its label of the profile, its inventory.
async fn known(it: &Deployment, name: &str) -> [Value; 3] {
    let object = node::node(it, name).await;
    let report = it.api.get(&format!("{SECCOMP_NODE}/{name}")).await.expect_ok("a report");
    let digest = label(&object, "outlasting").unwrap_or_default();
    [condition(&object).clone(), json!(digest), report["status"].clone()]
}

pub(super) async fn without_the_namespace_of_the_agents_files_stay_and_the_nodes_become_unknown(
    it: Arc<Deployment>,
) {
    apply(&it, "outlasting", "mkdir").await;
    installed(&it, "outlasting", "mkdir").await;
    let namespace = it.namespace("outlasting").await;
    let pods = format!("/api/v1/namespaces/{namespace}/pods");
    let dry = format!("{pods}?dryRun=All");

    it.kubectl_ok(&["delete", "namespace", "callgate-agent"]).await;
    let before = [known(&it, NODES[0]).await, known(&it, NODES[1]).await];
    let tainted = json!({ "spec": { "taints": taint() } });
    it.api.merge(&format!("{NODE}/node-b"), &tainted).await.expect_ok("the node");

    // The last reports still count.
    apply(&it, "outlasting", "rename").await;
    apply(&it, "too-late", "mkdir").await;
    let on_a = |name: &str, profile: &str| {
        let mut pod = tutorial(name, &format!("callgate/{profile}.json"));
        pod["spec"]["nodeSelector"] = json!({ "kubernetes.io/hostname": "node-a" });
        pod
    };
    let (old, new) = (on_a("old", "outlasting"), on_a("new", "too-late"));
    let missing = "profile \"callgate/too-late.json\" is not on \"node-a\", the only node this pod \
        can land on; callgate is delivering it to the nodes, retry in a moment [missing-profile]";
    eventually("a new profile is missing, and a changed one is not current", async || {
        let refused = it.api.post(&dry, &new).await.message().contains(missing);
        let reply = it.api.post(&dry, &old).await;
        let is_warned = reply.warnings.iter().any(|it| it.ends_with("[partial-profile]"));
        (refused && reply.is_ok() && is_warned).then_some(())
    })
    .await;

    // A short time stands for the sixteen minutes here.
    set_timeout(&it, "CALLGATE_AGENT_TIMEOUT=10s").await;
    for replica in it.replicas().await {
        eventually("both agents are silent", async || (silent(&replica).await? == 2).then_some(()))
            .await;
    }
    for pod in [&old, &new] {
        let reply = it.create(&namespace, pod).await;
        assert_eq!(reply.warnings, Vec::<String>::new());
        reply.expect_ok("a pod on an unknown node");
    }
    // The file is the one of before.
    let ended = outcome(&it, &namespace, "old").await;
    assert_eq!(ended, ("Seccomp:\t2\nBad system call\n".into(), 159));
    eventually("the other waits for its file", async || {
        let pod = it.api.get(&format!("{pods}/new")).await.body;
        let state = &pod["status"]["containerStatuses"][0]["state"];
        (state["waiting"]["reason"] == "CreateContainerError").then_some(())
    })
    .await;

    delete(&it, "outlasting").await;
    for (node, before) in NODES.into_iter().zip(&before) {
        assert_eq!(known(&it, node).await, *before, "{node}");
        let text = fs::read_to_string(file(&it, node, "outlasting")).expect("it is there");
        assert!(text.contains("\"mkdir\""), "{text}");
    }
    assert!(is_tainted(&node::node(&it, "node-b").await));

    // The way back.
    it.kubectl_ok(&["apply", "-k", Deployment::overlay()]).await;
    set_timeout(&it, "CALLGATE_AGENT_TIMEOUT-").await;
    installed(&it, "too-late", "mkdir").await;
    for node in NODES {
        agent_on(&it, node).await;
        eventually("the file of the deleted profile is gone", async || {
            (!file(&it, node, "outlasting").exists()).then_some(())
        })
        .await;
        let object = node::node(&it, node).await;
        assert!(label(&object, "outlasting").is_none() && !is_tainted(&object), "{object:#}");
    }
    for replica in it.replicas().await {
        eventually("no agent is silent", async || (silent(&replica).await? == 0).then_some(()))
            .await;
    }
    let ended = outcome_after_waiting(&it, &format!("{pods}/new")).await;
    assert_eq!(ended, 159, "it started once its file was there");
    delete(&it, "too-late").await;
}

/// The exit code of a pod whose container could not be created at first.
async fn outcome_after_waiting(it: &Deployment, path: &str) -> i64 {
    eventually("the pod has run", async || {
        let pod = it.api.get(path).await.body;
        pod["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"].as_i64()
    })
    .await
}
