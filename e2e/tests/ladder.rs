//! `callgate ladder`, by evidence that replicas have kept.

use std::{fs, process::Command};

use serde_json::{Value, json};
use support::{
    e2e::{
        api::Api,
        instance::{Instance, Setup},
        manifests::{manifests, path_of},
    },
    openreports,
    program::said,
    report::report,
    wait::{eventually, patiently},
};

use crate::trial::{Test, container, pod, trials};

trials![
    what_would_be_denied_is_kept_and_forbids_to_enforce,
    a_namespace_in_which_nothing_was_found_is_promoted_step_by_step,
    what_two_replicas_find_is_added_up,
    evidence_is_all_that_the_component_may_read_and_write,
];

const OBJECT: &str = "seccompevidences/callgate";

fn path(namespace: &str) -> String {
    format!("/apis/callgate.dev/v1alpha1/namespaces/{namespace}/{OBJECT}")
}

fn privileged(name: &str) -> Value {
    let context = json!({ "privileged": true, "seccompProfile": { "type": "RuntimeDefault" } });
    pod(name, &json!({ "containers": [container("app", &context)] }))
}

/// The exit code, standard output and standard error of `callgate ladder`.
fn ladder(it: &Test, arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_callgate"))
        .arg("ladder")
        .arg("--kubeconfig")
        .arg(&it.world.site.kubeconfig)
        .args(arguments)
        .env_clear()
        .output()
        .expect("the binary starts");
    said(output)
}

/// A namespace in mode audit, for which there is evidence.
async fn audited(it: &Test) -> String {
    let labels = json!({ "callgate.dev/policy": "restricted", "callgate.dev/mode": "audit" });
    let namespace = it.world.namespace("ladder", &labels).await;
    it.world.await_calls(&it.world.webhook, &namespace).await;
    eventually("there is evidence", async || {
        it.api().get(&path(&namespace)).await.is_ok().then_some(())
    })
    .await;
    namespace
}

async fn status(api: &Api, namespace: &str) -> Value {
    api.get(&path(namespace)).await.body["status"].clone()
}

async fn what_would_be_denied_is_kept_and_forbids_to_enforce(it: Test) {
    let namespace = audited(&it).await;
    let template = privileged("web");
    let deployment = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "web" },
        "spec": {
            "replicas": 2,
            "selector": { "matchLabels": { "app": "web" } },
            "template": { "metadata": { "labels": { "app": "web" } }, "spec": template["spec"] },
        },
    });
    let deployments = format!("/apis/apps/v1/namespaces/{namespace}/deployments");
    it.api().post(&deployments, &deployment).await.expect_ok("a deployment in mode audit");
    // A dry run makes no pod.
    let pods = format!("/api/v1/namespaces/{namespace}/pods");
    it.api().post(&format!("{pods}?dryRun=All"), &privileged("dry")).await.expect_ok("a dry run");
    let status = patiently("both pods are in the evidence", async || {
        let status = status(it.api(), &namespace).await;
        (status["pods"] == 2).then_some(status)
    })
    .await;
    let findings = status["findings"].as_array().expect("a list");
    let [finding] = findings.as_slice() else { panic!("{status}") };
    let expected = json!({
        "policy": "restricted", "rule": "privileged",
        "owner": { "apiVersion": "apps/v1", "kind": "Deployment", "name": "web" },
        "field": "spec.containers[0] \"app\"", "message": "privileged turns seccomp off",
        "count": 2, "first": finding["first"], "last": status["last"],
    });
    assert_eq!(finding, &expected);

    // Its pods are gone, and would be forgotten by a scan.
    it.api().delete(&format!("{deployments}/web")).await.expect_ok("its end");
    eventually("its pods are gone", async || {
        let (code, out, error) = ladder(&it, &[&namespace, "--output", "json"]);
        assert_eq!(code, Some(0), "{error}");
        let json: Value = serde_json::from_str(&out).expect("it is JSON");
        let reasons = json["namespaces"][0]["next"][1]["reasons"].to_string();
        (!reasons.contains("workload")).then_some(())
    })
    .await;
    let arguments = [namespace.as_str(), "--promote", "--to", "enforce", "--observed", "1h"];
    let (code, out, error) = ladder(&it, &arguments);
    assert_eq!(code, Some(1), "{out}{error}");
    let why = "not promoted to enforce: within the last 1h pods would have been denied: those of \
        deployment \"web\" (privileged); observed since ";
    assert!(error.starts_with(why), "{error}");
    let labels = &it.api().get(&format!("/api/v1/namespaces/{namespace}")).await.body;
    assert_eq!(labels["metadata"]["labels"]["callgate.dev/mode"], "audit");
}

