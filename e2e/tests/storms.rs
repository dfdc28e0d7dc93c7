//! Objects that change again and again, and how often replicas write their conditions.

use std::time::{Duration, Instant};

use http::StatusCode;
use serde_json::{Value, json};
use support::{report::report, wait::eventually};

use super::{
    agents::Agent,
    watches::{behind, object},
};
use crate::{
    front::Front,
    trial::{Test, container, pod, trials},
};

trials![a_storm_of_updates_is_answered_by_few_writes, memory_stays_flat_under_churn];

const PROFILES: &str = "/apis/callgate.dev/v1alpha1/seccompprofiles";

const UPDATES: usize = 1000;

const NODES: &str = "/api/v1/nodes";
const POLICIES: &str = "/apis/callgate.dev/v1alpha1/seccomppolicies";

/// How many conditions two replicas write at most for a storm of updates: one at its end, and
/// those in pauses, which a busy machine causes.
const MOST_WRITES: usize = 20;

/// How often two agents write because of it: each reports, which takes up to three writes, at
/// growing intervals.
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

/// Two further replicas and two agents, beside the replica of the suite.
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
    report(&format!(
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

/// In kibibytes, and without the pages of the program itself.
fn resident(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).expect("it runs");
    let resident = status.lines().find_map(|it| it.strip_prefix("RssAnon:")).expect("a line");
    resident.trim().trim_end_matches(" kB").parse().expect("it is a number")
}

/// How long objects come and go: `CALLGATE_CHURN_SECONDS`, which is an hour in `make test-long`.
fn churn() -> Duration {
    let seconds = std::env::var("CALLGATE_CHURN_SECONDS").ok().and_then(|it| it.parse().ok());
    Duration::from_secs(seconds.unwrap_or(20))
}

/// The median of a part of the measurements.
fn median(of: &[u64]) -> u64 {
    let mut sorted = of.to_vec();
    sorted.sort_unstable();
    sorted[sorted.len() / 2]
}

/// Profiles, policies and namespaces come, change and go, and pods are denied, while the memory of
/// a replica and of an agent is measured. It must not grow towards the end: the last quarter is
/// compared with the third, when caches are full.
async fn memory_stays_flat_under_churn(it: Test) {
    let stem = &it.namespace[it.namespace.len() - 8..];
    let namespace = it.plain_namespace().await;
    let front = Front::of(it.api()).await;
    let flags = ["--default-policy=restricted"];
    let replica = behind(&it, &front, "churn", &[&namespace], &flags).await;
    let node = format!("churn-{stem}");
    it.api().post(NODES, &object("Node", &node)).await.expect_ok("the node");
    let agent = Agent::start(&node, &it.world.site.kubeconfig);
    let pods = format!("/api/v1/namespaces/{namespace}/pods?dryRun=All");
    let labels = format!("/api/v1/namespaces/{namespace}");
    let mut measured: [Vec<u64>; 2] = Default::default();
    let (start, mut round) = (Instant::now(), 0_usize);
    while start.elapsed() < churn() || measured[0].len() < 8 {
        round += 1;
        let profile = profile(&format!("churn-{stem}-{}", round % 10), round % 100 + 1);
        let path = format!("{PROFILES}/churn-{stem}-{}", round % 10);
        it.api().apply(&path, &profile).await.expect_ok("the profile");
        let policy = object("SeccompPolicy", &format!("churn-{stem}-{round}"));
        it.api().post(POLICIES, &policy).await.expect_ok("the policy");
        let mode = if round % 2 == 0 { "warn" } else { "enforce" };
        let change = json!({ "metadata": { "labels": { "callgate.dev/mode": mode } } });
        it.api().merge(&labels, &change).await.expect_ok("the label");
        let name = format!("churn-{round}");
        let privileged = json!({ "privileged": true });
        let spec = json!({ "containers": [container("app", &privileged)] });
        it.api().post(&pods, &pod(&name, &spec)).await;
        it.api().delete(&format!("{POLICIES}/churn-{stem}-{round}")).await.expect_ok("its end");
        if round % 3 == 0 {
            it.api().delete(&path).await.expect_ok("the end of the profile");
        }
        measured[0].push(resident(replica.id()));
        measured[1].push(resident(agent.id()));
    }
    drop(agent);
    for number in 0..10 {
        it.api().delete(&format!("{PROFILES}/churn-{stem}-{number}")).await;
    }
    it.api().delete(&format!("{NODES}/{node}")).await;
    for (who, all) in ["replica", "agent"].into_iter().zip(&measured) {
        let quarter = all.len() / 4;
        let (before, after) = (median(&all[2 * quarter..3 * quarter]), median(&all[3 * quarter..]));
        report(&format!(
            "{who}: {before} KiB in the third quarter of {round} rounds, {after} in the last"
        ));
        assert!(after * 10 <= before * 12, "{who}: {before} KiB, then {after}");
    }
}
