//! Another client overwrites the `caBundle` or the Secret again and again.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use support::{
    e2e::{
        load::{self, MANY},
        trust::{overwritten, stranger},
    },
    wait::eventually,
};

use crate::{
    pair::Pair,
    trial::{Test, trials},
};

trials![
    a_tool_that_resets_the_ca_bundle_every_second_fails_at_most_one_pod_in_twenty,
    a_ca_bundle_that_was_reset_many_times_is_restored_as_soon_as_the_first_time,
];

/// More than callgate restores without a pause.
const RESETS: usize = 20;

/// Two replicas that the API server calls.
async fn called(it: &Test) -> Pair {
    let mut pair = Pair::of(it, "fight").await;
    for _ in 0..2 {
        pair.add(it, BTreeMap::new()).await;
    }
    pair.are_called().await;
    pair
}

/// Sets the `caBundle` of all webhooks, as a tool of that name.
async fn reset(it: &Test, pair: &Pair, manager: &str, bundle: &Value) {
    for path in &pair.configurations {
        let configuration = it.api().get(path).await.body;
        let change = overwritten(&configuration, bundle);
        let path = format!("{path}?fieldManager={manager}");
        it.api().merge(&path, &change).await.expect_ok("the reset");
    }
}

async fn healed(pair: &Pair, ca: &str) {
    eventually("the caBundle is restored", async || {
        pair.bundle().await.filter(|it| it == ca).map(drop)
    })
    .await;
}

async fn a_tool_that_resets_the_ca_bundle_every_second_fails_at_most_one_pod_in_twenty(it: Test) {
    let pair = called(&it).await;
    let ca = pair.bundle().await.expect("it is published");
    let theirs = json!(STANDARD.encode(stranger().0));
    let ((), outcome) = load::during(it.api(), &pair.namespace, async |load| {
        load.goes_on().await;
        for _ in 0..RESETS {
            reset(&it, &pair, "some-tool", &theirs).await;
            load.is_sent().await;
        }
        healed(&pair, &ca).await;
        load.goes_on().await;
    })
    .await;
    outcome.report("bundles reset every second");
    outcome.allows_no_bad_pod();
    outcome.is_refused_only_for(&["x509: certificate signed by unknown authority"]);
    assert!(outcome.share() >= 0.95, "only {:.3} of the pods were created", outcome.share());

    // The metric, the log and an Event report it; the latter two name the field manager.
    for kind in ["mutating", "validating"] {
        let metric = format!("callgate_bundles_put_back_total{{configuration=\"{kind}\"}}");
        assert!(pair.sum(&metric).await >= 10.0, "{kind}");
    }
    let message = "another field manager overwrote the caBundle, restored";
    let mut lines: Vec<_> = pair.replicas.iter().flat_map(|it| it.said(message)).collect();
    assert!((2..=4).contains(&lines.len()), "each replica says it once: {lines:?}");
    lines.retain(|it| it["manager"] != "some-tool");
    assert_eq!(lines, [Value::Null; 0]);
    let selector = format!("fieldSelector=regarding.name%3D{}", pair.name);
    let path = format!("/apis/events.k8s.io/v1/namespaces/default/events?{selector}");
    let event = eventually("an Event tells of it", async || {
        it.api().get(&path).await.body["items"].as_array()?.first().cloned()
    })
    .await;
    assert_eq!(event["reason"], "BundleOverwritten");
    assert_eq!(
        event["note"],
        "field manager \"some-tool\" overwrites the caBundle of callgate's webhooks: \
         pods are refused until callgate has put it back"
    );
    let configuration = it.api().get(&pair.configurations[0]).await.body;
    let kinds = ["MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"];
    assert!(kinds.contains(&event["regarding"]["kind"].as_str().expect("a kind")));
    assert_eq!(event["regarding"]["name"], configuration["metadata"]["name"]);
    // No replica created a new CA because of that.
    assert_eq!(pair.bundle().await, Some(ca));
    pair.uninstall().await;
}

/// Removed this time, so that there is no field manager to name; and without a
/// pause, so that more writes are needed than may follow each other at once.
async fn a_ca_bundle_that_was_reset_many_times_is_restored_as_soon_as_the_first_time(it: Test) {
    let pair = called(&it).await;
    let ca = pair.bundle().await.expect("it is published");
    let (last, outcome) = load::during(it.api(), &pair.namespace, async |load| {
        load.goes_on().await;
        for _ in 0..RESETS {
            reset(&it, &pair, "another-tool", &Value::Null).await;
            healed(&pair, &ca).await;
        }
        let last = load.now();
        reset(&it, &pair, "another-tool", &Value::Null).await;
        healed(&pair, &ca).await;
        load.recovers().await;
        last
    })
    .await;
    outcome.report("caBundles removed as soon as they were restored");
    outcome.allows_no_bad_pod();
    // In this many seconds, on an idle machine.
    let failed = outcome.failed_since(last);
    assert!(failed < 2 * MANY, "{failed} pods were denied");
    let message = "another field manager overwrote the caBundle, restored";
    let lines: Vec<_> = pair.replicas.iter().flat_map(|it| it.said(message)).collect();
    assert!(!lines.is_empty() && lines.iter().all(|it| it["manager"] == ""), "{lines:?}");
    pair.uninstall().await;
}
