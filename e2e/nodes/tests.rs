//! Checks of callgate as it is deployed.

use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::future::LocalBoxFuture;
use serde_json::json;
use support::{e2e::load, wait::eventually};

use crate::{
    deployment::{Deployment, Replica, path_of_policy, pod, privileged},
    runbook::what_the_runbook_says_comes_true,
    tutorial::what_the_tutorial_shows_happens,
};

/// A test's name and what it does.
#[derive(Clone, Copy)]
pub(crate) struct Entry {
    pub(crate) name: &'static str,
    pub(crate) run: fn(Arc<Deployment>) -> LocalBoxFuture<'static, ()>,
}

/// Makes a list of the functions, each under its own name.
macro_rules! entries {
    ($($name:ident),* $(,)?) => {
        &[$($crate::tests::Entry {
            name: stringify!($name),
            run: |it| ::futures_util::FutureExt::boxed_local($name(it)),
        }),*]
    };
}
pub(crate) use entries;

/// How soon an edited policy applies.
const OBEYED: Duration = Duration::from_secs(2);

/// How long at most a Service still leads to a replica that has died: about a second
/// on an idle machine.
const UNHEARD_OF: Duration = Duration::from_secs(10);

/// The error of a call to a replica that has died, or whose pod is gone.
pub(crate) const GONE: [&str; 8] = [
    "connection refused",
    "EOF",
    "connection reset",
    "broken pipe",
    "server closed",
    "no route to host",
    "network is unreachable",
    "use of closed network connection",
];

/// Further ones while no replica is left. A network need not answer for a pod that is gone.
pub(crate) const WITHOUT_REPLICAS: [&str; 2] =
    ["no endpoints available", "context deadline exceeded"];

pub(crate) const ALL: &[Entry] = entries![
    a_second_apply_changes_nothing,
    both_replicas_are_ready_each_on_its_own_node,
    a_pod_that_sets_nothing_runs_under_a_filter,
    a_privileged_pod_is_denied_through_the_service,
    an_edited_policy_applies_to_the_next_pod,
    a_policy_can_be_deleted_once_no_namespace_names_it,
    while_the_deployment_is_restarted_no_pod_is_denied,
    a_killed_replica_allows_no_bad_pod_and_is_replaced,
    what_the_runbook_says_comes_true,
    what_the_tutorial_shows_happens,
];

async fn a_second_apply_changes_nothing(it: Arc<Deployment>) {
    assert_eq!(it.kubectl_ok(&["diff", "-k", Deployment::overlay()]).await, "");
    let said = it.kubectl_ok(&["apply", "-k", Deployment::overlay()]).await;
    assert!(said.lines().count() > 10, "{said}");
    // kubectl itself replaces a selector every time.
    let replaced = "poddisruptionbudget.policy/callgate configured";
    let is_same = |it: &str| it.ends_with(" unchanged") || it == replaced;
    assert!(said.lines().all(is_same), "{said}");
}

async fn both_replicas_are_ready_each_on_its_own_node(it: Arc<Deployment>) {
    let replicas = it.replicas().await;
    assert_eq!(replicas.len(), 2, "{replicas:?}");
    assert!(replicas.iter().all(|it| it.is_ready && it.restarts == 0), "{replicas:?}");
    let nodes: BTreeSet<_> = replicas.iter().map(|it| it.node.as_str()).collect();
    assert_eq!(nodes.len(), 2, "{nodes:?}");
}

async fn a_pod_that_sets_nothing_runs_under_a_filter(it: Arc<Deployment>) {
    let namespace = it.namespace("bare").await;
    let command = ["grep", "Seccomp:", "/proc/self/status"];
    let stored = it.create(&namespace, &pod("bare", &command, &json!({}))).await;
    let stored = stored.expect_ok("a pod that sets nothing");
    let profile = &stored["spec"]["securityContext"]["seccompProfile"];
    assert_eq!(*profile, json!({ "type": "RuntimeDefault" }));
    let path = format!("/api/v1/namespaces/{namespace}/pods/bare");
    eventually("the pod has run", async || {
        let phase = it.api.get(&path).await.body["status"]["phase"].clone();
        (phase == "Succeeded").then_some(())
    })
    .await;
    let said = it.kubectl_ok(&["-n", &namespace, "logs", "bare"]).await;
    assert_eq!(said, "Seccomp:\t2\n");
}

