//! Objects that change again and again, and what replicas write of them.

use std::time::Instant;

use http::StatusCode;
use serde_json::{Value, json};

use super::{
    agents::Agent,
    watches::{behind, object},
};
use crate::{
    front::Front,
    trial::{Test, trials},
    world::eventually,
};

trials![a_storm_of_updates_is_answered_by_few_writes];

const PROFILES: &str = "/apis/callgate.dev/v1alpha1/seccompprofiles";

const UPDATES: usize = 1000;

const NODES: &str = "/api/v1/nodes";

/// How many conditions two replicas write at most of a storm that ends: one at its end, and those
/// of pauses that a busy machine makes.
const MOST_WRITES: usize = 20;

/// How often two agents write of it: each reports, which takes up to three writes, in longer and
/// longer pauses.
const MOST_REPORTS: usize = 60;

fn profile(name: &str, errno: usize) -> Value {
    let rule = json!({ "names": ["mkdir"], "action": "SCMP_ACT_ERRNO", "errnoRet": errno });
    json!({
        "apiVersion": "callgate.dev/v1alpha1", "kind": "SeccompProfile",
        "metadata": { "name": name },
        "spec": { "defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule] },
    })
}

/// Waits until the condition is about the spec as it is.
async fn observed(it: &Test, path: &str) {
    eventually("the condition is about the last spec", async || {
        let object = it.api().get(path).await.body;
        let accepted = &object["status"]["conditions"][0];
        let generation = object["metadata"]["generation"].as_u64()?;
        (accepted["status"] == "True" && accepted["observedGeneration"] == generation).then_some(())
    })
    .await;
}

/// Two replicas and two agents of its own, beside the replica of the suite.
async fn a_storm_of_updates_is_answered_by_few_writes(it: Test) {
    let stem = &it.namespace[it.namespace.len() - 8..];
    let name = format!("storm-{stem}");
    let path = format!("{PROFILES}/{name}");
    it.api().post(PROFILES, &profile(&name, 1)).await.expect_ok("the profile");
    let (mut fronts, mut running, mut nodes) = (Vec::new(), Vec::new(), Vec::new());
    for number in 0..2 {
        let front = Front::of(it.api()).await;
        let namespace = it.plain_namespace().await;
        let flags = ["--default-policy=restricted"];
        let replica = behind(&it, &front, &format!("storm-{number}"), &[&namespace], &flags).await;
        let node = format!("storm-{number}-{stem}");
        it.api().post(NODES, &object("Node", &node)).await.expect_ok("the node");
        let agent = Agent::start(&node, &front.kubeconfig());
        agent.installs(&it, &node, &name, "mkdir").await;
        fronts.push(front);
        running.push((replica, agent));
        nodes.push(node);
    }
    observed(&it, &path).await;

    let status = format!("{path}/status");
    let is_condition = |uri: &str| uri.starts_with(&status);
    let is_report = |uri: &str| uri.contains("fieldManager=callgate-agent");
    let count = || {
        let all = |of: &dyn Fn(&Front) -> usize| fronts.iter().map(of).sum::<usize>();
        [
            all(&|it| it.asked(is_condition)),
            all(&|it| it.answered(StatusCode::CONFLICT, is_condition)),
            all(&|it| it.asked(is_report)),
        ]
    };
    let before = count();
    let start = Instant::now();
    for number in 0..UPDATES {
        let change = profile(&name, number % 100 + 2);
        it.api().merge(&path, &change).await.expect_ok("an update");
    }
    let took = start.elapsed();
    observed(&it, &path).await;
    for ((_, agent), node) in running.iter().zip(&nodes) {
        let last = format!("\"errnoRet\": {}", (UPDATES - 1) % 100 + 2);
        eventually("the last one is on the node", async || agent.holds(&name, &last).then_some(()))
            .await;
        agent.installs(&it, node, &name, "mkdir").await;
    }
    let after = count();
    let [conditions, lost, reports] = [0, 1, 2].map(|it| after[it] - before[it]);
    crate::say(&format!(
        "{UPDATES} updates in {took:.1?}: two replicas wrote the condition {conditions} times, \
         {lost} times in vain; two agents wrote {reports} times"
    ));
    drop(running);
    it.api().delete(&path).await.expect_ok("the end of the profile");
    for node in nodes {
        it.api().delete(&format!("{NODES}/{node}")).await.expect_ok("the end of the node");
    }
    assert!(conditions <= MOST_WRITES, "{conditions} writes of conditions");
    assert!(reports <= MOST_REPORTS, "{reports} writes of reports");
}
