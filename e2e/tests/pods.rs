//! Pods and the profiles that they get.

use serde_json::{Value, json};
use support::e2e::{instance::Setup, manifests::profiles};

use crate::trial::{Test, container, pod, profile_of, trials};

trials![
    a_bare_pod_is_stored_with_runtime_default,
    a_pod_without_the_label_is_untouched,
    profiles_that_the_pod_sets_are_kept,
    the_profile_of_the_first_binding_that_selects_the_pod_is_set,
    privileged_is_denied_in_every_list,
    unconfined_is_denied_at_the_pod_and_at_a_container,
    a_pod_with_a_generated_name_is_treated_alike,
    a_dry_run_returns_the_changed_pod_and_stores_nothing,
    server_side_apply_is_judged_like_a_create,
    a_windows_pod_passes_unchanged,
    a_mirror_pod_of_a_kubelet_passes_and_a_fake_one_does_not,
    in_mode_warn_the_pod_stays_as_it_is,
    only_the_name_of_a_pod_reaches_the_log,
];

fn bare() -> Value {
    json!({ "containers": [{ "name": "app", "image": "app" }] })
}

async fn a_bare_pod_is_stored_with_runtime_default(it: Test) {
    let stored = it.accepts(&pod("bare", &bare())).await;
    assert_eq!(
        stored["spec"]["securityContext"],
        json!({ "seccompProfile": { "type": "RuntimeDefault" } })
    );
    assert_eq!(profile_of(&stored, "/spec/containers/0"), None);
}

async fn a_pod_without_the_label_is_untouched(it: Test) {
    let namespace = it.plain_namespace().await;
    let path = format!("/api/v1/namespaces/{namespace}/pods");
    let spec = json!({ "containers": [container("app", &json!({ "privileged": true }))] });
    let stored = it.api().post(&path, &pod("free", &spec)).await.expect_ok("the pod");
    assert_eq!(profile_of(&stored, "/spec"), None);
}

async fn profiles_that_the_pod_sets_are_kept(it: Test) {
    let own = |kind: &str| json!({ "seccompProfile": { "type": kind } });
    let localhost = json!({ "seccompProfile": { "type": "Localhost", "localhostProfile": "block-mkdir.json" } });
    let mut sidecar = container("mesh", &localhost);
    sidecar["restartPolicy"] = json!("Always");
    let spec = json!({
        "initContainers": [container("setup", &own("RuntimeDefault")), sidecar],
        "containers": [container("app", &localhost), { "name": "bare", "image": "app" }],
    });
    let stored = it.accepts(&pod("own", &spec)).await;
    let profiles = [
        ("/spec", "RuntimeDefault"),
        ("/spec/initContainers/0", "RuntimeDefault"),
        ("/spec/initContainers/1", "Localhost"),
        ("/spec/containers/0", "Localhost"),
    ];
    for (place, kind) in profiles {
        assert_eq!(profile_of(&stored, place).as_deref(), Some(kind), "{place}");
    }
    assert_eq!(profile_of(&stored, "/spec/containers/1"), None, "it inherits");

    let mut spec = bare();
    spec["securityContext"] = localhost;
    let stored = it.accepts(&pod("own-pod", &spec)).await;
    assert_eq!(profile_of(&stored, "/spec").as_deref(), Some("Localhost"));
}

