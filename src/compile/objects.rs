//! The objects of a compiled policy.

use serde_json::{Value, json};

use crate::{
    compile::{
        Cluster,
        expressions::{CONDITION, MUTATION, NO_PIN},
    },
    group::{MODE_LABEL, POLICY_LABEL},
    policy::Mode,
};

pub(super) const API_VERSION: &str = "admissionregistration.k8s.io/v1";

/// The label of these objects.
const COMPONENT: &str = "in-process";

/// The policy and its bindings.
pub(super) fn objects(
    policy: &str,
    variables: &[(String, String)],
    pins: bool,
    cluster: &Cluster,
) -> Vec<Value> {
    let name = format!("callgate-policy-{policy}");
    let conditions = [CONDITION].into_iter().chain(pins.then_some(NO_PIN));
    let conditions: Vec<_> = conditions
        .map(|(name, expression)| json!({ "name": name, "expression": expression }))
        .collect();
    let variables: Vec<_> = variables
        .iter()
        .map(|(name, expression)| json!({ "name": name, "expression": expression }))
        .collect();
    let compiled = json!({
        "apiVersion": API_VERSION,
        "kind": "MutatingAdmissionPolicy",
        "metadata": metadata(&name, COMPONENT),
        "spec": {
            // A pod that is not changed is changed by the webhook, or denied by it.
            "failurePolicy": "Ignore",
            // Another webhook may add a sidecar later.
            "reinvocationPolicy": "IfNeeded",
            "matchConstraints": {
                "resourceRules": [{
                    "apiGroups": [""],
                    "apiVersions": ["v1"],
                    "operations": ["CREATE"],
                    "resources": ["pods"],
                    "scope": "Namespaced",
                }],
            },
            "matchConditions": conditions,
            "variables": variables,
            "mutations": [{ "patchType": "JSONPatch", "jsonPatch": { "expression": MUTATION } }],
        },
    });
    let names = (&*name, COMPONENT);
    let bindings = bindings("MutatingAdmissionPolicyBinding", names, policy, cluster);
    [compiled].into_iter().chain(bindings).collect()
}

/// The bindings of the object `name`: one for the namespaces whose label names the policy, and one
/// for those without a label if the policy is the default one.
pub(super) fn bindings(
    kind: &str,
    (name, component): (&str, &str),
    policy: &str,
    cluster: &Cluster,
) -> impl Iterator<Item = Value> {
    let binding = |own: &str, namespaces: Value| {
        json!({
            "apiVersion": API_VERSION,
            "kind": kind,
            "metadata": metadata(own, component),
            "spec": {
                "policyName": name,
                "matchResources": {
                    "namespaceSelector": { "matchExpressions": requirements(namespaces, cluster) },
                },
            },
        })
    };
    let named = json!({ "key": POLICY_LABEL, "operator": "In", "values": [policy] });
    let labelled = binding(name, named);
    let is_default = cluster.default_policy.as_deref() == Some(policy);
    let unnamed = json!({ "key": POLICY_LABEL, "operator": "DoesNotExist" });
    // No policy has a dot in its name, so this is the name of no other binding.
    let default = is_default.then(|| binding(&format!("{name}.default"), unnamed));
    [labelled].into_iter().chain(default)
}

/// The namespaces in which pods are changed or denied: in mode enforce, and not left out by name.
fn requirements(namespaces: Value, cluster: &Cluster) -> Vec<Value> {
    let mut all = vec![namespaces];
    if cluster.default_mode != Mode::Enforce {
        all.push(json!({ "key": MODE_LABEL, "operator": "Exists" }));
    }
    // An unknown mode counts as enforce.
    let others = Mode::ALL.into_iter().filter(|it| *it != Mode::Enforce).map(Mode::as_str);
    let others: Vec<_> = others.collect();
    all.push(json!({ "key": MODE_LABEL, "operator": "NotIn", "values": others }));
    if !cluster.excluded_namespaces.is_empty() {
        all.push(json!({
            "key": "kubernetes.io/metadata.name",
            "operator": "NotIn",
            "values": cluster.excluded_namespaces,
        }));
    }
    all
}

pub(super) fn metadata(name: &str, component: &str) -> Value {
    json!({
        "name": name,
        "labels": {
            "app.kubernetes.io/name": "callgate",
            "app.kubernetes.io/part-of": "callgate",
            "app.kubernetes.io/component": component,
        },
    })
}

/// The end of the names of objects that static admission reads; the API takes no such names.
const STATIC: &str = ".static.k8s.io";

/// The same objects for the static admission of Kubernetes, which reads files.
pub fn as_static(mut objects: Vec<Value>) -> Vec<Value> {
    for object in &mut objects {
        let names = ["/metadata/name", "/spec/policyName"];
        for name in names {
            if let Some(Value::String(it)) = object.pointer_mut(name) {
                it.push_str(STATIC);
            }
        }
    }
    objects
}
