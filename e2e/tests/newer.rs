//! Objects that a newer version stores, with fields that this one does not know.

use serde_json::{Value, json};
use support::{e2e::instance::Setup, wait::eventually};

use crate::trial::{Test, container, pod, trials};

trials![a_policy_that_a_newer_version_stored_is_still_enforced];

const DEFINITION: &str =
    "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/seccomppolicies.callgate.dev";
const POLICIES: &str = "/apis/callgate.dev/v1alpha1/seccomppolicies";

/// The definition, in which every profile that is bound has one more field. No
/// other test stores such a policy.
async fn define(it: &Test, note: Option<Value>) {
    let mut definition = it.api().get(DEFINITION).await.expect_ok("the definition");
    let place = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/bindings/items\
                 /properties/profile/properties";
    let fields = definition.pointer_mut(place).and_then(Value::as_object_mut);
    let fields = fields.expect("bindings have profiles");
    match note {
        Some(note) => fields.insert("note".to_owned(), note),
        None => fields.remove("note"),
    };
    it.api().put(DEFINITION, &definition).await.expect_ok("the new definition");
}

async fn a_policy_that_a_newer_version_stored_is_still_enforced(it: Test) {
    let name: String = it.namespace.chars().take(60).collect();
    let name = name.trim_matches('-');
    let path = format!("{POLICIES}/{name}");
    let policy = json!({
        "apiVersion": "callgate.dev/v1alpha1", "kind": "SeccompPolicy",
        "metadata": { "name": name },
        "spec": { "bindings": [{ "podSelector": {}, "profile": { "type": "RuntimeDefault" } }] },
    });
    it.api().apply(&path, &policy).await.expect_ok("the policy");
    define(&it, Some(json!({ "type": "string", "default": "none" }))).await;
    let stored = "/spec/bindings/0/profile/note";
    eventually("what is stored has the new field", async || {
        let policy = it.api().get(&path).await.body;
        (policy.pointer(stored) == Some(&json!("none"))).then_some(())
    })
    .await;

    let namespace = it.plain_namespace().await;
    let setup = Setup {
        namespaces: vec![namespace.clone()],
        flags: ["--default-policy", name].map(str::to_owned).into(),
        ..Setup::default()
    };
    let instance = it.instance("newer", setup).await;
    let page = instance.ask("/metrics").await.expect("it answers");
    assert!(page.contains("\ncallgate_policies_of_newer_versions 1\n"), "{page}");
    assert!(page.contains("\ncallgate_policies_unreadable 0\n"), "{page}");
    let path_of_pods = format!("/api/v1/namespaces/{namespace}/pods?dryRun=All");
    let privileged = json!({ "containers": [container("app", &json!({ "privileged": true }))] });
    let reply = it.api().post(&path_of_pods, &pod("web", &privileged)).await;
    let start = format!(
        "admission webhook \"validate.callgate.dev\" denied the request: policy {name:?} denies \
         pod \"web\" in namespace {namespace:?}: "
    );
    assert!(reply.message().starts_with(&start), "{}", reply.message());
    let bare = json!({ "containers": [{ "name": "app", "image": "app" }] });
    let reply = it.api().post(&path_of_pods, &pod("web", &bare)).await.expect_ok("a pod");
    assert_eq!(reply["spec"]["securityContext"]["seccompProfile"]["type"], "RuntimeDefault");

    // While this version reviews it, a policy with such a field counts as a mistake.
    let reply = it.api().merge(&path, &json!({ "spec": { "templates": "Deny" } })).await;
    assert!(!reply.is_ok() && reply.message().contains("note"), "{reply:?}");
    drop(instance);
    define(&it, None).await;
}
