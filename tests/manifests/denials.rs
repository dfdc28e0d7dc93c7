//! The `DaemonSet` of the component denials, and the objects that belong to it.

use std::net::SocketAddr;

use serde_json::{Value, json};
use support::harness::patch_of;

use crate::{
    kustomize,
    workload::{judge, one, told},
};

const NAMESPACE: &str = "callgate-agent";
const NAME: &str = "callgate-denials";

fn component() -> Option<&'static [Value]> {
    kustomize::all().map(|it| it.component("denials"))
}

fn spec(objects: &[Value]) -> &Value {
    &one(objects, "DaemonSet", NAME)["spec"]
}

#[test]
fn no_overlay_includes_the_component() {
    let Some(built) = kustomize::all() else { return };
    let runs = |it: &Value| it["kind"] == "DaemonSet" && it["metadata"]["name"] == NAME;
    let has = |objects: &[Value]| objects.iter().any(runs);
    let names: Vec<_> = built.iter().filter(|it| has(it.1)).map(|(name, _)| name).collect();
    assert_eq!(names, ["all components", "components/denials"]);
}

#[tokio::test]
async fn its_pods_comply_with_the_policy_restricted() {
    let Some(objects) = component() else { return };
    let (mutation, validation) = judge(&spec(objects)["template"], NAMESPACE).await;
    assert!(patch_of(&mutation).is_empty(), "{mutation}");
    assert_eq!(validation["allowed"], true, "{validation}");
    assert_eq!(validation.get("warnings"), None);
}

/// K6: the network and the processes of the node, and one capability, which takes user 0.
#[test]
fn it_has_one_capability_and_nothing_of_its_node_but_network_and_processes() {
    let Some(objects) = component() else { return };
    let pod = &spec(objects)["template"]["spec"];
    for (key, expected) in [
        ("hostNetwork", Some(json!(true))),
        ("hostPID", Some(json!(true))),
        ("hostIPC", None),
        ("hostUsers", None),
        ("volumes", None),
        ("initContainers", None),
        ("securityContext", Some(json!({ "seccompProfile": { "type": "RuntimeDefault" } }))),
    ] {
        assert_eq!(pod.get(key), expected.as_ref(), "{key}");
    }
    let containers = pod["containers"].as_array().expect("a list");
    assert_eq!(containers.len(), 1);
    assert_eq!(containers[0].get("volumeMounts"), None);
    assert_eq!(
        containers[0]["securityContext"],
        json!({
            "runAsUser": 0, "runAsGroup": 0, "allowPrivilegeEscalation": false, "privileged": false,
            "readOnlyRootFilesystem": true,
            "capabilities": { "drop": ["ALL"], "add": ["AUDIT_READ"] },
        })
    );
}

#[test]
fn it_runs_on_every_node_beside_the_agent() {
    let Some(built) = kustomize::all() else { return };
    let (denials, agent) = (
        &spec(built.component("denials"))["template"]["spec"],
        &one(built.component("agent"), "DaemonSet", "callgate-agent")["spec"]["template"]["spec"],
    );
    for key in ["tolerations", "nodeSelector", "priorityClassName"] {
        assert_eq!(denials[key], agent[key], "{key}");
    }
    assert_eq!(denials["containers"][0]["image"], agent["containers"][0]["image"]);
    let spec = spec(built.component("denials"));
    assert_eq!(spec["selector"]["matchLabels"], spec["template"]["metadata"]["labels"]);
}

#[test]
fn its_flags_and_its_port_are_those_of_the_program() {
    let Some(objects) = component() else { return };
    let mut container = spec(objects)["template"]["spec"]["containers"][0].clone();
    let node = json!([{
        "name": "CALLGATE_NODE_NAME", "valueFrom": { "fieldRef": { "fieldPath": "spec.nodeName" } },
    }]);
    assert_eq!(container["env"], node);
    container["args"].as_array_mut().expect("a list").push("--node-name=here".into());
    let flags = told(&container, "denials");
    let listens = flags.get_one::<SocketAddr>("admin_listen").expect("it has a default");
    let port = &container["ports"][0];
    assert_eq!(port["containerPort"], listens.port());
    for probe in ["readinessProbe", "livenessProbe"] {
        assert_eq!(container[probe]["httpGet"]["port"], port["name"], "{probe}");
    }
}

#[test]
fn its_token_may_write_only_to_its_own_node() {
    let Some(objects) = component() else { return };
    let policy = one(objects, "ValidatingAdmissionPolicy", "callgate-denials-own-node");
    let binding = one(objects, "ValidatingAdmissionPolicyBinding", "callgate-denials-own-node");
    assert_eq!(policy["spec"]["failurePolicy"], "Fail");
    assert_eq!(binding["spec"]["policyName"], policy["metadata"]["name"]);
    assert_eq!(binding["spec"]["validationActions"], json!(["Deny"]));
    let account = one(objects, "ServiceAccount", NAME);
    assert_eq!(account["metadata"]["namespace"], NAMESPACE);
    assert_eq!(spec(objects)["template"]["spec"]["serviceAccountName"], NAME);
    let user = format!("request.userInfo.username == 'system:serviceaccount:{NAMESPACE}:{NAME}'");
    assert_eq!(policy["spec"]["matchConditions"][0]["expression"], user);
    let covered = &policy["spec"]["matchConstraints"]["resourceRules"][0]["resources"];
    let role = one(objects, "ClusterRole", NAME);
    assert_eq!(role["rules"][0]["verbs"], json!(["patch"]));
    let written = &role["rules"][0]["resources"][0];
    assert!(covered.as_array().expect("a list").contains(written), "{written}");
}

#[test]
fn it_is_scraped_as_a_job_of_its_own() {
    let Some(built) = kustomize::all() else { return };
    let spec = spec(built.component("denials"));
    let monitor = &one(built.component("monitoring"), "PodMonitor", NAME)["spec"];
    assert_eq!(monitor["namespaceSelector"]["matchNames"], json!([NAMESPACE]));
    assert_eq!(monitor["selector"]["matchLabels"], spec["selector"]["matchLabels"]);
    let endpoint = &monitor["podMetricsEndpoints"][0];
    assert_eq!(endpoint["port"], spec["template"]["spec"]["containers"][0]["ports"][0]["name"]);
    let job = json!({ "targetLabel": "job", "replacement": "callgate-denials" });
    assert_eq!(endpoint["relabelings"][0], job);
}
