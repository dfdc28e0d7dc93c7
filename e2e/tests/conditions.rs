//! The match conditions skip only calls whose answer is certain.
//!
//! The API server itself evaluates the conditions: a pod that it does not send
//! must pass under every policy.

use std::collections::BTreeMap;

use callgate::{
    placement::Nodes,
    pod::{Kind, Pod, Scope, Subject},
    policy::{Facts, Mode, Policy, RuntimeClasses, Verdict},
    profile::{Catalog, Managed, ProfilePath},
};
use proptest::{
    strategy::{Strategy, ValueTree},
    test_runner::TestRunner,
};
use serde_json::{Value, json};
use support::{
    e2e::instance::{Instance, Setup, lines_about},
    generated, harness,
    table::{self, Case},
};

use crate::{
    tests::on_nodes::define_classes,
    trial::{Test, trials},
};

trials![
    every_pod_that_match_conditions_skip_passes_under_every_policy,
    every_update_that_match_conditions_skip_passes_under_every_policy,
    a_match_condition_that_skips_too_many_pods_is_detected,
    a_match_condition_that_skips_too_many_updates_is_detected,
];

/// The strictest policy, with a profile to inject.
const STRICTEST: &str = "
apiVersion: callgate.dev/v1alpha1
kind: SeccompPolicy
metadata: { name: strictest }
spec:
  default: { type: RuntimeDefault }
  placement: Pin
  rules: { legacy-annotation: Deny }
";

async fn every_pod_that_match_conditions_skip_passes_under_every_policy(it: Test) {
    let (unsound, spared) = unsound(&it, &pods(200), |_| ()).await;
    assert!(unsound.is_empty(), "{}", unsound.join("\n"));
    let [mutate, validate] = spared;
    assert!(mutate > 10 && validate > 3, "the conditions spare calls: {mutate}, {validate}");
}

async fn every_update_that_match_conditions_skip_passes_under_every_policy(it: Test) {
    let pods: Vec<_> = pods(100).into_iter().filter(|it| it["spec"]["os"].is_null()).collect();
    let (unsound, spared, asked) = unsound_updates(&it, &pods, |_| ()).await;
    assert!(unsound.is_empty(), "{}", unsound.join("\n"));
    assert!(spared > 10 && asked > 10, "{spared} updates are spared, {asked} are not");
}

/// Verifies that the law can fail.
async fn a_match_condition_that_skips_too_many_pods_is_detected(it: Test) {
    let privileged = json!({ "privileged": true });
    let bad = json!({ "metadata": { "name": "web" }, "spec": {
        "securityContext": { "seccompProfile": { "type": "RuntimeDefault" } },
        "containers": [{ "name": "app", "image": "app", "securityContext": privileged }],
    }});
    let careless = |webhook: &mut Value| {
        if webhook["name"] == "validate.callgate.dev" {
            let condition = "object.metadata.name == 'probe'";
            webhook["matchConditions"] = json!([{ "name": "careless", "expression": condition }]);
        }
    };
    let (unsound, _) = unsound(&it, &[bad], careless).await;
    assert_eq!(unsound.len(), 1, "{unsound:?}");
    assert!(unsound[0].contains("[privileged]"), "{unsound:?}");
}

async fn a_match_condition_that_skips_too_many_updates_is_detected(it: Test) {
    let privileged = json!({ "privileged": true });
    let containers = ["app", "log"]
        .map(|it| json!({ "name": it, "image": "app", "securityContext": privileged }));
    let bad = json!({ "metadata": { "name": "web" }, "spec": { "containers": containers } });
    let careless = |webhook: &mut Value| {
        if webhook["name"] == "validate.callgate.dev" {
            let condition = "request.operation == 'CREATE' || \
                object.spec.containers[0].image != oldObject.spec.containers[0].image";
            webhook["matchConditions"] = json!([{ "name": "careless", "expression": condition }]);
        }
    };
    // In the third pod, only the second container gets a new image.
    let pods = vec![bad; 3];
    let (unsound, ..) = unsound_updates(&it, &pods, careless).await;
    assert_eq!(unsound.len(), 1, "{unsound:?}");
    assert!(unsound[0].contains("[privileged]"), "{unsound:?}");
}

