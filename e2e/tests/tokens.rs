//! What the token of an agent permits, and what it does not.

use serde_json::{Value, json};
use support::{
    e2e::{
        api::{Api, Reply},
        manifests::{manifests, path_of},
    },
    wait::eventually,
};

use super::watches::object;
use crate::trial::{Test, container, trials};

trials![the_token_of_an_agent_writes_only_what_belongs_to_its_node];

const NODES: &str = "/api/v1/nodes";
const REPORTS: &str = "/apis/callgate.dev/v1alpha1/seccompnodes";
const PODS: &str = "/api/v1/namespaces/callgate-agent/pods";

/// Installs the objects that agents need, and the policies about them.
async fn install(api: &Api) {
    for file in ["namespace", "serviceaccount", "rbac", "own-node", "own-pod"] {
        for object in manifests(&format!("../components/agent/{file}")) {
            let path = path_of(&object);
            api.apply(&path, &object).await.expect_ok(&path);
        }
    }
}

/// A client with the token of an agent's pod on this node.
async fn agent_on(it: &Test, node: &str) -> Api {
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": { "name": node },
        "spec": {
            "nodeName": node, "serviceAccountName": "callgate-agent",
            "containers": [container("agent", &Value::Null)],
        },
    });
    let pod = it.api().post(PODS, &pod).await.expect_ok("the pod");
    let bound = json!({
        "kind": "Pod", "apiVersion": "v1", "name": node, "uid": pod["metadata"]["uid"],
    });
    let request = json!({
        "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest",
        "spec": { "audiences": null, "boundObjectRef": bound },
    });
    let path = "/api/v1/namespaces/callgate-agent/serviceaccounts/callgate-agent/token";
    let reply = it.api().post(path, &request).await.expect_ok("a token");
    let token = reply["status"]["token"].as_str().expect("a token");
    Api::connect_with(&it.world.site.kubeconfig, token).await
}

fn refused(what: &str, reply: &Reply, status: u16, why: &str) {
    let said = format!("{} {}", reply.status, reply.message());
    assert!(reply.status == status && reply.message().contains(why), "{what}: {said}");
}

