//! Pods older than the policy stay manageable (S18).

use serde_json::json;
use support::e2e::instance::Setup;

use crate::trial::{Test, container, denial, pod, trials};

trials![
    an_old_pod_can_be_labelled_freed_of_finalizers_and_deleted,
    an_exemption_by_image_does_not_cover_another_image_set_later,
    a_pod_of_a_thousand_containers_can_be_labelled,
    a_pod_of_twenty_thousand_containers_can_be_freed_of_finalizers,
];

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

/// Like `kubectl set image`.
async fn an_exemption_by_image_does_not_cover_another_image_set_later(it: Test) {
    let namespace = it.plain_namespace().await;
    let policy = "
        apiVersion: callgate.dev/v1alpha1
        kind: SeccompPolicy
        metadata: { name: exporters }
        spec:
          default: { type: RuntimeDefault }
          exemptions:
            - name: node-exporter
              reason: reads host counters
              owner: sre@example.com
              rules: [privileged]
              match: { images: [registry.example.com/node-exporter@sha256:aaaa] }
    ";
    let setup = Setup {
        policy: policy.to_owned(),
        namespaces: vec![namespace.clone()],
        ..Setup::default()
    };
    let _instance = it.instance("exporters", setup).await;
    let it = Test { namespace, world: it.world.clone() };
    let image =
        |image: &str| json!({ "spec": { "containers": [{ "name": "exporter", "image": image }] } });
    let mut exporter = container("exporter", &json!({ "privileged": true }));
    exporter["image"] = json!(EXEMPT);
    let log = container("log", &json!({}));
    it.accepts(&pod("web", &json!({ "containers": [exporter, log] }))).await;

    let reply = it.api().strategic(&it.pod("web"), &image("evil.example/rootkit:1")).await;
    let line = "spec.containers[0] \"exporter\": privileged turns seccomp off; remove it, or ask \
                for an exemption [privileged]";
    let expected = denial(&it.namespace, "exporters", "web", &[line]);
    assert_eq!(reply.message(), expected.replace("denies pod", "denies the new image of pod"));
    let stored = it.api().get(&it.pod("web")).await.expect_ok("the pod");
    assert_eq!(stored["spec"]["containers"][0]["image"], EXEMPT);

    let other = json!({ "spec": { "containers": [{ "name": "log", "image": "log:2" }] } });
    it.api()
        .strategic(&it.pod("web"), &other)
        .await
        .expect_ok("an image of a container without a finding");
    it.api().strategic(&it.pod("web"), &image(EXEMPT)).await.expect_ok("nothing new");
    it.api().delete(&it.pod("web")).await.expect_ok("a deletion");
}

const EXEMPT: &str = "registry.example.com/node-exporter@sha256:aaaa";

/// The cost of match conditions is limited; above the limit the API server rejects every update.
async fn a_pod_of_a_thousand_containers_can_be_labelled(it: Test) {
    let it = Test { namespace: it.plain_namespace().await, ..it };
    let containers: Vec<_> =
        (0..1_000).map(|it| container(&format!("c{it}"), &json!({ "privileged": true }))).collect();
    it.accepts(&pod("crowd", &json!({ "containers": containers }))).await;
    it.opt_in().await;
    let labelled = json!({ "metadata": { "labels": { "team": "shop" } } });
    it.api().merge(&it.pod("crowd"), &labelled).await.expect_ok("a label");
    let image = json!({ "spec": { "containers": [{ "name": "c999", "image": "app:2" }] } });
    let reply = it.api().strategic(&it.pod("crowd"), &image).await;
    let line = "spec.containers[999] \"c999\": privileged turns seccomp off; remove it, or ask for an exemption \
                [privileged]";
    assert!(reply.message().contains(line), "{}", reply.message());
}

/// As many containers as the API server stores, more than its conditions may iterate over: a
/// namespace with such a pod could never be deleted.
async fn a_pod_of_twenty_thousand_containers_can_be_freed_of_finalizers(it: Test) {
    let it = Test { namespace: it.plain_namespace().await, ..it };
    let containers: Vec<_> =
        (0..20_000).map(|it| json!({ "name": format!("c{it}"), "image": "a" })).collect();
    let spec = json!({ "automountServiceAccountToken": false, "containers": containers });
    let mut crowd = pod("crowd", &spec);
    crowd["metadata"]["finalizers"] = json!(["example.com/hold"]);
    it.accepts(&crowd).await;
    it.opt_in().await;
    let path = format!("{}?gracePeriodSeconds=0", it.pod("crowd"));
    it.api().delete(&path).await.expect_ok("a deletion");
    let freed = json!({ "metadata": { "finalizers": null } });
    it.api().merge(&it.pod("crowd"), &freed).await.expect_ok("the end of the finalizer");
    assert_eq!(it.api().get(&it.pod("crowd")).await.status, 404, "it is gone");
}