/// The pods of every table, and generated ones.
fn pods(generated: usize) -> Vec<Value> {
    let is_new_pod = |it: &Case| it.kind() == Kind::Pod && it.old.is_none();
    let tables = table::all(harness::TODAY);
    let cases = tables.iter().flat_map(|(_, table)| &table.cases).filter(|it| is_new_pod(it));
    let mut pods: Vec<_> = cases.map(|it| it.object.clone()).collect();
    let mut runner = TestRunner::deterministic();
    pods.extend((0..generated).map(|_| {
        let tree = generated::pod().new_tree(&mut runner).expect("pods can be generated");
        let mut pod = tree.current();
        // The API server rejects them in a create, before any webhook.
        pod["spec"].as_object_mut().expect("it has one").remove("ephemeralContainers");
        pod
    }));
    pods
}

/// Creates every pod (in a dry run) and returns the findings in those for which a
/// webhook was not called, and how many those are for each webhook.
async fn unsound(
    it: &Test,
    pods: &[Value],
    change: impl Fn(&mut Value),
) -> (Vec<String>, [usize; 2]) {
    let (instance, namespace) = watching(it, change).await;
    let mut stored = BTreeMap::new();
    for (number, pod) in pods.iter().enumerate() {
        let pod = named(pod, &format!("pod-{number}-x"), &namespace);
        let path = format!("/api/v1/namespaces/{namespace}/pods?dryRun=All");
        let reply = it.api().post(&path, &pod).await;
        if reply.is_ok() {
            stored.insert(format!("pod-{number}-x"), (pod, reply.body));
        }
    }
    judge(&instance, &namespace, &stored)
}

/// Changes some images of every pod, or none, and returns the findings in updates
/// for which no webhook was called, how many those are, and how many were sent.
async fn unsound_updates(
    it: &Test,
    pods: &[Value],
    change: impl Fn(&mut Value),
) -> (Vec<String>, usize, usize) {
    let (instance, namespace) = watching(it, change).await;
    let path = format!("/api/v1/namespaces/{namespace}/pods");
    let mut updated = BTreeMap::new();
    for (number, pod) in pods.iter().enumerate() {
        let name = format!("pod-{number}-x");
        let reply = it.api().post(&path, &named(pod, &name, &namespace)).await;
        if !reply.is_ok() {
            continue; // The API server itself rejects some.
        }
        let before = reply.body;
        let mut after = before.clone();
        // A client that binds it or writes its status may be faster.
        after["metadata"]["resourceVersion"] = json!(null);
        after["metadata"]["labels"]["changed"] = json!("yes");
        let lists = ["containers", "initContainers"].into_iter();
        let places = lists.flat_map(|list| (0..3).map(move |at| format!("/spec/{list}/{at}")));
        for (bit, place) in places.enumerate() {
            if let (1, Some(container)) = (number >> bit & 1, after.pointer_mut(&place)) {
                container["image"] = json!("another");
            }
        }
        let reply = it.api().put(&format!("{path}/{name}?dryRun=All"), &after).await;
        updated.insert(name, (before, reply.expect_ok("an update")));
    }
    let log = std::fs::read_to_string(instance.log()).expect("there is a log");
    let asked = |webhook: &str, name: &str| {
        let name = format!("\"name\":{name:?}");
        let words =
            [format!("\"webhook\":{webhook:?}"), "\"operation\":\"update\"".to_owned(), name];
        log.lines().any(|line| words.iter().all(|it| line.contains(it)))
    };
    let (mut unsound, mut spared) = (Vec::new(), 0);
    for (name, (before, after)) in &updated {
        if asked("mutate", name) {
            unsound.push(format!("/mutate was asked about an update of {before}"));
        }
        if !asked("validate", name) {
            spared += 1;
            let (lines, _) = verdict(after, &of_new_images(before));
            unsound.extend(lines.iter().map(|line| format!("{line} in {after}, before {before}")));
        }
    }
    (unsound, spared, updated.len() - spared)
}

