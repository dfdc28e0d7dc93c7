//! Workloads: their authors get a warning, their pods are denied (S20).

use serde_json::{Value, json};
use support::wait::eventually;

use crate::trial::{Test, container, trials};

trials![
    a_bad_template_gets_a_warning_and_its_pods_are_denied_with_an_event,
    a_template_is_never_changed,
    an_old_template_can_be_scaled_and_deleted_where_templates_are_denied,
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

/// As controllers do it: the deployment controller scales an old object down, and the garbage
/// collector removes a finalizer.
async fn an_old_template_can_be_scaled_and_deleted_where_templates_are_denied(it: Test) {
    let policy = json!({
        "apiVersion": "callgate.dev/v1alpha1", "kind": "SeccompPolicy",
        "metadata": { "name": "templates-denied" }, "spec": { "templates": "Deny", "default": { "type": "RuntimeDefault" } },
    });
    let policies = "/apis/callgate.dev/v1alpha1/seccomppolicies";
    it.api().post(policies, &policy).await.expect_ok("the policy");
    let spec = json!({ "containers": [container("app", &json!({ "privileged": true }))] });
    let mut old = deployment(&spec);
    old["kind"] = json!("ReplicaSet");
    old["metadata"]["finalizers"] = json!(["example.com/last-words"]);
    old["spec"]["replicas"] = json!(0);
    let path = format!("/apis/apps/v1/namespaces/{}/replicasets", it.namespace);
    it.api().post(&path, &old).await.expect_ok("a template is only warned about");

    let label = json!({ "metadata": { "labels": { "callgate.dev/policy": "templates-denied" } } });
    let namespace = format!("/api/v1/namespaces/{}", it.namespace);
    it.api().merge(&namespace, &label).await.expect_ok("the label");
    let new = format!("{path}?dryRun=All");
    old["metadata"]["name"] = json!("new");
    eventually("a bad template is denied", async || {
        (!it.api().post(&new, &old).await.is_ok()).then_some(())
    })
    .await;
    let web = format!("{path}/web");
    let reply = it.api().merge(&web, &json!({ "spec": { "replicas": 1 } })).await;
    assert_eq!(
        reply.warnings,
        [
            r#"policy "templates-denied" will deny its pods: spec.template.spec.containers[0] "app": privileged turns seccomp off; remove it [privileged]"#
        ]
    );
    reply.expect_ok("the template is as it was");
    let image = json!([{ "op": "replace", "path": "/spec/template/spec/containers/0/image",
        "value": "other" }]);
    let reply = it.api().json_patch(&web, &image).await;
    assert!(reply.message().contains("denies replicaset \"web\""), "{}", reply.message());

    it.api().delete(&web).await.expect_ok("the deletion");
    let none = json!({ "metadata": { "finalizers": null } });
    it.api().merge(&web, &none).await.expect_ok("the end of the finalizer");
    eventually("it is gone", async || (it.api().get(&web).await.status == 404).then_some(())).await;
}
