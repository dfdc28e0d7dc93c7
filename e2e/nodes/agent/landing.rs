//! A profile that one node has and the other has not.

use std::{fs, sync::Arc};

use serde_json::{Value, json};
use support::wait::eventually;

use super::node::{self, apply, delete, file, label, outcome, tutorial};
use crate::deployment::Deployment;

pub(super) async fn a_profile_that_one_node_has_is_judged_by_where_the_pod_can_land(
    it: Arc<Deployment>,
) {
    // Nobody can put a file where a directory is.
    let in_the_way = file(&it, "node-a", "on-b");
    fs::create_dir(&in_the_way).expect("we are root");
    apply(&it, "on-b", "mkdir").await;
    let current = eventually("node-b has it", async || {
        label(&node::node(&it, "node-b").await, "on-b").map(str::to_owned)
    })
    .await;
    assert_eq!(label(&node::node(&it, "node-a").await, "on-b"), None);

    let namespace = it.namespace("landing").await;
    let unbound = tutorial("unbound", "callgate/on-b.json");
    let pods = format!("/api/v1/namespaces/{namespace}/pods?dryRun=All");
    let warned = "policy \"restricted\": spec.containers[0] \"app\": profile \
        \"callgate/on-b.json\" is on 1 of the 2 nodes this pod can land on: \"node-a\" lacks it; \
        under placement: Pin the scheduler waits for a node with it [partial-profile]";
    eventually("the replica that is asked knows what is where", async || {
        let reply = it.api.post(&pods, &unbound).await;
        reply.is_ok().then_some(reply.warnings).filter(|it| *it == [warned])
    })
    .await;

    let refused = "admission webhook \"validate.callgate.dev\" denied the request: policy \
        \"restricted\" denies pod \"bound\" in namespace \"landing\": spec.containers[0] \"app\": \
        profile \"callgate/on-b.json\" is not on \"node-a\", the only node this pod can land on; \
        callgate is delivering it to the nodes, retry in a moment [missing-profile]\n  more: callgate explain missing-profile";
    let reply = it.api.post(&pods, &bound_to("node-a")).await;
    assert_eq!(reply.message(), refused);
    assert!(it.api.post(&pods, &bound_to("node-b")).await.is_ok(), "it is there");

    it.policy("pinning", json!({ "placement": "Pin" })).await;
    let namespace = it.namespace_obeying("pinned", "pinning").await;
    let pinned = it.create(&namespace, &tutorial("pinned", "callgate/on-b.json")).await;
    assert_eq!(pinned.warnings, Vec::<String>::new());
    let pinned = pinned.expect_ok("the pod");
    let terms = &pinned["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
        ["nodeSelectorTerms"];
    let expression = json!({
        "key": "profile.callgate.dev/on-b", "operator": "In", "values": [current],
    });
    assert_eq!(*terms, json!([{ "matchExpressions": [expression] }]));
    let (said, code) = outcome(&it, &namespace, "pinned").await;
    assert_eq!((said.as_str(), code), ("Seccomp:\t2\nBad system call\n", 159));
    let path = format!("/api/v1/namespaces/{namespace}/pods/pinned");
    assert_eq!(it.api.get(&path).await.body["spec"]["nodeName"], "node-b");

    delete(&it, "on-b").await;
    fs::remove_dir(&in_the_way).expect("we are root");
}

fn bound_to(node: &str) -> Value {
    let mut pod = tutorial("bound", "callgate/on-b.json");
    pod["spec"]["nodeName"] = node.into();
    pod
}
