//! What happens while the webhook is down.

use serde_json::json;
use support::e2e::instance::Setup;

use crate::trial::{Test, pod, trials};

trials![without_the_webhook_pods_are_denied_and_deployments_are_not];

async fn without_the_webhook_pods_are_denied_and_deployments_are_not(it: Test) {
    let namespace = it.plain_namespace().await;
    let setup = Setup {
        policy: "restricted".to_owned(),
        namespaces: vec![namespace.clone()],
        ..Setup::default()
    };
    let mut instance = it.instance("outage", setup).await;
    instance.kill();

    let bare = json!({ "containers": [{ "name": "app", "image": "app" }] });
    let path = format!("/api/v1/namespaces/{namespace}/pods");
    let reply = it.api().post(&path, &pod("web", &bare)).await;
    assert_eq!(reply.status, 500, "{}", reply.message());
    let start = "Internal error occurred: failed calling webhook \"validate.callgate.dev\"";
    assert!(reply.message().starts_with(start), "{}", reply.message());

    let deployment = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "web" },
        "spec": {
            "replicas": 0,
            "selector": { "matchLabels": { "app": "web" } },
            "template": { "metadata": { "labels": { "app": "web" } }, "spec": bare },
        },
    });
    let path = format!("/apis/apps/v1/namespaces/{namespace}/deployments");
    it.api().post(&path, &deployment).await.expect_ok("a deployment during the outage");
}
