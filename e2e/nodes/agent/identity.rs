//! Whose word the API server takes for what.

use std::sync::Arc;

use serde_json::json;
use support::{
    e2e::api::{Api, Reply},
    wait::eventually,
};

use super::node::{self, NODE, SECCOMP_NODE, agent_on, reported};
use crate::deployment::{Deployment, Replica};

/// A token of the agent's account; of its pod, if there is one.
async fn token(it: &Deployment, agent: Option<&Replica>) -> Api {
    let mut request = json!({
        "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest",
        "spec": { "audiences": null },
    });
    if let Some(agent) = agent {
        request["spec"]["boundObjectRef"] =
            json!({ "kind": "Pod", "apiVersion": "v1", "name": agent.name, "uid": agent.uid });
    }
    let path = "/api/v1/namespaces/callgate-agent/serviceaccounts/callgate-agent/token";
    let reply = it.api.post(path, &request).await.expect_ok("a token");
    it.connect_with(reply["status"]["token"].as_str().expect("a token")).await
}

pub(super) async fn an_agent_speaks_for_its_own_node_alone(it: Arc<Deployment>) {
    let on_a = agent_on(&it, "node-a").await;
    let (agent, unbound) = (token(&it, Some(&on_a)).await, token(&it, None).await);
    let (own, other) = (format!("{NODE}/node-a"), format!("{NODE}/node-b"));
    let status = json!({ "status": { "profiles": [] } });
    let labels = |key: &str| json!({ "metadata": { "labels": { key: "1" } } });
    let taint = json!([{ "key": "callgate.dev/agent-not-ready", "effect": "NoSchedule" }]);
    let conditions = |kind: &str| {
        let condition = json!({ "type": kind, "status": "False", "reason": "R", "message": "m" });
        json!({ "status": { "conditions": [condition] } })
    };

    let not_own = "an agent writes only what is of its own node, which is ";
    let refused = |what: &str, reply: &Reply, why: &str| {
        assert_eq!(reply.status, 422, "{what}: {}", reply.message());
        assert!(reply.message().contains(why), "{what}: {}", reply.message());
    };
    // Of another node, everything.
    for (somebody, named) in [(&agent, "\"node-a\""), (&unbound, "not named by its token")] {
        let why = format!("{not_own}{named}");
        let path = format!("{SECCOMP_NODE}/node-b");
        refused("object", &somebody.merge(&path, &labels("a")).await, &why);
        refused("report", &somebody.merge(&format!("{path}/status"), &status).await, &why);
        let new = json!({
            "apiVersion": "callgate.dev/v1alpha1", "kind": "SeccompNode",
            "metadata": { "name": "node-c" }, "spec": {},
        });
        refused("new object", &somebody.post(SECCOMP_NODE, &new).await, &why);
        let label = labels("profile.callgate.dev/web");
        refused("label", &somebody.merge(&other, &label).await, &why);
        let ours = conditions("SeccompProfilesReady");
        let path = format!("{other}/status");
        refused("condition", &somebody.strategic(&path, &ours).await, &why);
    }
    let path = format!("{SECCOMP_NODE}/node-a/status");
    refused("unbound", &unbound.merge(&path, &status).await, "not named by its token");

    // Of its own, what is somebody else's.
    let no_label = "an agent changes no label of a node but those that begin with";
    let no_taint = "an agent adds no taint, and removes none but";
    let no_condition = "an agent changes no condition of a node but SeccompProfilesReady";
    let nothing = "an agent changes nothing of a node but";
    refused("label", &agent.merge(&own, &labels("a")).await, no_label);
    refused(
        "label by status",
        &agent.merge(&format!("{own}/status"), &labels("a")).await,
        no_label,
    );
    let gone = json!({ "metadata": { "labels": { "kubernetes.io/os": null } } });
    refused("a label removed", &agent.merge(&own, &gone).await, no_label);
    let changed = labels("kubernetes.io/os");
    refused("a label changed", &agent.merge(&own, &changed).await, no_label);
    let change = json!({ "spec": { "taints": taint } });
    refused("our own taint added", &agent.merge(&own, &change).await, no_taint);
    let cordon = json!({ "spec": { "unschedulable": true } });
    refused("cordoned", &agent.merge(&own, &cordon).await, nothing);
    let note = json!({ "metadata": { "annotations": { "a": "1" } } });
    refused("annotated", &agent.merge(&own, &note).await, nothing);
    let path = format!("{own}/status");
    refused("not ready", &agent.strategic(&path, &conditions("Ready")).await, no_condition);
    let capacity = json!({ "status": { "capacity": { "cpu": "100" } } });
    refused("larger", &agent.merge(&path, &capacity).await, nothing);
    for path in [&own, &format!("{SECCOMP_NODE}/node-a")] {
        assert_eq!(agent.delete(path).await.status, 403, "{path}");
    }

    // And what is its own; the agent itself then writes over it.
    let label = labels("profile.callgate.dev/web");
    agent.merge(&own, &label).await.expect_ok("its label");
    agent.merge(&format!("{SECCOMP_NODE}/node-a/status"), &status).await.expect_ok("its report");
    eventually("the agent has put it right", async || {
        let is_right = reported(&it, "node-a", "block-mkdir").await.is_some()
            && node::label(&node::node(&it, "node-a").await, "web").is_none();
        is_right.then_some(())
    })
    .await;
}
