//! Pods that were there before the policy stay manageable (S18).

use serde_json::json;

use crate::trial::{Test, container, pod, trials};

trials![an_old_pod_can_be_labelled_freed_of_finalizers_and_deleted];

async fn an_old_pod_can_be_labelled_freed_of_finalizers_and_deleted(it: Test) {
    let it = Test { namespace: it.plain_namespace().await, ..it };
    let spec = json!({ "containers": [container("app", &json!({ "privileged": true }))] });
    let mut old = pod("old", &spec);
    old["metadata"]["finalizers"] = json!(["example.com/hold"]);
    it.accepts(&old).await;
    it.opt_in().await;

    let labelled = json!({ "metadata": { "labels": { "team": "shop" } } });
    it.api().merge(&it.pod("old"), &labelled).await.expect_ok("a label");
    it.api()
        .delete(&format!("{}?gracePeriodSeconds=0", it.pod("old")))
        .await
        .expect_ok("a deletion");
    assert_eq!(it.api().get(&it.pod("old")).await.status, 200, "the finalizer holds it");
    let freed = json!({ "metadata": { "finalizers": null } });
    it.api().merge(&it.pod("old"), &freed).await.expect_ok("the end of the finalizer");
    assert_eq!(it.api().get(&it.pod("old")).await.status, 404, "it is gone");
}