fn of_new_images(before: &Value) -> Scope {
    let text = before.to_string();
    let before: Pod<'_> = serde_json::from_str(&text).expect("a pod");
    let known = before.containers().map(|it| (it.name.to_owned(), it.image.to_owned()));
    Scope::ImagesChanged { known: known.collect() }
}

fn named(pod: &Value, name: &str, namespace: &str) -> Value {
    let mut pod = pod.clone();
    pod["apiVersion"] = json!("v1");
    pod["kind"] = json!("Pod");
    pod["metadata"]["name"] = json!(name);
    pod["metadata"]["namespace"] = json!(namespace);
    // In a cluster with nodes, no scheduler may bind it.
    pod["spec"]["schedulerName"] = json!("no-scheduler");
    pod
}

/// A webhook for a separate namespace, which denies nothing.
async fn watching(it: &Test, change: impl Fn(&mut Value)) -> (Instance, String) {
    let namespace = it.plain_namespace().await;
    for (_, table) in table::all(harness::TODAY) {
        define_classes(it, &table).await;
    }
    let setup = Setup {
        // Nothing is denied, so every pod that is sent reaches both webhooks.
        policy: STRICTEST.replace(
            "rules: { legacy-annotation: Deny }",
            "rules: { privileged: Audit, unconfined: Audit, unknown-type: Audit, \
             invalid-path: Audit, missing-profile: Audit, partial-profile: Audit, \
             hollow-profile: Audit, faulty-profile: Audit }",
        ),
        namespaces: vec![namespace.clone()],
        ..Setup::default()
    };
    (it.instance_with("conditions", setup, change).await, namespace)
}

fn judge(
    instance: &Instance,
    namespace: &str,
    stored: &BTreeMap<String, (Value, Value)>,
) -> (Vec<String>, [usize; 2]) {
    let log = std::fs::read_to_string(instance.log()).expect("there is a log");
    assert!(!lines_about(&instance.log(), namespace).is_empty(), "something was asked about");
    let asked = |webhook: &str, name: &str| {
        let words = [format!("\"webhook\":{webhook:?}"), format!("\"name\":{name:?}")];
        log.lines().any(|line| words.iter().all(|it| line.contains(it)))
    };
    let (mut unsound, mut spared) = (Vec::new(), [0, 0]);
    for (name, (submitted, accepted)) in stored {
        if !asked("mutate", name) {
            spared[0] += 1;
            let (_, patch) = verdict(submitted, &Scope::Whole);
            if patch > 0 {
                unsound.push(format!("/mutate would have patched {submitted}"));
            }
        }
        if !asked("validate", name) {
            spared[1] += 1;
            let (lines, _) = verdict(accepted, &Scope::Whole);
            unsound.extend(lines.iter().map(|line| format!("{line} in {accepted}")));
        }
    }
    (unsound, spared)
}

/// A profile that pods can be pinned to.
fn catalog() -> Catalog {
    let path = ProfilePath::of_object("web").expect("a name");
    Catalog::default().with_managed([(path, Managed::default())])
}

/// The findings under the strictest policy, and how much it would change.
fn verdict(pod: &Value, scope: &Scope) -> (Vec<String>, usize) {
    let text = pod.to_string();
    let mut json = serde_json::Deserializer::from_str(&text);
    let Subject { pod, .. } = Kind::Pod.read(&mut json).expect("a pod").expect("a pod");
    let facts = Facts {
        policy: &Policy::parse(STRICTEST).expect("a policy"),
        catalog: &catalog(),
        nodes: &Nodes::default(),
        classes: &RuntimeClasses::default(),
        namespace: "shop",
        today: harness::TODAY,
    };
    let verdict = Verdict::of(Kind::Pod, &pod, scope, facts, Mode::Enforce);
    let lines = verdict.judged().iter().map(|it| verdict.line(it)).collect();
    (lines, verdict.patch(&pod, scope).operations.len())
}