#[expect(clippy::too_many_lines, reason = "a list of attempts")]
async fn the_token_of_an_agent_writes_only_what_belongs_to_its_node(it: Test) {
    let api = it.api();
    install(api).await;
    let stem = &it.namespace[it.namespace.len() - 8..];
    let (a, b) = (format!("token-a-{stem}"), format!("token-b-{stem}"));
    for node in [&a, &b] {
        let mut node = object("Node", node);
        node["metadata"]["labels"] = json!({ "zone": "z" });
        node["spec"] = json!({});
        api.post(NODES, &node).await.expect_ok("the node");
    }
    let (agent, _other) = (agent_on(&it, &a).await, agent_on(&it, &b).await);
    let (own, other) = (format!("{NODES}/{a}"), format!("{NODES}/{b}"));
    let (report, others) = (format!("{REPORTS}/{a}"), format!("{REPORTS}/{b}"));
    let label = json!({ "metadata": { "labels": { "profile.callgate.dev/web": "1" } } });
    eventually("the policies and roles are known", async || {
        let is_held = agent.merge(&other, &label).await.status == 422;
        let is_free = agent.merge(&own, &label).await.is_ok();
        let of_pods = agent.delete(&format!("{PODS}/{b}?dryRun=All")).await.status == 422;
        (is_held && is_free && of_pods).then_some(())
    })
    .await;

    let (status, of_other) = (format!("{own}/status"), "an agent writes only what is of its own");
    let nothing = "an agent changes nothing of a node but";
    let (no_label, no_condition) = ("an agent changes no label", "an agent changes no condition");
    let ready = json!({ "type": "Ready", "status": "False", "reason": "R", "message": "m" });

    // Its own node, by each kind of patch.
    let change = json!([{ "op": "remove", "path": "/metadata/labels/zone" }]);
    refused("a label removed", &agent.json_patch(&own, &change).await, 422, no_label);
    refused("by its status", &agent.json_patch(&status, &change).await, 422, no_label);
    let change = json!([{ "op": "move", "from": "/metadata/labels/zone", "path": "/metadata/labels/profile.callgate.dev~1zone" }]);
    refused("a label moved", &agent.json_patch(&own, &change).await, 422, no_label);
    let change = json!({ "metadata": { "labels": { "$patch": "replace" } } });
    refused("labels replaced", &agent.strategic(&own, &change).await, 422, no_label);
    let change = json!({ "status": { "conditions": [ready] } });
    for (what, reply) in [
        ("a condition by the status", agent.strategic(&status, &change).await),
        ("conditions instead of all", agent.merge(&status, &change).await),
    ] {
        refused(what, &reply, 422, no_condition);
    }
    for (what, change) in [
        ("a finalizer", json!({ "metadata": { "finalizers": ["callgate.dev/x"] } })),
        ("an annotation", json!({ "metadata": { "annotations": { "a": "b" } } })),
        (
            "an owner",
            json!({ "metadata": { "ownerReferences": [
            { "apiVersion": "v1", "kind": "Node", "name": b, "uid": "1" }] } }),
        ),
        ("cordoned", json!({ "spec": { "unschedulable": true } })),
        ("a provider", json!({ "spec": { "providerID": "x://y" } })),
    ] {
        refused(what, &agent.merge(&own, &change).await, 422, nothing);
        refused(what, &agent.strategic(&own, &change).await, 422, nothing);
        let by_status = agent.merge(&status, &change).await;
        let is_spec = change.get("spec").is_some();
        assert!(is_spec || by_status.status == 422, "{what}: {by_status:?}");
    }
    // The API server rejects a change of it where the controller manager has assigned one.
    let change = json!({ "spec": { "podCIDR": "10.1.0.0/24", "podCIDRs": ["10.1.0.0/24"] } });
    let reply = agent.merge(&own, &change).await;
    let is_assigned = reply.message().contains("node updates may not change podCIDR");
    let why = if is_assigned { "is invalid" } else { nothing };
    refused("an address of pods", &reply, 422, why);
    for (what, change) in [
        ("room", json!({ "capacity": { "pods": "0" }, "allocatable": { "pods": "0" } })),
        ("an address", json!({ "addresses": [{ "type": "InternalIP", "address": "10.0.0.1" }] })),
        ("a port", json!({ "daemonEndpoints": { "kubeletEndpoint": { "Port": 1 } } })),
        ("images", json!({ "images": [{ "names": ["a"] }] })),
        ("handlers", json!({ "runtimeHandlers": [{ "name": "a" }] })),
        ("volumes", json!({ "volumesAttached": [{ "name": "a", "devicePath": "b" }] })),
    ] {
        refused(what, &agent.merge(&status, &json!({ "status": change })).await, 422, nothing);
    }
    let mine = json!({
        "apiVersion": "v1", "kind": "Node", "metadata": { "name": a, "labels": { "zone": "y" } },
    });
    refused("applied", &agent.apply(&own, &mine).await, 422, no_label);
    let mine = json!({
        "apiVersion": "v1", "kind": "Node", "metadata": { "name": a },
        "status": { "conditions": [ready] },
    });
    refused("a condition applied", &agent.apply(&status, &mine).await, 422, no_condition);
    let node = api.get(&own).await.expect_ok("the node");
    assert_eq!(node["spec"]["unschedulable"], Value::Null);
    assert_eq!(node["metadata"]["labels"]["zone"], "z");
    // The API server drops a status that is written with the node itself.
    let change = json!({ "status": { "conditions": [ready] } });
    let kept = agent.strategic(&own, &change).await.expect_ok("nothing changes");
    assert_eq!(kept["status"], node["status"]);

    // What no role lets it do.
    let new = object("Node", "token-c");
    let review =
        json!({ "apiVersion": "policy/v1", "kind": "Eviction", "metadata": { "name": b } });
    for (what, reply) in [
        ("a node replaced", agent.put(&own, &node).await),
        ("a node made", agent.post(NODES, &new).await),
        ("a node made by applying it", agent.apply(&format!("{NODES}/token-c"), &new).await),
        ("a node deleted", agent.delete(&own).await),
        ("all nodes deleted", agent.delete(NODES).await),
        ("the kubelet asked", agent.get(&format!("{own}/proxy/pods")).await),
        ("a report deleted", agent.delete(&report).await),
        ("all pods deleted", agent.delete(PODS).await),
        ("a pod evicted", agent.post(&format!("{PODS}/{b}/eviction"), &review).await),
        ("a pod read", agent.get(&format!("{PODS}/{b}")).await),
        ("a pod of others", agent.delete(&format!("/api/v1/namespaces/default/pods/{a}")).await),
        ("a pod labelled", agent.merge(&format!("{PODS}/{a}"), &label).await),
        ("a profile", agent.merge("/apis/callgate.dev/v1alpha1/seccompprofiles/a", &label).await),
        ("secrets", agent.get("/api/v1/namespaces/callgate-system/secrets").await),
        (
            "a token",
            agent
                .post(
                    "/api/v1/namespaces/callgate-agent/serviceaccounts/callgate-agent/token",
                    &json!({}),
                )
                .await,
        ),
    ] {
        assert_eq!(reply.status, 403, "{what}: {}", reply.message());
    }
    for query in ["", "?dryRun=All", "?gracePeriodSeconds=0", "?propagationPolicy=Orphan"] {
        let reply = agent.delete(&format!("{PODS}/{b}{query}")).await;
        refused(query, &reply, 422, "an agent deletes no pod but its own");
    }
    agent.delete(&format!("{PODS}/{a}?dryRun=All")).await.expect_ok("its own");

    // Reports.
    let named = |metadata: Value| {
        json!({
            "apiVersion": "callgate.dev/v1alpha1", "kind": "SeccompNode",
            "metadata": metadata, "spec": {},
        })
    };
    let of_b = named(json!({ "name": b }));
    for (what, reply) in [
        ("of another node", agent.post(REPORTS, &of_b).await),
        ("of another node, applied", agent.apply(&others, &of_b).await),
        ("any", agent.post(REPORTS, &named(json!({ "generateName": a }))).await),
    ] {
        refused(what, &reply, 422, of_other);
    }
    let claims = "an agent's SeccompNode belongs to its node";
    let owner = |kind: &str, name: &str, blocks: bool| {
        json!({
            "apiVersion": "v1", "kind": kind, "name": name, "uid": node["metadata"]["uid"],
            "blockOwnerDeletion": blocks,
        })
    };
    let odd = [
        ("a finalizer", json!({ "name": a, "finalizers": ["callgate.dev/x"] })),
        ("another owner", json!({ "name": a, "ownerReferences": [owner("Node", &b, false)] })),
        ("no node", json!({ "name": a, "ownerReferences": [owner("Namespace", &a, false)] })),
        ("that blocks", json!({ "name": a, "ownerReferences": [owner("Node", &a, true)] })),
    ];
    for (what, metadata) in &odd {
        let reply = agent.post(REPORTS, &named(metadata.clone())).await;
        refused(what, &reply, 422, claims);
        refused(what, &agent.apply(&report, &named(metadata.clone())).await, 422, claims);
    }
    let mine = named(json!({ "name": a, "ownerReferences": [owner("Node", &a, false)] }));
    agent.post(REPORTS, &mine).await.expect_ok("its own");
    for (what, metadata) in odd {
        let change = json!({ "metadata": metadata });
        refused(what, &agent.merge(&report, &change).await, 422, claims);
    }
    // Finalizers and owners that another client has set do not prevent its reports.
    let theirs = json!({ "metadata": { "finalizers": ["example.com/x"], "ownerReferences": [
        owner("Node", &a, false), { "apiVersion": "v1", "kind": "Namespace", "name": "x", "uid": "2" }] } });
    api.merge(&report, &theirs).await.expect_ok("another's");
    let status = json!({ "status": { "profiles": [] } });
    agent.merge(&format!("{report}/status"), &status).await.expect_ok("its report");
    let free = json!({ "metadata": { "finalizers": null, "ownerReferences": [owner("Node", &a, false)] } });
    agent.merge(&report, &free).await.expect_ok("owned anew");

    for path in [report, own, other, format!("{PODS}/{a}"), format!("{PODS}/{b}")] {
        api.delete(&format!("{path}?gracePeriodSeconds=0")).await;
    }
}