async fn a_namespace_in_which_nothing_was_found_is_promoted_step_by_step(it: Test) {
    let namespace = audited(&it).await;
    let mode = async || {
        let object = it.api().get(&format!("/api/v1/namespaces/{namespace}")).await.body;
        object["metadata"]["labels"]["callgate.dev/mode"].clone()
    };
    let said = |mode: &str| format!("namespace {namespace:?} is in mode {mode} now\n");
    let (code, _, error) = ladder(&it, &[&namespace, "--promote"]);
    assert_eq!((code, error), (Some(0), said("warn")));
    assert_eq!(mode().await, "warn");
    let (code, _, error) = ladder(&it, &[&namespace, "--promote"]);
    assert_eq!(code, Some(1), "{error}");
    assert!(error.starts_with("not promoted to enforce: observed since 2"), "{error}");
    assert!(error.ends_with("Z, which is less than 7d\n"), "{error}");
    assert_eq!(mode().await, "warn");
    eventually("it has been observed for two seconds", async || {
        let (code, _, error) = ladder(&it, &[&namespace, "--promote", "--observed", "2s"]);
        (code == Some(0) && error == said("enforce")).then_some(())
    })
    .await;
    assert_eq!(mode().await, "enforce");
    let (code, _, error) = ladder(&it, &[&namespace, "--promote"]);
    let end = format!("error: namespace {namespace:?} is in mode \"enforce\": there is no step\n");
    assert_eq!((code, error), (Some(2), end));
    let plain = it.plain_namespace().await;
    let (code, _, error) = ladder(&it, &[&plain]);
    let begin = format!(
        "error: namespace {plain:?} names no policy; begin with `kubectl label namespace {plain} \
         callgate.dev/policy=restricted callgate.dev/mode=audit`\n"
    );
    assert_eq!((code, error), (Some(2), begin));
}

async fn what_two_replicas_find_is_added_up(it: Test) {
    let namespace = audited(&it).await;
    let definition = openreports::definition();
    if let Some(definition) = &definition {
        it.api().apply(&path_of(definition), definition).await.expect_ok("the definition");
        eventually("its objects can be listed", async || {
            it.api().get("/apis/openreports.io/v1alpha1/reports").await.is_ok().then_some(())
        })
        .await;
    }
    // Both judge each pod, and both write.
    let setup = Setup {
        flags: vec!["--open-reports".to_owned(), "--evidence".to_owned()],
        namespaces: vec![namespace.clone()],
        ..Setup::default()
    };
    let name = format!("ladder-{}", &it.namespace[it.namespace.len() - 8..]);
    let second = Instance::start(it.api(), &it.world.site, &name, &setup, |_| ()).await;
    it.world.await_calls(&second, &namespace).await;
    let pods = format!("/api/v1/namespaces/{namespace}/pods");
    for number in 0..3 {
        let reply = it.api().post(&pods, &privileged(&format!("web-{number}"))).await;
        reply.expect_ok("a pod in mode audit");
    }
    let status = patiently("both have written", async || {
        let status = status(it.api(), &namespace).await;
        (status["pods"] == 6).then_some(status)
    })
    .await;
    let owners: Vec<_> = status["findings"].as_array().expect("a list").iter().collect();
    assert_eq!(owners.len(), 3, "{status}");
    for it in owners {
        assert_eq!((&it["owner"]["kind"], &it["count"]), (&json!("Pod"), &json!(2)), "{it}");
    }
    let Some(definition) = definition else {
        return report("skipped: cannot download the Go module of openreports");
    };
    let path = format!("/apis/openreports.io/v1alpha1/namespaces/{namespace}/reports/callgate");
    patiently("the second has written a report", async || {
        let report = it.api().get(&path).await.body;
        (report["results"].as_array()?.len() == 3).then_some(())
    })
    .await;
    it.api().delete(&path_of(&definition)).await.expect_ok("the end of the definition");
}

