//! The cost for a replica of watching thousands of nodes, and of judging by them.

use std::{
    io::{self, Write},
    time::Duration,
};

use serde_json::{Value, json};
use support::{
    bench::usage::Usage,
    e2e::{api::Api, instance::Instance},
};
use tokio::time::interval;

use crate::fill::{self, Filled};

const CHANGES: u32 = 100;
const DECISIONS: u32 = 500;

/// Longer than changes are gathered, so that each makes a separate snapshot.
const APART: Duration = Duration::from_millis(100);

pub(crate) async fn measure(
    api: &Api,
    webhook: &Instance,
    filled: &Filled,
    out: &mut impl Write,
) -> io::Result<()> {
    let idle = cpu_of(webhook, async || ()).await;
    let changes = cpu_of(webhook, async || change(api, filled).await).await.saturating_sub(idle);
    writeln!(
        out,
        "Of one node's inventory another profile, {CHANGES} times: {:.2} ms of processor time each\n",
        changes.as_secs_f64() * 1e3 / f64::from(CHANGES)
    )?;
    writeln!(
        out,
        "{DECISIONS} pods with a Localhost profile, a node selector, an affinity and tolerations, \
        which nearly all nodes meet; µs from the last byte of a review to its answer, on average\n\n\
        | `/mutate` | `/validate` |\n| ---: | ---: |"
    )?;
    let before = [durations(webhook, "mutate").await, durations(webhook, "validate").await];
    let path = format!("/api/v1/namespaces/{}/pods?dryRun=All", filled.for_pods[0]);
    for _ in 0..DECISIONS {
        api.post(&path, &pod()).await.expect_ok("the pod");
    }
    let after = [durations(webhook, "mutate").await, durations(webhook, "validate").await];
    let mean = |at: usize| {
        let count = after[at].1 - before[at].1;
        assert!(count >= f64::from(DECISIONS), "{count} reviews");
        (after[at].0 - before[at].0) * 1e6 / count
    };
    writeln!(out, "| {:.0} | {:.0} |\n", mean(0), mean(1))
}

/// The time that callgate runs while something is done, and for as long as
/// [`CHANGES`] take.
async fn cpu_of(webhook: &Instance, act: impl AsyncFn()) -> Duration {
    let before = Usage(webhook.id()).cpu();
    let mut pace = interval(APART * CHANGES);
    pace.tick().await;
    act().await;
    pace.tick().await;
    Usage(webhook.id()).cpu().saturating_sub(before)
}

async fn change(api: &Api, filled: &Filled) {
    let mut pace = interval(APART);
    for at in 0..CHANGES {
        pace.tick().await;
        let (path, mut object) = fill::inventory_of(filled, at);
        object["status"]["profiles"][0]["digest"] = json!(format!("sha256:{:064x}", 1_000 + at));
        let status = json!({ "status": object["status"] });
        api.merge(&path, &status).await.expect_ok("the status");
    }
}

/// The sum of all durations of one webhook, in seconds, and their number.
async fn durations(webhook: &Instance, name: &str) -> (f64, f64) {
    let page = webhook.ask("/metrics").await.expect("the admin port answers");
    let value = |what: &str| {
        let series = format!("callgate_review_duration_seconds_{what}{{webhook=\"{name}\"}} ");
        let line = page.lines().find_map(|it| it.strip_prefix(&*series));
        line.and_then(|it| it.parse().ok()).unwrap_or(0.0)
    };
    (value("sum"), value("count"))
}

fn pod() -> Value {
    let expression = |key: &str, operator: &str, values: &[&str]| json!({ "key": key, "operator": operator, "values": values });
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": { "name": "decided" },
        "spec": {
            "serviceAccountName": "checkout",
            "securityContext": { "seccompProfile":
                { "type": "Localhost", "localhostProfile": "callgate/profile-7.json" } },
            "nodeSelector": { "topology.kubernetes.io/region": "eu-west-1" },
            "affinity": { "nodeAffinity": { "requiredDuringSchedulingIgnoredDuringExecution": {
                "nodeSelectorTerms": [
                    { "matchExpressions": [
                        expression("topology.kubernetes.io/zone", "In", &["eu-west-9a", "eu-west-9b"]),
                    ] },
                    { "matchExpressions": [
                        expression("kubernetes.io/arch", "In", &["amd64", "arm64"]),
                        expression("example.com/generation", "NotIn", &["99"]),
                    ] },
                ],
            } } },
            "tolerations": [
                { "key": "dedicated", "operator": "Equal", "value": "gpu", "effect": "NoSchedule" },
                { "key": "example.com/spot", "operator": "Exists" },
            ],
            "containers": [{ "name": "app", "image": "registry.example.com/app:1" }],
        },
    })
}
