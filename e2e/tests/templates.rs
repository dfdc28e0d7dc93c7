//! Workloads: their authors get a warning, their pods are denied (S20).

use serde_json::{Value, json};
use support::wait::eventually;

use crate::trial::{Test, container, trials};

trials![
    a_bad_template_gets_a_warning_and_its_pods_are_denied_with_an_event,
    a_template_is_never_changed,
];

fn deployment(spec: &Value) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "web" },
        "spec": {
            "selector": { "matchLabels": { "app": "web" } },
            "template": { "metadata": { "labels": { "app": "web" } }, "spec": spec },
        },
    })
}

async fn a_bad_template_gets_a_warning_and_its_pods_are_denied_with_an_event(it: Test) {
    let spec = json!({ "containers": [container("app", &json!({ "privileged": true }))] });
    let path = format!("/apis/apps/v1/namespaces/{}/deployments", it.namespace);
    let reply = it.api().post(&path, &deployment(&spec)).await;
    assert_eq!(
        reply.warnings,
        [
            r#"policy "restricted" will deny its pods: spec.template.spec.containers[0] "app": privileged turns seccomp off; remove it [privileged]"#
        ]
    );
    reply.expect_ok("a template is only warned about");

    let path = format!("/api/v1/namespaces/{}/events", it.namespace);
    let message = eventually("an event says why there are no pods", async || {
        let events = it.api().get(&path).await.expect_ok("the events");
        let failed =
            events["items"].as_array()?.iter().find(|it| it["reason"] == "FailedCreate")?;
        Some(failed["message"].as_str()?.to_owned())
    })
    .await;
    assert!(
        message.ends_with(r#"spec.containers[0] "app": privileged turns seccomp off; remove it, or ask for an exemption [privileged]
  more: callgate explain privileged"#),
        "{message}"
    );
}

async fn a_template_is_never_changed(it: Test) {
    let spec = json!({ "containers": [{ "name": "app", "image": "app" }] });
    let path = format!("/apis/apps/v1/namespaces/{}/deployments", it.namespace);
    let reply = it.api().post(&path, &deployment(&spec)).await;
    assert!(reply.warnings.is_empty(), "its pods get a profile: {:?}", reply.warnings);
    let stored = reply.expect_ok("the deployment");
    assert!(stored["spec"]["template"]["spec"]["securityContext"]["seccompProfile"].is_null());

    let path = format!("/api/v1/namespaces/{}/pods", it.namespace);
    let pod = eventually("its pods are created", async || {
        let pods = it.api().get(&path).await.expect_ok("the pods");
        pods["items"].get(0).cloned()
    })
    .await;
    assert_eq!(pod["spec"]["securityContext"]["seccompProfile"]["type"], "RuntimeDefault");
}