/// The rules that the component adds to the role.
fn rules() -> Vec<Value> {
    let file = "manifests/components/evidence/kustomization.yaml";
    let text = fs::read_to_string(file).expect("there is a component");
    let component: Value = serde_saphyr::from_str(&text).expect("it is YAML");
    let patches = component["patches"].as_array().expect("a list");
    let of_role = patches.iter().find(|it| it["target"]["kind"] == "ClusterRole");
    let patch = of_role.expect("it has rights")["patch"].as_str().expect("a text");
    let operations: Vec<Value> = serde_saphyr::from_str(patch).expect("it is YAML");
    operations.iter().map(|it| it["value"].clone()).collect()
}

async fn evidence_is_all_that_the_component_may_read_and_write(it: Test) {
    let namespace = audited(&it).await;
    let mut role =
        manifests("rbac").into_iter().find(|it| it["kind"] == "ClusterRole").expect("a role");
    role["metadata"]["name"] = json!(it.namespace);
    role["rules"] = json!(rules());
    let user = format!("system:serviceaccount:{}:callgate", it.namespace);
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
        "metadata": { "name": it.namespace },
        "roleRef": {
            "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": it.namespace,
        },
        "subjects": [{ "kind": "User", "name": user, "apiGroup": "rbac.authorization.k8s.io" }],
    });
    for object in [&role, &binding] {
        it.api().apply(&path_of(object), object).await.expect_ok("the role");
    }
    let groups = ["system:serviceaccounts", "system:authenticated"];
    let callgate = Api::connect_as(&it.world.site.kubeconfig, &user, &groups).await;
    let own = path(&namespace);
    eventually("the role is known", async || callgate.get(&own).await.is_ok().then_some(())).await;

    let all = own.strip_suffix("/callgate").expect("it has a name");
    let root = "/apis/callgate.dev/v1alpha1/seccompevidences";
    let listed = callgate.get(&format!("{root}?fieldSelector=metadata.name%3Dcallgate")).await;
    assert_eq!(listed.status, 200, "{}", listed.message());
    let status = json!({ "status": { "pods": 7 } });
    assert_eq!(callgate.merge(&format!("{own}/status"), &status).await.status, 200);
    let object = json!({
        "apiVersion": "callgate.dev/v1alpha1", "kind": "SeccompEvidence",
        "metadata": { "name": "callgate" }, "spec": {},
    });
    let created = callgate.post(&format!("{all}?dryRun=All"), &object).await;
    assert_eq!(created.status, 409, "to get that answer takes the right: {}", created.message());
    for forbidden in [root.to_owned(), format!("{all}/another"), format!("{own}/status")] {
        assert_eq!(callgate.get(&forbidden).await.status, 403, "{forbidden}");
    }
    let labelled = json!({ "metadata": { "labels": { "a": "b" } } });
    assert_eq!(callgate.merge(&own, &labelled).await.status, 403);
    assert_eq!(callgate.delete(&own).await.status, 403);
    for object in [&binding, &role] {
        it.api().delete(&path_of(object)).await;
    }
}