async fn the_profile_of_the_first_binding_that_selects_the_pod_is_set(it: Test) {
    let namespace = it.plain_namespace().await;
    let policy = "
        apiVersion: callgate.dev/v1alpha1
        kind: SeccompPolicy
        metadata: { name: shop }
        spec:
          default: { type: Localhost, localhostProfile: block-mkdir.json }
          bindings:
            - podSelector: { matchLabels: { app: db } }
              profile: { type: RuntimeDefault }
            - podSelector: { matchExpressions: [{ key: app, operator: Exists }] }
              profile: { type: Localhost, localhostProfile: web.json }
    ";
    let mut profiles = profiles();
    let web = r#"{"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [
        {"names": ["execve"], "action": "SCMP_ACT_ALLOW"}]}"#;
    profiles.insert("web.json".to_owned(), web.to_owned());
    let setup = Setup {
        policy: policy.to_owned(),
        profiles,
        namespaces: vec![namespace.clone()],
        ..Setup::default()
    };
    let _instance = it.instance("bindings", setup).await;
    let path = format!("/api/v1/namespaces/{namespace}/pods");
    let expected = [
        ("none", json!({}), json!({ "type": "Localhost", "localhostProfile": "block-mkdir.json" })),
        ("db", json!({ "app": "db" }), json!({ "type": "RuntimeDefault" })),
        (
            "web",
            json!({ "app": "web" }),
            json!({ "type": "Localhost", "localhostProfile": "web.json" }),
        ),
    ];
    for (name, labels, profile) in expected {
        let mut object = pod(name, &bare());
        object["metadata"]["labels"] = labels;
        let stored = it.api().post(&path, &object).await.expect_ok(name);
        assert_eq!(stored["spec"]["securityContext"]["seccompProfile"], profile, "{name}");
    }
}

async fn privileged_is_denied_in_every_list(it: Test) {
    let privileged = json!({ "privileged": true });
    let spec = json!({
        "securityContext": { "seccompProfile": { "type": "RuntimeDefault" } },
        "initContainers": [container("setup", &privileged)],
        "containers": [container("app", &privileged)],
    });
    it.refuses(
        &pod("both", &spec),
        &[
            r#"spec.initContainers[0] "setup": privileged turns seccomp off; remove it, or ask for an exemption [privileged]"#,
            r#"spec.containers[0] "app": privileged turns seccomp off; remove it, or ask for an exemption [privileged]"#,
        ],
    )
    .await;
}

