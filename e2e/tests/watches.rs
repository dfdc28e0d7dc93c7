//! How a replica handles malformed objects, and connections that stop answering.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use support::{
    e2e::instance::{Instance, Setup},
    report::report,
    wait::eventually,
};

use super::accepted::{look_again, look_away};
use crate::{
    front::{Front, Way},
    trial::{Test, container, pod, trials},
};

trials![
    malformed_objects_break_no_watch_and_weaken_no_policy,
    a_connection_that_falls_silent_is_replaced_within_seconds,
    a_replica_whose_watches_are_silent_logs_it_and_is_not_ready,
    replicas_stay_ready_while_the_api_server_is_down,
    look_ups_that_hang_do_not_delay_other_reviews,
    a_label_that_is_tightened_counts_for_the_next_pod,
    a_recreated_namespace_is_judged_by_its_own_label,
    an_unreadable_object_is_logged_once_and_metadata_changes_make_no_snapshot,
];

const POLICIES: &str = "/apis/callgate.dev/v1alpha1/seccomppolicies";
const PROFILES: &str = "/apis/callgate.dev/v1alpha1/seccompprofiles";
const REPORTS: &str = "/apis/callgate.dev/v1alpha1/seccompnodes";

/// Only this replica judges a namespace without a label.
const FOR_ALL: &str = "--default-policy=restricted";

fn privileged(name: &str) -> Value {
    let spec = json!({ "containers": [container("app", &json!({ "privileged": true }))] });
    pod(name, &spec)
}

/// A replica only for these namespaces that reaches the API server through `front`.
pub(super) async fn behind(
    it: &Test,
    front: &Front,
    name: &str,
    namespaces: &[&str],
    flags: &[&str],
) -> Instance {
    let setup = Setup {
        namespaces: namespaces.iter().map(|it| (*it).to_owned()).collect(),
        flags: flags.iter().map(|it| (*it).to_owned()).collect(),
        kubeconfig: Some(front.kubeconfig()),
        ..Setup::default()
    };
    it.instance(name, setup).await
}

/// `managedFields` nested to this depth, as a change of an object.
pub(super) fn deep(depth: usize, more: &str) -> String {
    let fields = format!("{}{{}}{}", r#"{"f:a":"#.repeat(depth), "}".repeat(depth));
    format!(
        r#"{{"metadata":{{"managedFields":[{{"manager":"stranger","operation":"Update",
            "apiVersion":"v1","time":"2026-11-24T10:00:00Z","fieldsType":"FieldsV1",
            "fieldsV1":{fields}}}]{more}}}}}"#
    )
}

