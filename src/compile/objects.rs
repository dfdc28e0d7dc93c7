//! The objects of a compiled policy.

use serde_json::{Value, json};

use crate::{
    compile::{
        Cluster,
        expressions::{CONDITIONS, MUTATION, NO_PIN},
    },
    group::{MODE_LABEL, POLICY_LABEL},
    policy::Mode,
};

const API_VERSION: &str = "admissionregistration.k8s.io/v1";

/// The policy and its bindings: one for the namespaces whose label names the policy, and one for
/// those without a label if the policy is the default one.
pub(super) fn objects(
    policy: &str,
    variables: &[(String, String)],
    pins: bool,
    cluster: &Cluster,
) -> Vec<Value> {
    let name = format!("callgate-policy-{policy}");
    let conditions = CONDITIONS.iter().chain(pins.then_some(&NO_PIN));
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
        "metadata": metadata(&name),
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
    let named = json!({ "key": POLICY_LABEL, "operator": "In", "values": [policy] });
    let labelled = binding(&name, &name, named, cluster);
    let is_default = cluster.default_policy.as_deref() == Some(policy);
    let unnamed = json!({ "key": POLICY_LABEL, "operator": "DoesNotExist" });
    // No policy has a dot in its name, so this is the name of no other binding.
    let default = is_default.then(|| binding(&format!("{name}.default"), &name, unnamed, cluster));
    [compiled, labelled].into_iter().chain(default).collect()
}

fn binding(name: &str, policy: &str, namespaces: Value, cluster: &Cluster) -> Value {
    json!({
        "apiVersion": API_VERSION,
        "kind": "MutatingAdmissionPolicyBinding",
        "metadata": metadata(name),
        "spec": {
            "policyName": policy,
            "matchResources": {
                "namespaceSelector": { "matchExpressions": requirements(namespaces, cluster) },
            },
        },
    })
}

/// The namespaces in which pods are changed: in mode enforce, and not left out by name.
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

fn metadata(name: &str) -> Value {
    json!({
        "name": name,
        "labels": {
            "app.kubernetes.io/name": "callgate",
            "app.kubernetes.io/part-of": "callgate",
            "app.kubernetes.io/component": "in-process",
        },
    })
}
