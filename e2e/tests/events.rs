//! Denied pods lead to one Event on their owner.

use serde_json::{Value, json};
use support::{e2e::api::Api, wait::eventually};

use crate::trial::{Test, container, pod, trials};

trials![
    a_replica_set_whose_pods_are_denied_has_one_event_with_a_count,
    a_dry_run_and_a_pod_without_an_owner_lead_to_no_event,
];

/// What `kubectl describe` looks for: the core Events of one object.
async fn events(api: &Api, namespace: &str, uid: &str) -> Vec<Value> {
    let path =
        format!("/api/v1/namespaces/{namespace}/events?fieldSelector=involvedObject.uid%3D{uid}");
    let list = api.get(&path).await.expect_ok("events are listed");
    let events = list["items"].as_array().expect("a list").clone();
    events.into_iter().filter(|it| it["reportingComponent"] == "callgate").collect()
}

fn privileged() -> Value {
    json!({ "containers": [container("app", &json!({ "privileged": true }))] })
}

async fn a_replica_set_whose_pods_are_denied_has_one_event_with_a_count(it: Test) {
    let deployment = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "web" },
        "spec": {
            "replicas": 2,
            "selector": { "matchLabels": { "app": "web" } },
            "template": { "metadata": { "labels": { "app": "web" } }, "spec": privileged() },
        },
    });
    let namespace = &it.namespace;
    let root = format!("/apis/apps/v1/namespaces/{namespace}");
    let made = it.api().post(&format!("{root}/deployments"), &deployment).await;
    made.expect_ok("a template is only warned about");
    let set = eventually("it has a ReplicaSet", async || {
        it.api().get(&format!("{root}/replicasets")).await.body["items"].get(0).cloned()
    })
    .await;
    let uid = set["metadata"]["uid"].as_str().expect("it has a uid");

    // Its controller tries again and again, with growing pauses.
    let event = eventually("its event counts", async || {
        let events = events(it.api(), namespace, uid).await;
        assert!(events.len() <= 1, "one for all: {events:?}");
        let event = events.into_iter().next()?;
        (event["series"]["count"].as_u64() >= Some(5)).then_some(event)
    })
    .await;
    let message = format!(
        "policy \"restricted\" denies pod in namespace {namespace:?}: spec.containers[0] \"app\": \
         privileged turns seccomp off; remove it, or ask for an exemption [privileged]\n  \
         more: callgate explain privileged"
    );
    assert_eq!(event["message"], message);
    assert_eq!((&event["type"], &event["reason"]), (&json!("Warning"), &json!("SeccompRefused")));
    let involved = &event["involvedObject"];
    assert_eq!(
        (&involved["kind"], &involved["name"]),
        (&json!("ReplicaSet"), &set["metadata"]["name"])
    );
    it.api().delete(&format!("{root}/deployments/web")).await.expect_ok("its end");
}

async fn a_dry_run_and_a_pod_without_an_owner_lead_to_no_event(it: Test) {
    let owned = |uid: &str| {
        let mut pod = pod("web", &privileged());
        pod["metadata"]["ownerReferences"] = json!([{
            "apiVersion": "example.com/v1", "kind": "Shop", "name": "ours", "uid": uid,
        }]);
        pod
    };
    let create = async |query: &str, pod: &Value| {
        let reply = it.api().post(&format!("{}{query}", it.pods()), pod).await;
        assert_eq!(reply.status, 403, "{}", reply.message());
    };
    create("?dryRun=All", &owned("11111111-2222-3333-4444-000000000001")).await;
    create("", &pod("alone", &privileged())).await;
    // Reported last, so Events that were reported before would exist as well.
    let last = "11111111-2222-3333-4444-000000000002";
    create("", &owned(last)).await;
    eventually("the last is reported", async || {
        events(it.api(), &it.namespace, last).await.into_iter().next()
    })
    .await;
    let path = format!("/api/v1/namespaces/{}/events", it.namespace);
    let all = it.api().get(&path).await.expect_ok("events are listed");
    let ours = all["items"].as_array().expect("a list").iter();
    assert_eq!(ours.filter(|it| it["reportingComponent"] == "callgate").count(), 1, "{all}");
}