async fn a_privileged_pod_is_denied_through_the_service(it: Arc<Deployment>) {
    let namespace = it.namespace("privileged").await;
    let reply = it.create(&namespace, &privileged("bad")).await;
    assert_eq!(
        reply.message(),
        "admission webhook \"validate.callgate.dev\" denied the request: \
         policy \"restricted\" denies pod \"bad\" in namespace \"privileged\": \
         spec.containers[0] \"app\": privileged turns seccomp off; remove it, or ask for an exemption \
         [privileged]\n  more: callgate explain privileged"
    );
}

async fn an_edited_policy_applies_to_the_next_pod(it: Arc<Deployment>) {
    let spec = |level| json!({ "default": { "type": "RuntimeDefault" }, "rules": { "privileged": level } });
    it.policy("shop", spec("Deny")).await;
    let namespace = it.namespace_obeying("edited", "shop").await;
    let pods = format!("/api/v1/namespaces/{namespace}/pods?dryRun=All");
    let refused = async || {
        let reply = it.api.post(&pods, &privileged("bad")).await;
        reply.message().contains("policy \"shop\" denies")
    };
    let ((), outcome) = load::during(&it.api, &namespace, async |load| {
        eventually("the policy is obeyed", async || refused().await.then_some(())).await;
        for (level, expected) in [("Warn", false), ("Deny", true)] {
            it.policy("shop", spec(level)).await;
            let start = Instant::now();
            eventually("the change is obeyed", async || {
                (refused().await == expected).then_some(())
            })
            .await;
            assert!(start.elapsed() < OBEYED, "{level}: it took {:?}", start.elapsed());
        }
        load.goes_on().await;
    })
    .await;
    outcome.is_flawless();
}

async fn a_policy_can_be_deleted_once_no_namespace_names_it(it: Arc<Deployment>) {
    it.policy("leaving", json!({ "default": { "type": "RuntimeDefault" } })).await;
    let namespace = it.namespace_obeying("moving", "leaving").await;
    let path = path_of_policy("leaving");
    let trial = format!("{path}?dryRun=All");
    let ((), outcome) = load::during(&it.api, &namespace, async |load| {
        eventually("it is known who obeys it", async || {
            (!it.api.delete(&trial).await.is_ok()).then_some(())
        })
        .await;
        load.goes_on().await;
        let reply = it.api.delete(&path).await;
        assert_eq!(
            reply.message(),
            "admission webhook \"objects.callgate.dev\" denied the request: \
             policy \"leaving\" governs namespaces \"moving\"; change their label callgate.dev/policy first"
        );
        it.api.get(&path).await.expect_ok("the policy is still there");
        let label = json!({ "metadata": { "labels": { "callgate.dev/policy": "restricted" } } });
        let object = format!("/api/v1/namespaces/{namespace}");
        it.api.merge(&object, &label).await.expect_ok("another label");
        eventually("no namespace names it any more", async || {
            it.api.delete(&path).await.is_ok().then_some(())
        })
        .await;
        load.goes_on().await;
    })
    .await;
    assert_eq!(it.api.get(&path).await.status, 404);
    outcome.is_flawless();
}

async fn while_the_deployment_is_restarted_no_pod_is_denied(it: Arc<Deployment>) {
    let namespace = it.namespace("restart").await;
    let before = it.replicas().await;
    let ((), outcome) = load::during(&it.api, &namespace, async |load| {
        it.kubectl_ok(&["-n", "callgate-system", "rollout", "restart", "deployment/callgate"])
            .await;
        it.rolled_out().await;
        it.gone(&before).await;
        load.goes_on().await;
    })
    .await;
    outcome.is_flawless();
}

async fn a_killed_replica_allows_no_bad_pod_and_is_replaced(it: Arc<Deployment>) {
    let namespace = it.namespace("killed").await;
    for replica in it.replicas().await {
        let ((), outcome) = load::during(&it.api, &namespace, async |load| {
            replica.kill();
            eventually("it is back", async || {
                let now = it.replicas().await;
                let back = |now: &Replica| {
                    now.name == replica.name && now.is_ready && now.restarts > replica.restarts
                };
                now.iter().any(back).then_some(())
            })
            .await;
            load.goes_on().await;
        })
        .await;
        outcome.allows_no_bad_pod();
        // Until the Service is updated, about a second, new connections still lead to it: then the call fails and the
        // pod is denied, or the pod is denied because it was not fixed.
        outcome.is_refused_only_for(&GONE);
        outcome.has_no_failures_since(UNHEARD_OF);
        outcome.report(&format!("{} killed", replica.name));
    }
}
