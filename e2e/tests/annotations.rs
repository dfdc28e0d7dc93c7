//! The legacy annotations and the trap they set (S15).

use serde_json::{Value, json};

use crate::trial::{Test, container, pod, profile_of, trials};

trials![
    a_pod_annotation_that_agrees_stays,
    a_pod_annotation_that_clashes_with_what_we_inject_is_removed,
    a_pod_annotation_that_clashes_with_its_own_field_is_removed,
    container_annotations_do_not_clash_with_the_pods_profile,
    a_container_annotation_that_clashes_with_its_own_field_is_removed,
];

const POD: &str = "seccomp.security.alpha.kubernetes.io/pod";
const APP: &str = "container.seccomp.security.alpha.kubernetes.io/app";

fn annotated(name: &str, key: &str, value: &str, spec: &Value) -> Value {
    let mut object = pod(name, spec);
    object["metadata"]["annotations"] = json!({ key: value, "example.com/other": "stays" });
    object
}

fn bare() -> Value {
    json!({ "containers": [{ "name": "app", "image": "app" }] })
}

fn annotation(object: &Value, key: &str) -> Option<String> {
    object["metadata"]["annotations"].get(key)?.as_str().map(str::to_owned)
}

async fn a_pod_annotation_that_agrees_stays(it: Test) {
    for (name, value) in [("runtime", "runtime/default"), ("docker", "docker/default")] {
        let stored = it.accepts(&annotated(name, POD, value, &bare())).await;
        assert_eq!(profile_of(&stored, "/spec").as_deref(), Some("RuntimeDefault"));
        assert_eq!(annotation(&stored, POD).as_deref(), Some(value));
    }
}

async fn a_pod_annotation_that_clashes_with_what_we_inject_is_removed(it: Test) {
    for (name, value) in [("unconfined", "unconfined"), ("localhost", "localhost/x.json")] {
        let object = annotated(name, POD, value, &bare());
        let reply = it.api().post(&it.pods(), &object).await;
        let warning = format!(
            "policy \"restricted\": annotation \"{POD}\" has no effect since Kubernetes 1.27 \
             and contradicts the pod's profile, removed"
        );
        assert_eq!(reply.warnings, [warning]);
        let stored = reply.expect_ok(value);
        assert_eq!(profile_of(&stored, "/spec").as_deref(), Some("RuntimeDefault"));
        assert_eq!(annotation(&stored, POD), None);
        assert_eq!(annotation(&stored, "example.com/other").as_deref(), Some("stays"));
    }
}

async fn a_pod_annotation_that_clashes_with_its_own_field_is_removed(it: Test) {
    let mut spec = bare();
    spec["securityContext"] = json!({ "seccompProfile": { "type": "RuntimeDefault" } });
    let stored = it.accepts(&annotated("clash", POD, "unconfined", &spec)).await;
    assert_eq!(annotation(&stored, POD), None);
}

async fn container_annotations_do_not_clash_with_the_pods_profile(it: Test) {
    let stored = it.accepts(&annotated("apart", APP, "unconfined", &bare())).await;
    assert_eq!(profile_of(&stored, "/spec").as_deref(), Some("RuntimeDefault"));
    assert_eq!(annotation(&stored, APP).as_deref(), Some("unconfined"));
}

async fn a_container_annotation_that_clashes_with_its_own_field_is_removed(it: Test) {
    let own = json!({ "seccompProfile": { "type": "RuntimeDefault" } });
    let spec = json!({ "containers": [container("app", &own)] });
    let stored = it.accepts(&annotated("own", APP, "unconfined", &spec)).await;
    assert_eq!(annotation(&stored, APP), None);
}
