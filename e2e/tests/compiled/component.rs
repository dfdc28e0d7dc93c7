//! The objects of the component `in-process`, for single policies and namespaces.

use callgate::{compile::data, policy::Policy};
use serde_json::{Value, json};
use support::{
    e2e::manifests::{manifests, path_of},
    wait::eventually,
};

use crate::trial::Test;

/// Installs the type of the object that the policy of the component reads.
pub(crate) async fn define(it: &Test) {
    for definition in manifests("../components/in-process/definition") {
        it.api().apply(&path_of(&definition), &definition).await.expect_ok("the definition");
    }
    let list = "/apis/callgate.dev/v1alpha1/compiledpolicies";
    eventually("the type is served", async || it.api().get(list).await.is_ok().then_some(())).await;
}

/// The policy of the component and its binding, under another name.
pub(crate) fn policy(name: &str) -> [Value; 2] {
    let mut objects = manifests("../components/in-process/policy");
    for it in &mut objects {
        it["metadata"]["name"] = json!(name);
    }
    objects[1]["spec"]["policyName"] = json!(name);
    objects.try_into().expect("a policy and a binding")
}

/// The objects for a policy of this name, and the namespaces whose label names it. None: it sets no
/// profile.
pub(super) fn of(policy: &Policy, name: &str) -> Vec<Value> {
    let mut objects = objects(policy, name);
    if let Some(binding) = objects.last_mut() {
        let selector = &mut binding["spec"]["matchResources"]["namespaceSelector"];
        let is_there = &mut selector["matchExpressions"][0];
        assert_eq!(is_there["key"], "callgate.dev/policy");
        *is_there = json!({ "key": "callgate.dev/policy", "operator": "In", "values": [name] });
    }
    objects
}

/// The same for a namespace that has no labels.
pub(super) fn of_every_namespace(policy: &Policy, name: &str) -> Vec<Value> {
    let mut objects = objects(policy, name);
    let [object, _, binding] = &mut objects[..] else { panic!("it sets profiles") };
    object["spec"]["defaultPolicy"] = json!(name);
    without_labels(binding, name);
    objects
}

/// Makes a namespace obey the default policy of the object.
pub(crate) fn without_labels(binding: &mut Value, namespace: &str) {
    binding["spec"]["matchResources"]["namespaceSelector"] =
        json!({ "matchLabels": { "kubernetes.io/metadata.name": namespace } });
}

fn objects(of: &Policy, name: &str) -> Vec<Value> {
    let Some(data) = data(of).filter(|it| it.sets_some) else { return Vec::new() };
    let object = json!({
        "apiVersion": "callgate.dev/v1alpha1", "kind": "CompiledPolicies",
        "metadata": { "name": name },
        "spec": { "defaultMode": "enforce", "policies": { name: data.text } },
    });
    let [policy, mut binding] = policy(name);
    binding["spec"]["paramRef"]["name"] = json!(name);
    vec![object, policy, binding]
}
