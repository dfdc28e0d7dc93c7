//! A policy as a `ValidatingAdmissionPolicy`, by which the API server itself denies what is wrong
//! for certain, even if the webhook configurations are deleted.

use serde_json::{Value, json};

use super::{Cluster, Compiled, cel::literal, objects};
use crate::policy::{Level, Policy, RULES};

/// The part of the names and the label of these objects.
const COMPONENT: &str = "backstop";

/// What is wrong for certain: the rule, the condition on a container `it`, and the message.
const OF_CONTAINERS: [(&str, &str, &str); 2] = [
    (
        "privileged",
        "it.?securityContext.?privileged.orValue(false)",
        "privileged turns seccomp off; remove it, or ask for an exemption [privileged]",
    ),
    (
        "unconfined",
        "it.?securityContext.?seccompProfile.?type.orValue('') == 'Unconfined'",
        "Unconfined turns seccomp off; set type: RuntimeDefault, or ask for an exemption [unconfined]",
    ),
];

const INHERITED: &str = "Unconfined turns seccomp off (inherited from the pod); \
    set type: RuntimeDefault, or ask for an exemption [unconfined]";

const OF_POD: &str =
    "object.spec.?securityContext.?seccompProfile.?type.orValue('') == 'Unconfined'";

/// Of an update only the debug containers that it adds are judged.
const KNOWN: &str = "request.operation == 'UPDATE' ? \
    oldObject.spec.?ephemeralContainers.orValue([]).map(it, it.name) : []";

/// The webhook judges no Windows pod (S13), and no mirror pod of a kubelet (S22).
const CONDITIONS: [(&str, &str); 2] = [
    ("it-is-not-for-windows", "object.spec.?os.?name.orValue('') != 'windows'"),
    (
        "it-is-no-mirror-pod-of-a-kubelet",
        "!(has(object.metadata.annotations) && \
         'kubernetes.io/config.mirror' in object.metadata.annotations && \
         'system:nodes' in request.userInfo.?groups.orValue([]))",
    ),
];

/// Compiles what a policy denies for certain: by the rules `privileged` and `unconfined`, at level
/// Deny and without an exemption.
pub fn backstop(policy: &Policy, cluster: &Cluster) -> Compiled {
    let (mut rules, mut left) = (Vec::new(), Vec::new());
    for (rule, ..) in OF_CONTAINERS {
        let level = RULES.iter().find(|it| it.id == rule).map(|it| policy.level(it));
        if level != Some(Level::Deny) {
            continue;
        }
        let exemptions = policy.exemptions().iter().filter(|it| it.is_from(rule));
        let exemptions: Vec<_> = exemptions.map(|it| format!("{:?}", it.name.as_str())).collect();
        if exemptions.is_empty() {
            rules.push(rule);
        } else {
            left.push(format!(
                "rule {rule}, from which there are exemptions: {}",
                exemptions.join(", ")
            ));
        }
    }
    let objects =
        if rules.is_empty() { Vec::new() } else { objects(policy.name(), &rules, cluster) };
    Compiled { objects, left }
}

fn objects(policy: &str, rules: &[&str], cluster: &Cluster) -> Vec<Value> {
    let name = format!("callgate-{COMPONENT}-{policy}");
    let denies_unconfined = rules.contains(&"unconfined");
    let mut lines = Vec::new();
    if denies_unconfined {
        lines.push(format!(
            "(request.operation == 'CREATE' && {OF_POD} ? [{}] : [])",
            literal(&format!("spec.securityContext: {}", own_message("unconfined")))
        ));
    }
    for (list, containers) in [
        ("initContainers", "object.spec.?initContainers.orValue([])"),
        ("containers", "object.spec.containers"),
        ("ephemeralContainers", "object.spec.?ephemeralContainers.orValue([])"),
    ] {
        let is_ephemeral = list == "ephemeralContainers";
        let scope = if is_ephemeral {
            "!(it.name in variables.known)"
        } else {
            "request.operation == 'CREATE'"
        };
        let of_rules = OF_CONTAINERS.iter().filter(|(rule, ..)| rules.contains(rule));
        let mut findings: Vec<_> = of_rules
            .map(|(_, condition, message)| ((*condition).to_owned(), (*message).to_owned()))
            .collect();
        if is_ephemeral && denies_unconfined {
            let inherits = format!(
                "{OF_POD} && (!has(it.securityContext) || !has(it.securityContext.seccompProfile))"
            );
            findings.push((inherits, INHERITED.to_owned()));
        }
        for (condition, message) in findings {
            lines.push(format!(
                "{containers}.transformList(at, it, {scope} && {condition}, \
                 'spec.{list}[' + string(at) + '] \"' + it.name + {})",
                literal(&format!("\": {message}"))
            ));
        }
    }
    let variable =
        |(name, expression): (&str, String)| json!({ "name": name, "expression": expression });
    let variables = [("known", KNOWN.to_owned()), ("findings", lines.join(" + "))].map(variable);
    let conditions =
        CONDITIONS.map(|(name, expression)| json!({ "name": name, "expression": expression }));
    let message = format!(
        "{} + (object.metadata.?name.orValue('') == '' ? '' : ' \"' + object.metadata.name + '\"') + \
         ' in namespace \"' + request.namespace + '\": ' + variables.findings[0] + \
         (size(variables.findings) == 1 ? '' : ', and ' + string(size(variables.findings) - 1) + ' more')",
        literal(&format!("policy {policy:?} denies pod"))
    );
    let rule = |operation: &str, resource: &str| {
        json!({
            "apiGroups": [""], "apiVersions": ["v1"], "operations": [operation],
            "resources": [resource], "scope": "Namespaced",
        })
    };
    let compiled = json!({
        "apiVersion": objects::API_VERSION,
        "kind": "ValidatingAdmissionPolicy",
        "metadata": objects::metadata(&name, COMPONENT),
        "spec": {
            // A pod that is too expensive to judge is denied too.
            "failurePolicy": "Fail",
            "matchConstraints": { "resourceRules": [
                rule("CREATE", "pods"), rule("UPDATE", "pods/ephemeralcontainers"),
            ] },
            "matchConditions": conditions,
            "variables": variables,
            "validations": [{
                "expression": "size(variables.findings) == 0",
                "messageExpression": message,
                "reason": "Forbidden",
            }],
        },
    });
    let mut all = vec![compiled];
    all.extend(objects::bindings(
        "ValidatingAdmissionPolicyBinding",
        (&name, COMPONENT),
        policy,
        cluster,
    ));
    for binding in &mut all[1..] {
        binding["spec"]["validationActions"] = json!(["Deny"]);
    }
    all
}

fn own_message(rule: &str) -> &'static str {
    OF_CONTAINERS.iter().find(|it| it.0 == rule).map_or("", |it| it.2)
}
