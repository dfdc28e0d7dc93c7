//! What must be seen of callgate as it is deployed.

use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::{FutureExt, future::LocalBoxFuture};
use serde_json::{Value, json};

use crate::{
    deployment::{Deployment, a_moment, pod, privileged},
    load,
    patience::eventually,
    runbook::what_the_runbook_says_comes_true,
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
        &[$(Entry { name: stringify!($name), run: |it| $name(it).boxed_local() }),*]
    };
}

/// How long at most a Service goes on leading to a replica that is no more: about
/// a second where nothing else is going on.
const UNHEARD_OF: Duration = Duration::from_secs(10);

pub(crate) const ALL: &[Entry] = entries![
    a_second_apply_changes_nothing,
    both_replicas_are_ready_each_on_its_own_node,
    a_pod_that_sets_nothing_runs_under_a_filter,
    a_privileged_pod_is_refused_through_the_service,
    a_policy_that_is_edited_is_obeyed,
    while_the_deployment_is_restarted_no_pod_is_refused,
    a_replica_that_is_killed_lets_nothing_through_and_is_back,
    what_the_runbook_says_comes_true,
];

async fn a_second_apply_changes_nothing(it: Arc<Deployment>) {
    assert_eq!(it.kubectl_ok(&["diff", "-k", Deployment::overlay()]).await, "");
    let said = it.kubectl_ok(&["apply", "-k", Deployment::overlay()]).await;
    assert!(said.lines().count() > 10, "{said}");
    // kubectl replaces a selector by itself every time.
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

async fn a_privileged_pod_is_refused_through_the_service(it: Arc<Deployment>) {
    let namespace = it.namespace("privileged").await;
    let reply = it.create(&namespace, &privileged("bad")).await;
    assert_eq!(
        reply.message(),
        "admission webhook \"validate.callgate.dev\" denied the request: \
         policy \"restricted\" refuses pod \"bad\" in namespace \"privileged\": \
         spec.containers[0] \"app\": privileged turns seccomp off, whatever profile it names \
         [privileged]"
    );
}

async fn a_policy_that_is_edited_is_obeyed(it: Arc<Deployment>) {
    let path = "/apis/callgate.dev/v1alpha1/seccomppolicies/shop";
    let policy = |spec: Value| {
        json!({
            "apiVersion": "callgate.dev/v1alpha1", "kind": "SeccompPolicy",
            "metadata": { "name": "shop" }, "spec": spec,
        })
    };
    it.api.apply(path, &policy(json!({}))).await.expect_ok("the policy");
    // Which replica is asked is not for us to say, and each learns by itself.
    let namespace = eventually("the policy is known", async || {
        let dry = json!({
            "apiVersion": "v1", "kind": "Namespace",
            "metadata": { "name": "edited", "labels": { "callgate.dev/policy": "shop" } },
        });
        let reply = it.api.post("/api/v1/namespaces?dryRun=All", &dry).await;
        reply.is_ok().then_some("edited")
    })
    .await;
    let namespace = it.namespace_obeying(namespace, "shop").await;
    let pods = format!("/api/v1/namespaces/{namespace}/pods?dryRun=All");
    let refused = async || {
        let reply = it.api.post(&pods, &privileged("bad")).await;
        reply.message().contains("policy \"shop\" refuses").then_some(())
    };
    eventually("the policy is obeyed", refused).await;

    let change = json!({ "rules": { "privileged": "Warn", "unset": "Off" } });
    it.api.apply(path, &policy(change)).await.expect_ok("the change");
    let start = Instant::now();
    eventually("the change is obeyed", async || {
        it.api.post(&pods, &privileged("bad")).await.is_ok().then_some(())
    })
    .await;
    assert!(start.elapsed().as_secs() < 2, "it took {:?}", start.elapsed());
}

async fn while_the_deployment_is_restarted_no_pod_is_refused(it: Arc<Deployment>) {
    let namespace = it.namespace("restart").await;
    let before = it.replicas().await;
    let ((), outcome) = load::during(&it.api, &namespace, async {
        it.kubectl_ok(&["-n", "callgate-system", "rollout", "restart", "deployment/callgate"])
            .await;
        it.rolled_out().await;
        eventually("the old replicas are gone", async || {
            let now = it.replicas().await;
            (!before.iter().any(|old| now.iter().any(|it| it.name == old.name))).then_some(())
        })
        .await;
        a_moment().await;
    })
    .await;
    let first: Vec<_> = outcome.refused.iter().take(3).collect();
    assert!(first.is_empty(), "{} refused: {first:#?}", outcome.refused.len());
    assert_eq!(outcome.unprotected, 0);
    assert!(outcome.created > 100, "{}", outcome.created);
}

async fn a_replica_that_is_killed_lets_nothing_through_and_is_back(it: Arc<Deployment>) {
    let namespace = it.namespace("killed").await;
    for replica in it.replicas().await {
        let ((), outcome) = load::during(&it.api, &namespace, async {
            replica.kill();
            eventually("it is back", async || {
                let now = it.replicas().await;
                let back = |now: &crate::deployment::Replica| {
                    now.name == replica.name && now.is_ready && now.restarts > replica.restarts
                };
                now.iter().any(back).then_some(())
            })
            .await;
            a_moment().await;
        })
        .await;
        assert_eq!(outcome.unprotected, 0);
        assert!(outcome.created > 100, "{}", outcome.created);
        // Until the Service has heard of it, about a second, new connections still lead to it: then a call fails, and
        // with it the pod, or it is refused for what was not repaired.
        for (at, why) in outcome.refused {
            let gone =
                ["connection refused", "EOF", "connection reset", "broken pipe", "server closed"];
            let known = [&gone[..], &["[unset]"]].concat();
            assert!(known.iter().any(|it| why.contains(it)), "{at:?}: {why}");
            assert!(at < UNHEARD_OF, "{at:?}: {why}");
        }
    }
}