async fn unconfined_is_denied_at_the_pod_and_at_a_container(it: Test) {
    let unconfined = json!({ "seccompProfile": { "type": "Unconfined" } });
    let mut spec = bare();
    spec["securityContext"] = unconfined.clone();
    it.refuses(
        &pod("all", &spec),
        &["spec.securityContext: Unconfined turns seccomp off; set type: RuntimeDefault, or ask for an exemption [unconfined]"],
    )
    .await;
    let spec = json!({ "containers": [container("app", &unconfined)] });
    it.refuses(
        &pod("one", &spec),
        &[r#"spec.containers[0] "app": Unconfined turns seccomp off; set type: RuntimeDefault, or ask for an exemption [unconfined]"#],
    )
    .await;
}

async fn a_pod_with_a_generated_name_is_treated_alike(it: Test) {
    let mut object = pod("", &bare());
    object["metadata"] = json!({ "generateName": "web-" });
    let stored = it.accepts(&object).await;
    assert_eq!(profile_of(&stored, "/spec").as_deref(), Some("RuntimeDefault"));

    object["spec"]["containers"][0]["securityContext"] = json!({ "privileged": true });
    let reply = it.api().post(&it.pods(), &object).await;
    let (_, rest) = reply.message().split_once("denies pod \"web-").expect("it is named");
    assert!(!rest.starts_with('"'), "the name is generated by then: {}", reply.message());
}

async fn a_dry_run_returns_the_changed_pod_and_stores_nothing(it: Test) {
    let path = format!("{}?dryRun=All", it.pods());
    let would = it.api().post(&path, &pod("dry", &bare())).await.expect_ok("a dry run");
    assert_eq!(profile_of(&would, "/spec").as_deref(), Some("RuntimeDefault"));
    assert_eq!(it.api().get(&it.pod("dry")).await.status, 404);
}

async fn server_side_apply_is_judged_like_a_create(it: Test) {
    let mut object = pod("applied", &bare());
    // In a cluster with nodes, no scheduler may bind it between the two.
    object["spec"]["schedulerName"] = json!("no-scheduler");
    let stored = it.api().apply(&it.pod("applied"), &object).await.expect_ok("an apply");
    assert_eq!(profile_of(&stored, "/spec").as_deref(), Some("RuntimeDefault"));
    let again = it.api().apply(&it.pod("applied"), &object).await.expect_ok("a second apply");
    assert_eq!(profile_of(&again, "/spec").as_deref(), Some("RuntimeDefault"));
    assert_eq!(again["spec"], stored["spec"]);
}

async fn a_windows_pod_passes_unchanged(it: Test) {
    let mut spec = bare();
    spec["os"] = json!({ "name": "windows" });
    let stored = it.accepts(&pod("windows", &spec)).await;
    assert_eq!(profile_of(&stored, "/spec"), None);
}

async fn a_mirror_pod_of_a_kubelet_passes_and_a_fake_one_does_not(it: Test) {
    use support::e2e::api::Api;
    let name = format!("mirror-{}", it.namespace);
    let node = json!({ "apiVersion": "v1", "kind": "Node", "metadata": { "name": name } });
    let node = it.api().post("/api/v1/nodes", &node).await.expect_ok("the node");
    let mut mirror = pod("static", &json!({ "nodeName": name }));
    mirror["spec"]["containers"] = json!([container("app", &json!({ "privileged": true }))]);
    mirror["metadata"]["annotations"] = json!({ "kubernetes.io/config.mirror": "x" });
    mirror["metadata"]["ownerReferences"] = json!([{
        "apiVersion": "v1", "kind": "Node", "name": name, "uid": node["metadata"]["uid"],
        "controller": true,
    }]);
    it.refuses(
        &mirror,
        &[
            r#"spec.containers[0] "app": privileged turns seccomp off; remove it, or ask for an exemption [privileged]"#,
            r#"spec.containers[0] "app": no seccomp profile is set; set spec.securityContext.seccompProfile.type: RuntimeDefault (the mutating webhook was not called or was overruled) [unset]"#,
        ],
    )
    .await;
    let user = format!("system:node:{name}");
    let groups = ["system:nodes", "system:authenticated"];
    let kubelet = Api::connect_as(&it.world.site.kubeconfig, &user, &groups).await;
    let stored = kubelet.post(&it.pods(), &mirror).await.expect_ok("the mirror pod");
    assert_eq!(profile_of(&stored, "/spec"), None, "it shows what runs, and that is untouched");
    it.api().delete(&format!("{}?gracePeriodSeconds=0", it.pod("static"))).await;
    it.api().delete(&format!("/api/v1/nodes/{name}")).await;
}

async fn in_mode_warn_the_pod_stays_as_it_is(it: Test) {
    let namespace = it.plain_namespace().await;
    let setup = Setup {
        policy: "restricted".to_owned(),
        mode: "warn".to_owned(),
        namespaces: vec![namespace.clone()],
        ..Setup::default()
    };
    let _instance = it.instance("warn", setup).await;
    let path = format!("/api/v1/namespaces/{namespace}/pods");
    let reply = it.api().post(&path, &pod("bare", &bare())).await;
    assert_eq!(
        reply.warnings,
        [
            r#"policy "restricted": spec.containers[0] "app": no seccomp profile is set; mode "enforce" would set RuntimeDefault [unset]"#
        ]
    );
    assert_eq!(profile_of(&reply.expect_ok("a warning is no denial"), "/spec"), None);
}

async fn only_the_name_of_a_pod_reaches_the_log(it: Test) {
    let mut spec = bare();
    spec["containers"][0]["env"] = json!([{ "name": "PASSWORD", "value": "hunter2-of-the-suite" }]);
    spec["containers"][0]["securityContext"] = json!({ "privileged": true });
    let reply = it.api().post(&it.pods(), &pod("keeps-a-secret", &spec)).await;
    assert_eq!(reply.status, 403);
    let log = std::fs::read_to_string(it.world.webhook.log()).expect("there is a log");
    assert!(log.contains("keeps-a-secret"), "verdicts are logged");
    assert!(!log.contains("hunter2-of-the-suite") && !reply.message().contains("hunter2"));
}
