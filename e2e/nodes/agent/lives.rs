//! Agents and nodes that come and go.

use std::{
    collections::BTreeSet,
    env, fs,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use support::wait::eventually;

use super::node::{
    self, AGENTS, NODE, agent_on, agents, apply, delete, file, installed, is_tainted, outcome,
    taint, tutorial,
};
use crate::deployment::Deployment;

const AGENT: &str = "/apis/apps/v1/namespaces/callgate-agent/daemonsets/callgate-agent";

/// For how long agents are killed, in seconds.
const KILL_SECONDS: &str = "CALLGATE_KILL_SECONDS";

pub(super) async fn whoever_reads_while_agents_are_killed_sees_a_whole_file(it: Arc<Deployment>) {
    apply(&it, "torn", "mkdir").await;
    installed(&it, "torn", "mkdir").await;
    let seconds = env::var(KILL_SECONDS).ok().and_then(|it| it.parse().ok()).unwrap_or(20);
    let end = Instant::now() + Duration::from_secs(seconds);
    let over = Arc::new(AtomicBool::new(false));
    let path = file(&it, "node-a", "torn");
    let reader = thread::spawn({
        let over = Arc::clone(&over);
        move || {
            let mut seen = BTreeSet::new();
            while !over.load(Ordering::Relaxed) {
                seen.insert(fs::read_to_string(&path).expect("it is never missing"));
            }
            seen
        }
    });
    let mut kills = 0;
    let calls = ["mkdir", "rename"];
    while Instant::now() < end && !reader.is_finished() {
        let agent = agent_on(&it, "node-a").await;
        // The change and the death of who brings it, at another moment every time.
        let change = apply(&it, "torn", calls[(kills + 1) % 2]);
        let death = async {
            tokio::time::sleep(Duration::from_millis(u64::try_from(kills % 12).unwrap_or(0) * 10))
                .await;
            agent.kill();
            // A new pod is there at once, a container only after a while.
            let path = format!("{AGENTS}/{}?gracePeriodSeconds=0", agent.name);
            it.api.delete(&path).await.expect_ok("the agent");
        };
        tokio::join!(change, death);
        kills += 1;
    }
    over.store(true, Ordering::Relaxed);
    let seen = reader.join().expect("it is never missing");
    assert!(kills > 2, "{kills}");
    assert_eq!(seen.len(), 2, "{seen:#?}");
    for text in &seen {
        serde_json::from_str::<Value>(text).unwrap_or_else(|error| panic!("{text:?}: {error}"));
    }
    installed(&it, "torn", calls[kills % 2]).await;
    delete(&it, "torn").await;
}

/// As a node that joins with the taint of `kubelet --register-with-taints`, and
/// worse: with everything that was said in an earlier life, and an empty disk.
pub(super) async fn a_node_that_begins_anew_gets_its_profiles_before_it_gets_pods(
    it: Arc<Deployment>,
) {
    apply(&it, "block-mkdir", "mkdir").await;
    installed(&it, "block-mkdir", "mkdir").await;
    let agents_on = async |nodes: Value| {
        let selector = json!({ "spec": { "template": { "spec": { "nodeSelector": nodes } } } });
        it.api.merge(AGENT, &selector).await.expect_ok("the DaemonSet");
    };
    agents_on(json!({ "nowhere": "at-all" })).await;
    eventually("the agents are gone", async || agents(&it).await.is_empty().then_some(())).await;
    let own = it.seccomp_root("node-b").join("callgate");
    fs::remove_dir_all(&own).expect("we are root");
    let path = format!("{NODE}/node-b");
    it.api.merge(&path, &json!({ "spec": { "taints": taint() } })).await.expect_ok("the node");

    let namespace = it.namespace("new-node").await;
    let mut pod = tutorial("early", "callgate/block-mkdir.json");
    pod["spec"]["nodeSelector"] = json!({ "kubernetes.io/hostname": "node-b" });
    it.create(&namespace, &pod).await.expect_ok("a pod that waits for it");
    let early = format!("/api/v1/namespaces/{namespace}/pods/early");
    eventually("the scheduler has looked at it", async || {
        let pod = it.api.get(&early).await.body;
        let conditions = pod["status"]["conditions"].as_array()?;
        conditions.iter().any(|it| it["reason"] == "Unschedulable").then_some(())
    })
    .await;
    agents_on(json!({ "nowhere": null })).await;
    let file = file(&it, "node-b", "block-mkdir");
    eventually("the pod has landed", async || {
        // In this order: what is there after it has landed says nothing.
        let was_there = file.exists();
        let landed = !it.api.get(&early).await.body["spec"]["nodeName"].is_null();
        assert!(was_there || !landed, "it landed before the profile");
        landed.then_some(())
    })
    .await;
    let object = node::node(&it, "node-b").await;
    assert!(!is_tainted(&object), "{object:#}");
    let (said, code) = outcome(&it, &namespace, "early").await;
    assert_eq!((said.as_str(), code), ("Seccomp:\t2\nBad system call\n", 159));
    installed(&it, "block-mkdir", "mkdir").await;
}
