//! The CA that all replicas share, in a whole cluster: the Secret, the webhook
//! configurations, the API server's calls through the Service.
//!
//! `e2e/tests/ca.rs` has the details, on a control plane without nodes;
//! here the caller is the API server itself.

use std::{sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use support::{
    e2e::{
        load::{self, Load},
        trust::{overwritten, stranger},
    },
    wait::eventually,
};

use crate::{
    deployment::{Deployment, SECRET, configurations},
    tests::{Entry, GONE, WITHOUT_REPLICAS, entries},
};

pub(crate) const ALL: &[Entry] = entries![
    a_ca_secret_that_is_deleted_or_damaged_is_restored_and_no_pod_is_denied,
    a_ca_bundle_that_is_overwritten_is_restored_and_no_bad_pod_is_allowed,
    the_ca_is_rotated_and_no_pod_is_denied,
    replicas_that_start_together_without_a_secret_agree_on_one_ca,
];

/// Long enough for the Deployment to roll out before the new CA signs.
const INTRODUCTION: Duration = Duration::from_secs(15);

async fn current(it: &Deployment) -> String {
    it.stored("ca.crt").await.expect("the Secret holds a CA")
}

/// Calls the replicas directly, where they can be reached.
async fn all_serve_by(it: &Deployment, ca: &str) -> bool {
    if !it.is_our_own_cluster() {
        return current(it).await == ca;
    }
    let replicas = it.replicas().await;
    let mut all = replicas.len() == 2;
    for replica in replicas {
        all &= replica.serves_by(ca).await;
    }
    all
}

async fn a_ca_secret_that_is_deleted_or_damaged_is_restored_and_no_pod_is_denied(
    it: Arc<Deployment>,
) {
    let namespace = it.namespace("damaged").await;
    let (certificate, key) = (current(&it).await, it.stored("ca.key").await);
    let nonsense = STANDARD.encode("nonsense");
    let nonsense = json!({ "data": { "ca.crt": nonsense, "ca.key": nonsense } });
    let ((), outcome) = load::during(&it.api, &namespace, async |load| {
        for (damage, change) in [
            ("deleted", None),
            ("emptied", Some(json!({ "data": null }))),
            ("overwritten by nonsense", Some(nonsense)),
        ] {
            match change {
                None => it.api.delete(SECRET).await.expect_ok(damage),
                Some(change) => it.api.merge(SECRET, &change).await.expect_ok(damage),
            };
            eventually(&format!("a Secret that is {damage} heals"), async || {
                let healed = it.stored("ca.crt").await? == certificate;
                (healed && it.stored("ca.key").await == key).then_some(())
            })
            .await;
            load.goes_on().await;
        }
    })
    .await;
    assert_eq!(it.bundle().await, Some(certificate));
    outcome.is_flawless();
}

async fn a_ca_bundle_that_is_overwritten_is_restored_and_no_bad_pod_is_allowed(
    it: Arc<Deployment>,
) {
    let namespace = it.namespace("overwritten").await;
    let ca = current(&it).await;
    let theirs = json!(STANDARD.encode(stranger().0));
    let (healed, outcome) = load::during(&it.api, &namespace, async |load| {
        load.goes_on().await;
        for path in &configurations() {
            let configuration = it.api.get(path).await.body;
            let change = overwritten(&configuration, &theirs);
            it.api.merge(path, &change).await.expect_ok("overwritten by hand");
        }
        eventually("the caBundle is restored", async || {
            it.bundle().await.filter(|it| *it == ca).map(drop)
        })
        .await;
        load.recovers().await
    })
    .await;
    outcome.report("bundles overwritten");
    // An API server that trusts another CA cannot call us. Until it has received the restored `caBundle`, pods are
    // denied: the call fails, or the pod has not been fixed.
    outcome.is_refused_only_for(&["x509: certificate signed by unknown authority"]);
    outcome.has_no_failures_since(healed);
    outcome.allows_no_bad_pod();
    // No replica created a new CA because of that.
    assert_eq!(current(&it).await, ca);
}

async fn the_ca_is_rotated_and_no_pod_is_denied(it: Arc<Deployment>) {
    let namespace = it.namespace("rotated").await;
    let first = current(&it).await;
    let ((), outcome) = load::during(&it.api, &namespace, async |load| {
        // With a lifetime of a hundred years, the current CA counts as nearly expired.
        let introduction = format!("--ca-introduction={}s", INTRODUCTION.as_secs());
        with_flags(&it, &["--ca-lifetime=876000h", &introduction]).await;
        changes_hands(&it, load, &first).await;
        // With the previous flags.
        let before = it.replicas().await;
        it.kubectl_ok(&["apply", "-k", Deployment::overlay()]).await;
        it.rolled_out().await;
        it.gone(&before).await;
        load.goes_on().await;
    })
    .await;
    outcome.is_flawless();
}

async fn changes_hands(it: &Deployment, load: &Load, first: &str) {
    let second = it.stored("next.crt").await.expect("both are ready before the successor signs");
    let both = it.bundle().await.expect("all agree");
    assert!(both.contains(first) && both.contains(&second), "it is introduced:\n{both}");
    assert!(all_serve_by(it, first).await, "it does not sign yet");
    load.goes_on().await;
    eventually("the successor signs what is served", async || {
        all_serve_by(it, &second).await.then_some(())
    })
    .await;
    load.goes_on().await;
    assert_eq!(current(it).await, second);
    assert_eq!(it.stored("previous.crt").await.as_deref(), Some(first));
    let both = it.bundle().await.expect("all agree");
    assert!(both.contains(first) && both.contains(&second), "both stay known:\n{both}");
    let steps = it.steps().await;
    assert_eq!(steps, ["introduce", "promote"]);
}

/// Adds flags of `callgate serve`, and waits until all replicas have them.
async fn with_flags(it: &Deployment, flags: &[&str]) {
    let path = "/spec/template/spec/containers/0/args/-";
    let add = |flag: &&str| json!({ "op": "add", "path": path, "value": flag });
    let change = flags.iter().map(add).collect::<Value>().to_string();
    let words = ["-n", "callgate-system", "patch", "deployment/callgate", "--type=json", "-p"];
    let before = it.replicas().await;
    it.kubectl_ok(&[&words[..], &[&change]].concat()).await;
    it.rolled_out().await;
    it.gone(&before).await;
}

async fn replicas_that_start_together_without_a_secret_agree_on_one_ca(it: Arc<Deployment>) {
    let namespace = it.namespace("reborn").await;
    let before = it.replicas().await;
    let old = current(&it).await;
    let (calm, outcome) = load::during(&it.api, &namespace, async |load| {
        load.goes_on().await;
        it.scale(0).await;
        it.gone(&before).await;
        it.api.delete(SECRET).await.expect_ok("the Secret");
        it.scale(2).await;
        load.recovers().await
    })
    .await;
    let ca = current(&it).await;
    assert_ne!(ca, old);
    assert_eq!(it.bundle().await.as_ref(), Some(&ca));
    assert!(all_serve_by(&it, &ca).await);
    // The second replica used the CA of the first.
    assert_eq!(it.steps().await, ["create"]);
    outcome.report("started on nothing");
    // For a while there is no replica, and then none that the API server trusts yet.
    outcome.is_refused_only_for(&[&GONE[..], &WITHOUT_REPLICAS, &["x509"]].concat());
    outcome.has_no_failures_since(calm);
    outcome.allows_no_bad_pod();
}
