//! Pods that were there before the policy stay manageable (S18).

use serde_json::json;

use crate::trial::{Test, container, ok, pod, trials};

trials![an_old_pod_can_be_labelled_freed_of_finalizers_and_deleted];

async fn an_old_pod_can_be_labelled_freed_of_finalizers_and_deleted(it: Test) {
    let it = Test { namespace: it.plain_namespace().await, ..it };
    let spec = json!({ "containers": [container("app", &json!({ "privileged": true }))] });
    let mut old = pod("old", &spec);
    old["metadata"]["finalizers"] = json!(["example.com/hold"]);
    it.accepts(&old).await;
    let label = json!({ "metadata": { "labels": { "callgate.dev/policy": "restricted" } } });
    ok(it.api().merge(&format!("/api/v1/namespaces/{}", it.namespace), &label).await, "opt in");
    it.world.await_refusal(&it.namespace).await;

    let labelled = json!({ "metadata": { "labels": { "team": "shop" } } });
    ok(it.api().merge(&it.pod("old"), &labelled).await, "a label");
    ok(it.api().delete(&format!("{}?gracePeriodSeconds=0", it.pod("old"))).await, "a deletion");
    assert_eq!(it.api().get(&it.pod("old")).await.status, 200, "the finalizer holds it");
    let freed = json!({ "metadata": { "finalizers": null } });
    ok(it.api().merge(&it.pod("old"), &freed).await, "the end of the finalizer");
    assert_eq!(it.api().get(&it.pod("old")).await.status, 404, "it is gone");
}
