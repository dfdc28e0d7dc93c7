//! What happens to pods while a part of the cluster is down.

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use support::report::report;
use support::{e2e::load, wait::eventually};

use crate::{
    deployment::{Deployment, path_of_policy, pod, privileged},
    tests::{Entry, GONE, WITHOUT_REPLICAS, entries},
};

pub(crate) const ALL: &[Entry] = entries![
    while_the_api_server_is_restarted_no_bad_pod_is_allowed_and_then_all_pods_work,
    a_replica_whose_resource_version_is_compacted_lists_again,
    without_a_replica_pods_are_denied_and_system_namespaces_work,
];

async fn while_the_api_server_is_restarted_no_bad_pod_is_allowed_and_then_all_pods_work(
    it: Arc<Deployment>,
) {
    if !it.is_our_own_cluster() {
        return report("skipped: the API server of another cluster");
    }
    it.policy("lasting", json!({ "default": { "type": "RuntimeDefault" } })).await;
    let namespace = it.namespace_obeying("lasting", "lasting").await;
    let before = it.replicas().await;
    let (up, outcome) = load::during(&it.api, &namespace, async |load| {
        load.goes_on().await;
        it.restart("kube-apiserver").await;
        eventually("the API server is ready", async || {
            it.api.try_get("/readyz").await.is_ok_and(|it| it.is_ok()).then_some(())
        })
        .await;
        let up = load.now();
        load.goes_on().await;
        up
    })
    .await;
    outcome.report("API server restarted");
    outcome.allows_no_bad_pod();
    outcome.has_no_failures_since(up);
    // It may be down, or not ready to judge; a denial by callgate is not accepted.
    assert!(!outcome.unanswered.is_empty(), "the API server was not away");
    let ours = outcome.refused.iter().find(|it| it.why.contains("callgate.dev"));
    assert_eq!(ours, None);
    assert_eq!(it.replicas().await, before);
    // Changes are received again.
    it.policy("lasting", json!({ "rules": { "unset": "Deny", "privileged": "Off" } })).await;
    let pods = format!("/api/v1/namespaces/{namespace}/pods?dryRun=All");
    eventually("the change is obeyed", async || {
        let reply = it.api.post(&pods, &pod("unset", &["true"], &json!({}))).await;
        reply.message().contains("[unset]").then_some(())
    })
    .await;
}

/// A replica is stopped, and continues to watch from a resource version that is compacted in etcd,
/// and older than the cache of the API server, which was restarted meanwhile.
async fn a_replica_whose_resource_version_is_compacted_lists_again(it: Arc<Deployment>) {
    if !it.is_our_own_cluster() {
        return report("skipped: the etcd of another cluster");
    }
    let rules = |level: &str| json!({ "rules": { "privileged": level, "unset": "Off" } });
    it.policy("compacted", rules("Warn")).await;
    let namespace = it.namespace_obeying("compacted", "compacted").await;
    // The kubelet would end a replica that is stopped, if that takes long.
    tolerate(&it, 1000).await;
    it.scale(1).await;
    let replica = eventually("one replica is left", async || {
        <[_; 1]>::try_from(it.replicas().await).ok().map(|[it]| it)
    })
    .await;
    let privileged = privileged("bad");
    eventually("it obeys the policy", async || {
        it.create(&namespace, &privileged).await.is_ok().then_some(())
    })
    .await;

    replica.signal("STOP");
    it.policy("compacted", rules("Deny")).await;
    compact(&it).await;
    it.restart("kube-apiserver").await;
    eventually("the API server is ready", async || {
        it.api.try_get("/readyz").await.is_ok_and(|it| it.is_ok()).then_some(())
    })
    .await;
    replica.signal("CONT");

    let pods = format!("/api/v1/namespaces/{namespace}/pods?dryRun=All");
    eventually("the change is obeyed", async || {
        let reply = it.api.try_post(&pods, &privileged).await.ok()?;
        reply.message().contains("[privileged]").then_some(())
    })
    .await;
    let after = it.replicas().await;
    assert_eq!((&after[0].uid, after[0].restarts), (&replica.uid, replica.restarts), "the same");
    let expired = |it: &Value| {
        it["object"] == "seccomppolicies"
            && it["error"].as_str().is_some_and(|it| it.contains("too old resource version"))
    };
    // At first the API server may say that it is not ready to watch.
    eventually("the watch was too old", async || {
        let log = it.kubectl_ok(&["-n", "callgate-system", "logs", &replica.name]).await;
        let mut lines = log.lines().filter_map(|it| serde_json::from_str::<Value>(it).ok());
        lines.any(|it| expired(&it)).then_some(())
    })
    .await;
    tolerate(&it, 3).await;
    it.scale(2).await;
}