/// Unusual changes of an object, most of which an API server stores.
pub(super) fn strange() -> Vec<(String, String)> {
    // For 8,000 levels an API server takes minutes to compute its own fields.
    let mut all: Vec<_> =
        [127, 128, 141, 500, 1000].map(|depth| (format!("deep-{depth}"), deep(depth, ""))).into();
    let huge = "x".repeat(250 << 10);
    let texts = [
        ("huge", huge.as_str()),
        ("quotes", r#"\"\\\"]}],\"items\":[{\"metadata\":{}}]"#),
        ("lines", r"\n\r\t\u2028\u0000\u001f"),
        ("surrogates", r"\ud800 \udfff \ud83d\ude00"),
        ("bidi", "\u{202e}\u{feff}\u{fffd}"),
    ];
    for (name, text) in texts {
        let change = format!(r#"{{"metadata":{{"annotations":{{"example.com/a":"{text}"}}}}}}"#);
        all.push((name.to_owned(), change));
    }
    let labels: Vec<_> = (0..2000).map(|at| format!(r#""example.com/l{at}":"v{at}""#)).collect();
    let many = format!(r#"{{"metadata":{{"labels":{{{}}}}}}}"#, labels.join(","));
    all.push(("many-labels".to_owned(), many));
    let finalizers: Vec<_> = (0..500).map(|at| format!(r#""example.com/f{at}""#)).collect();
    let held = format!(r#"{{"metadata":{{"finalizers":[{}]}}}}"#, finalizers.join(","));
    all.push(("held".to_owned(), held));
    all
}

/// A valid object of that kind; no pod is scheduled on such a node.
pub(super) fn object(kind: &str, name: &str) -> Value {
    let (version, spec) = match kind {
        "Namespace" => ("v1", json!({})),
        "Node" => ("v1", json!({ "unschedulable": true })),
        "RuntimeClass" => ("node.k8s.io/v1", Value::Null),
        "SeccompProfile" => {
            let syscalls = json!([{ "names": ["mkdir"], "action": "SCMP_ACT_ERRNO" }]);
            let spec = json!({ "defaultAction": "SCMP_ACT_ALLOW", "syscalls": syscalls });
            ("callgate.dev/v1alpha1", spec)
        }
        _ => ("callgate.dev/v1alpha1", json!({})),
    };
    let labels = if kind == "Namespace" {
        json!({ "callgate.dev/policy": "restricted" })
    } else {
        json!({})
    };
    let metadata = json!({ "name": name, "labels": labels });
    let mut object =
        json!({ "apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec });
    if kind == "RuntimeClass" {
        object["handler"] = json!("runc");
    }
    object
}

async fn malformed_objects_break_no_watch_and_weaken_no_policy(it: Test) {
    let api = it.api();
    let mut made = Vec::new();
    let mut deepest = 0;
    let list = |kind: &str| match kind {
        "Namespace" => "/api/v1/namespaces",
        "Node" => "/api/v1/nodes",
        "RuntimeClass" => "/apis/node.k8s.io/v1/runtimeclasses",
        "SeccompNode" => REPORTS,
        "SeccompPolicy" => POLICIES,
        _ => PROFILES,
    };
    let own = ["SeccompNode", "SeccompPolicy", "SeccompProfile"];
    for kind in ["Namespace", "Node", "RuntimeClass"].into_iter().chain(own) {
        let list = list(kind);
        for (what, change) in strange() {
            let stem = &it.namespace[it.namespace.len() - 8..];
            // No Node has the name of a SeccompNode that names another.
            let name = format!("strange-{what}-{}-{stem}", kind.to_lowercase());
            let object = object(kind, &name);
            api.post(list, &object).await.expect_ok("the object");
            let path = format!("{list}/{name}");
            let reply = api.merge_text(&path, change).await;
            if reply.is_ok()
                && let Some(depth) = what.strip_prefix("deep-")
            {
                deepest = deepest.max(depth.parse().expect("it is a number"));
            }
            made.push((kind, name, path, reply.is_ok()));
        }
    }
    let stored = made.iter().filter(|it| it.3).count();
    assert!(
        deepest >= 1000 && stored > 30,
        "{stored} of {} are stored, {deepest} deep",
        made.len()
    );

    // A replica that starts now becomes ready, and has all of them.
    let namespaces: Vec<_> =
        made.iter().filter(|it| it.0 == "Namespace").map(|it| &*it.1).collect();
    let front = Front::of(api).await;
    let late = behind(&it, &front, "strange", &namespaces, &[]).await;
    for namespace in &namespaces {
        let path = format!("/api/v1/namespaces/{namespace}/pods?dryRun=All");
        let reply = api.post(&path, &privileged("web")).await;
        assert!(reply.message().contains("[privileged]"), "{namespace}: {}", reply.message());
    }
    let metrics = late.ask("/metrics").await.expect("it answers");
    let unreadable = metrics.lines().filter(|it| it.starts_with("callgate_objects_unreadable{"));
    let unreadable: Vec<_> = unreadable.filter(|it| !it.ends_with(" 0")).collect();
    assert!(unreadable.is_empty(), "{unreadable:?}");
    // A replica that has run for long receives later changes too.
    let label =
        |policy: &str| json!({ "metadata": { "labels": { "callgate.dev/policy": policy } } });
    for namespace in &namespaces {
        let path = format!("/api/v1/namespaces/{namespace}");
        let change = json!({ "metadata": { "labels": { "callgate.dev/mode": "warn" } } });
        let reply = api.merge(&path, &change).await;
        assert!(reply.is_ok(), "{namespace}: {}", reply.message());
        let pods = format!("{path}/pods?dryRun=All");
        eventually("its mode counts", async || {
            api.post(&pods, &privileged("web")).await.is_ok().then_some(())
        })
        .await;
    }
    let policy = made.iter().find(|it| it.0 == "SeccompPolicy" && it.1.contains("deep-500"));
    let (_, policy, path, _) = policy.expect("there is one");
    let own = format!("/api/v1/namespaces/{}", it.namespace);
    eventually("a policy is known, deep as it is", async || {
        api.merge(&own, &label(policy)).await.is_ok().then_some(())
    })
    .await;
    eventually("it is obeyed", async || {
        let reply = api.post(&format!("{}?dryRun=All", it.pods()), &privileged("web")).await;
        reply.message().contains(&format!("policy {policy:?} denies pod")).then_some(())
    })
    .await;
    let accepted = json!({ "spec": { "templates": "Deny" } });
    api.merge(path, &accepted).await.expect_ok("a change of the policy");
    api.merge(&own, &label("restricted")).await.expect_ok("the label");
    drop(late);
    for (kind, _, path, _) in &made {
        let bare = json!({ "metadata": { "managedFields": [{}], "finalizers": null } });
        api.merge(path, &bare).await;
        eventually("it can be deleted", async || {
            let reply = api.delete(path).await;
            (reply.is_ok() || reply.status == 404).then_some(kind)
        })
        .await;
    }
}

/// How many seconds ago the watch was confirmed, by the metric.
async fn age(instance: &Instance, object: &str) -> Option<u64> {
    let metrics = instance.ask("/metrics").await?;
    let name = format!("callgate_watch_confirmed_timestamp_seconds{{object={object:?}}} ");
    let at: u64 = metrics.lines().find_map(|it| it.strip_prefix(&name))?.parse().ok()?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_secs();
    Some(now.saturating_sub(at))
}

async fn a_connection_that_falls_silent_is_replaced_within_seconds(it: Test) {
    let namespace = it.plain_namespace().await;
    let path = format!("/api/v1/namespaces/{namespace}");
    let mode = |it: &str| json!({ "metadata": { "labels": { "callgate.dev/mode": it } } });
    it.api().merge(&path, &mode("audit")).await.expect_ok("the label");
    let front = Front::of(it.api()).await;
    let replica = behind(&it, &front, "silent", &[&namespace], &[FOR_ALL]).await;
    front.freeze();
    it.api().merge(&path, &mode("enforce")).await.expect_ok("the label");
    let pods = format!("{path}/pods?dryRun=All");
    eventually("the new label counts", async || {
        let reply = it.api().post(&pods, &privileged("web")).await;
        reply.message().contains("[privileged]").then_some(())
    })
    .await;
    // It has caught up in time, so it never was unready.
    assert!(replica.ask("/readyz").await.is_some(), "it is ready");
}

async fn a_replica_whose_watches_are_silent_logs_it_and_is_not_ready(it: Test) {
    let namespace = it.plain_namespace().await;
    let front = Front::of(it.api()).await;
    let replica = behind(&it, &front, "behind", &[&namespace], &[FOR_ALL]).await;
    let is_watch = |uri: &str| uri.starts_with("/api/v1/namespaces?");
    front.decide(move |_, uri| if is_watch(uri) { Way::Silent } else { Way::Through });
    eventually("it is not ready", async || replica.ask("/readyz").await.is_none().then_some(()))
        .await;
    assert!(age(&replica, "namespaces").await > Some(14), "the metric says so");
    assert!(age(&replica, "nodes").await < Some(30), "of that watch alone");
    // If the API server rejects a watch, no other replica has newer facts.
    front.decide(move |_, uri| if is_watch(uri) { Way::Refused } else { Way::Through });
    eventually("it is ready if all watches are rejected", async || replica.ask("/readyz").await)
        .await;
    front.decide(move |_, uri| if is_watch(uri) { Way::Silent } else { Way::Through });
    eventually("it is not ready again", async || {
        replica.ask("/readyz").await.is_none().then_some(())
    })
    .await;
    front.decide(|_, _| Way::Through);
    eventually("it has caught up", async || replica.ask("/readyz").await).await;
    assert!(age(&replica, "namespaces").await < Some(15), "and says so");
}

async fn replicas_stay_ready_while_the_api_server_is_down(it: Test) {
    let namespace = it.plain_namespace().await;
    let path = format!("/api/v1/namespaces/{namespace}");
    let front = Front::of(it.api()).await;
    let replica = behind(&it, &front, "away", &[&namespace], &[FOR_ALL]).await;
    let ready = Some(("200".to_owned(), "ok\n".to_owned()));
    front.decide(|_, _| Way::Silent);
    eventually("every watch is long out of date", async || {
        assert_eq!(replica.answer("/readyz").await, ready, "the last snapshot goes on deciding");
        let mut ages = Vec::new();
        let own = ["seccompnodes", "seccomppolicies", "seccompprofiles"];
        for object in ["namespaces", "nodes", "runtimeclasses"].into_iter().chain(own) {
            ages.push(age(&replica, object).await?);
        }
        ages.iter().all(|it| *it > 25).then_some(())
    })
    .await;
    let reply = it.api().post(&format!("{path}/pods?dryRun=All"), &privileged("web")).await;
    assert!(reply.message().contains("[privileged]"), "{}", reply.message());
    front.decide(|_, _| Way::Through);
    eventually("it is in touch again", async || {
        assert_eq!(replica.answer("/readyz").await, ready, "and was ready all the time");
        (age(&replica, "namespaces").await? < 15).then_some(())
    })
    .await;
}

async fn look_ups_that_hang_do_not_delay_other_reviews(it: Test) {
    let known = it.plain_namespace().await;
    let new = format!("{known}-new");
    let front = Front::of(it.api()).await;
    let flags = [FOR_ALL, "--max-in-flight=64"];
    let _replica = behind(&it, &front, "look-ups", &[&known, &new], &flags).await;
    front.decide(
        |_, uri| {
            if uri.starts_with("/api/v1/namespaces") { Way::Silent } else { Way::Through }
        },
    );
    let labels = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": new } });
    it.api().post("/api/v1/namespaces", &labels).await.expect_ok("the namespace");
    let account =
        json!({ "apiVersion": "v1", "kind": "ServiceAccount", "metadata": { "name": "default" } });
    it.api().post(&format!("/api/v1/namespaces/{new}/serviceaccounts"), &account).await;
    let hanging = (0..150).map(|at| {
        let (api, path) = (it.api().clone(), format!("/api/v1/namespaces/{new}/pods?dryRun=All"));
        tokio::spawn(async move { api.post(&path, &privileged(&format!("web-{at}"))).await })
    });
    let hanging: Vec<_> = hanging.collect();
    eventually("they are asked for", async || {
        (front.asked(|it| it.contains(&new)) > 3).then_some(())
    })
    .await;
    let path = format!("/api/v1/namespaces/{known}/pods?dryRun=All");
    while !hanging.iter().all(tokio::task::JoinHandle::is_finished) {
        let reply = it.api().post(&path, &privileged("web")).await;
        assert!(reply.message().contains("[privileged]"), "{}", reply.message());
    }
    for one in hanging {
        let reply = one.await.expect("it does not panic");
        assert!(!reply.is_ok(), "a pod was created without a verdict");
    }
    it.api().delete(&format!("/api/v1/namespaces/{new}")).await.expect_ok("its end");
}

/// The replica has reviewed the change of the namespace itself.
async fn a_label_that_is_tightened_counts_for_the_next_pod(it: Test) {
    let late = late_after_tightening(&it, 40).await;
    // The rest are look-ups that take too long on a busy machine.
    report(&format!("{late} of 40 pods were judged by the label before"));
    assert!(late <= 4, "{late} of 40");
}

/// How many of `count` pods are judged by the previous label, in a namespace whose mode is
/// tightened just before each.
async fn late_after_tightening(it: &Test, count: usize) -> usize {
    let path = format!("/api/v1/namespaces/{}", it.namespace);
    let pods = format!("{}?dryRun=All", it.pods());
    let mode = async |mode: &str| {
        let labels = json!({ "metadata": { "labels": { "callgate.dev/mode": mode } } });
        it.api().merge(&path, &labels).await.expect_ok("the label");
    };
    let mut late = 0;
    for _ in 0..count {
        mode("audit").await;
        eventually("the mode counts", async || {
            it.api().post(&pods, &privileged("web")).await.is_ok().then_some(())
        })
        .await;
        mode("enforce").await;
        late += usize::from(it.api().post(&pods, &privileged("web")).await.is_ok());
    }
    late
}

/// Its predecessor of the same name had a laxer label.
async fn a_recreated_namespace_is_judged_by_its_own_label(it: Test) {
    const COUNT: usize = 20;
    let name = format!("anew-{}", it.namespace);
    let path = format!("/api/v1/namespaces/{name}");
    let pods = format!("{path}/pods?dryRun=All");
    let make = async |mode: &str| {
        let labels = json!({ "callgate.dev/policy": "restricted", "callgate.dev/mode": mode });
        let namespace = json!({
            "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name, "labels": labels },
        });
        it.api().post("/api/v1/namespaces", &namespace).await.expect_ok("the namespace");
        let account = json!({
            "apiVersion": "v1", "kind": "ServiceAccount", "metadata": { "name": "default" },
        });
        it.api().post(&format!("{path}/serviceaccounts"), &account).await;
    };
    let remove = async || {
        it.api().delete(&path).await.expect_ok("its end");
        eventually("it is gone", async || (it.api().get(&path).await.status == 404).then_some(()))
            .await;
    };
    let mut late = 0;
    for _ in 0..COUNT {
        make("audit").await;
        eventually("its mode counts", async || {
            it.api().post(&pods, &privileged("web")).await.is_ok().then_some(())
        })
        .await;
        remove().await;
        make("enforce").await;
        late += usize::from(it.api().post(&pods, &privileged("web")).await.is_ok());
        remove().await;
    }
    report(&format!("{late} of {COUNT} pods were judged by the label of the predecessor"));
    assert!(late <= 2, "{late} of {COUNT}");
}

async fn an_unreadable_object_is_logged_once_and_metadata_changes_make_no_snapshot(it: Test) {
    const COUNT: usize = 30;
    let stem = format!("{}-odd-", &it.namespace[it.namespace.len() - 8..]);
    let odd = |at: usize| format!("{POLICIES}/x{stem}{at}");
    look_away(&it, "but-odd", &format!("!request.name.contains({stem:?})")).await;
    let elsewhere = json!({ "type": "Localhost", "localhostProfile": "./web.json" });
    for at in 0..COUNT {
        let policy = json!({
            "apiVersion": "callgate.dev/v1alpha1", "kind": "SeccompPolicy",
            "metadata": { "name": format!("x{stem}{at}") }, "spec": { "default": elsewhere },
        });
        eventually("it is let in", async || {
            it.api().apply(&odd(at), &policy).await.is_ok().then_some(())
        })
        .await;
    }
    let told = || {
        let log = std::fs::read_to_string(it.world.webhook.log()).expect("there is a log");
        let is_ours = |line: &&str| line.contains("policy cannot be read") && line.contains(&stem);
        log.lines().filter(is_ours).count()
    };
    eventually("each is logged", async || (told() >= COUNT).then_some(())).await;
    for at in 0..COUNT {
        let touch = json!({ "metadata": { "annotations": { "example.com/touched": "yes" } } });
        it.api().merge(&odd(at), &touch).await.expect_ok("an annotation");
    }
    // Another change; once it is seen, all changes before it are.
    let path = format!("/api/v1/namespaces/{}", it.namespace);
    let mode = json!({ "metadata": { "labels": { "callgate.dev/mode": "warn" } } });
    it.api().merge(&path, &mode).await.expect_ok("the label");
    eventually("it counts", async || {
        let pods = format!("{}?dryRun=All", it.pods());
        it.api().post(&pods, &privileged("web")).await.is_ok().then_some(())
    })
    .await;
    assert_eq!(told(), COUNT, "each is logged once");
    for at in 0..COUNT {
        it.api().delete(&odd(at)).await.expect_ok("its end");
    }
    look_again(&it, "but-odd").await;
}
