//! Debug containers: judged like all others, and never stuck (S19).

use std::process::Command;

use serde_json::json;
use support::e2e::api::Reply;

use crate::trial::{Test, container, pod, profile_of, trials};

trials![
    a_privileged_debug_container_is_denied,
    kubectl_debug_is_denied_with_profile_sysadmin_and_accepted_with_restricted,
    a_good_debug_container_is_accepted_on_a_pod_that_was_bad_before,
    a_debug_container_without_a_profile_gets_one,
];

/// Adds a debug container to an existing pod.
async fn add(it: &Test, name: &str, context: &serde_json::Value) -> Reply {
    let mut object = it.api().get(&it.pod(name)).await.expect_ok("the pod is there");
    let mut debug = container("debug", context);
    if context.is_null() {
        debug.as_object_mut().expect("it is one").remove("securityContext");
    }
    object["spec"]["ephemeralContainers"] = json!([debug]);
    // The scheduler writes the pod's status meanwhile: last write wins.
    object["metadata"]["resourceVersion"] = json!(null);
    it.api().put(&format!("{}/ephemeralcontainers", it.pod(name)), &object).await
}

const PRIVILEGED: &str = r#"spec.ephemeralContainers[0] "debug": privileged turns seccomp off; remove it, or ask for an exemption [privileged]"#;

async fn a_privileged_debug_container_is_denied(it: Test) {
    it.accepts(&pod("web", &json!({ "containers": [{ "name": "app", "image": "app" }] }))).await;
    let reply = add(&it, "web", &json!({ "privileged": true })).await;
    assert_eq!(reply.message(), it.denial("web", &[PRIVILEGED]));
}

async fn kubectl_debug_is_denied_with_profile_sysadmin_and_accepted_with_restricted(it: Test) {
    it.accepts(&pod("web", &json!({ "containers": [{ "name": "app", "image": "app" }] }))).await;
    let kubectl = |profile: &str, name: &str| {
        let program = it.world.site.programs.as_ref().map(|it| it.join("kubectl"));
        let output = Command::new(program.unwrap_or_else(|| "kubectl".into()))
            .env("KUBECONFIG", &it.world.site.kubeconfig)
            .args(["debug", "-n", &it.namespace, "web", "--image=app", "--attach=false"])
            .args([&format!("--profile={profile}"), &format!("--container={name}")])
            .output()
            .expect("kubectl runs");
        (output.status.success(), String::from_utf8_lossy(&output.stderr).trim().to_owned())
    };
    let (done, said) = kubectl("sysadmin", "debug");
    assert!(!done);
    assert!(said.contains(PRIVILEGED), "{said}");
    for profile in ["restricted", "general", "netadmin", "baseline"] {
        let (done, said) = kubectl(profile, profile);
        assert!(done, "{profile}: {said}");
    }
}

async fn a_good_debug_container_is_accepted_on_a_pod_that_was_bad_before(it: Test) {
    // The pod exists before its namespace opts in.
    let it = Test { namespace: it.plain_namespace().await, ..it };
    let spec = json!({
        "securityContext": { "seccompProfile": { "type": "Unconfined" } },
        "containers": [container("app", &json!({ "privileged": true }))],
    });
    it.accepts(&pod("old", &spec)).await;
    it.opt_in().await;

    let reply = add(&it, "old", &json!(null)).await;
    let inherited = r#"spec.ephemeralContainers[0] "debug": Unconfined turns seccomp off (inherited from the pod); set type: RuntimeDefault, or ask for an exemption [unconfined]"#;
    assert_eq!(reply.message(), it.denial("old", &[inherited]));
    let good = json!({ "seccompProfile": { "type": "RuntimeDefault" } });
    add(&it, "old", &good).await.expect_ok("a good debug container");
}

async fn a_debug_container_without_a_profile_gets_one(it: Test) {
    let own = json!({ "seccompProfile": { "type": "RuntimeDefault" } });
    let stored = it.accepts(&pod("web", &json!({ "containers": [container("app", &own)] }))).await;
    assert_eq!(profile_of(&stored, "/spec"), None, "the pod has none that could be inherited");
    let stored = add(&it, "web", &json!(null)).await.expect_ok("the debug container");
    let profile = profile_of(&stored, "/spec/ephemeralContainers/0");
    assert_eq!(profile.as_deref(), Some("RuntimeDefault"));
}