/// Sets how many times in a row a replica may be found dead before the kubelet ends it; 3 is the default.
async fn tolerate(it: &Deployment, failures: usize) {
    let path = "/spec/template/spec/containers/0/livenessProbe/failureThreshold";
    let change = json!([{ "op": "add", "path": path, "value": failures }]).to_string();
    let words = ["-n", "callgate-system", "patch", "deployment/callgate", "--type=json", "-p"];
    it.kubectl_ok(&[&words[..], &[&change]].concat()).await;
}

/// Removes from etcd all versions of objects but the last.
async fn compact(it: &Deployment) {
    let any = json!({ "key": STANDARD.encode("/registry/any") });
    let revision = etcd(it, "range", &any).await["header"]["revision"].clone();
    let order = json!({ "revision": revision, "physical": true });
    let reply = etcd(it, "compaction", &order).await;
    assert!(reply["header"].is_object(), "{reply}");
}

async fn etcd(it: &Deployment, method: &str, request: &Value) -> Value {
    let answer = it.shell(&format!("{}\netcd {method} '{request}'", it.etcd())).await;
    serde_json::from_str(&answer).unwrap_or_else(|error| panic!("{error}: {answer}"))
}

async fn without_a_replica_pods_are_denied_and_system_namespaces_work(it: Arc<Deployment>) {
    let namespace = it.namespace("closed").await;
    it.policy("doomed", json!({ "default": { "type": "RuntimeDefault" } })).await;
    let orphaned = it.namespace_obeying("orphaned", "doomed").await;
    let before = it.replicas().await;
    let (calm, outcome) = load::during(&it.api, &namespace, async |load| {
        load.goes_on().await;
        it.scale(0).await;
        it.gone(&before).await;
        load.is_refused().await;
        let reply = it.create(&namespace, &privileged("bad")).await;
        assert!(reply.message().contains("failed calling webhook"), "{}", reply.message());
        // Neither a pod that passes under every policy is delayed, nor one that is not governed.
        it.create(&namespace, &compliant("good")).await.expect_ok("a pod that is not sent to us");
        it.create("default", &privileged("free")).await.expect_ok("a namespace without a policy");
        runs_on_both_nodes(&it).await;
        // Pods that callgate has to judge are denied until it is back.
        it.api.delete(&path_of_policy("doomed")).await.expect_ok("no webhook denies it");
        it.scale(2).await;
        load.recovers().await
    })
    .await;
    outcome.report("scaled to zero and back");
    outcome.is_refused_only_for(&[&GONE[..], &WITHOUT_REPLICAS].concat());
    outcome.has_no_failures_since(calm);
    outcome.allows_no_bad_pod();

    let reply = it.create(&orphaned, &pod("lost", &["true"], &json!({}))).await;
    let expected = "admission webhook \"validate.callgate.dev\" denied the request: \
                    pods in namespace \"orphaned\" cannot be judged: \
                    policy \"doomed\" does not exist; the policies are baseline, ";
    assert!(reply.message().starts_with(expected), "{}", reply.message());
}

/// `RuntimeDefault` for the whole pod, and nothing else.
fn compliant(name: &str) -> Value {
    let mut pod = pod(name, &["true"], &json!({}));
    pod["spec"]["securityContext"] = json!({ "seccompProfile": { "type": "RuntimeDefault" } });
    pod
}

/// A `DaemonSet` of the system, with pods that no policy of ours would allow.
async fn runs_on_both_nodes(it: &Deployment) {
    let name = "suite";
    let labels = json!({ "app": name });
    let context = json!({ "privileged": true });
    let object = json!({
        "apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": { "name": name },
        "spec": {
            "selector": { "matchLabels": labels },
            "template": { "metadata": { "labels": labels }, "spec": {
                "terminationGracePeriodSeconds": 0,
                "containers": [{ "name": "app", "image": "busybox:1", "securityContext": context }],
            }},
        },
    });
    let all = "/apis/apps/v1/namespaces/kube-system/daemonsets";
    it.api.post(all, &object).await.expect_ok("the DaemonSet");
    let path = format!("{all}/{name}");
    eventually("it runs on both nodes", async || {
        let status = it.api.get(&path).await.body["status"]["numberReady"].clone();
        (status == 2).then_some(())
    })
    .await;
    it.api.delete(&path).await.expect_ok("its end");
}
