//! The agent's `DaemonSet` and the objects that belong to it.

use std::path::PathBuf;

use callgate::agent::host;
use serde_json::{Value, json};
use support::harness::patch_of;

use crate::{
    kustomize,
    workload::{judge, one, told},
};

const NAMESPACE: &str = "callgate-agent";

/// Everything that is built with an agent, by name.
fn all(built: &'static kustomize::Built) -> impl Iterator<Item = (&'static str, &'static Value)> {
    let agents = built.iter().filter(|(_, it)| it.iter().any(is_agent));
    agents.map(|(name, objects)| (name, &one(objects, "DaemonSet", "callgate-agent")["spec"]))
}

fn is_agent(object: &Value) -> bool {
    object["kind"] == "DaemonSet" && object["metadata"]["name"] == "callgate-agent"
}

#[test]
fn every_overlay_includes_the_agent() {
    let Some(built) = kustomize::all() else { return };
    let names: Vec<_> = all(built).map(|(name, _)| name).collect();
    let expected = [
        "all components",
        "components/agent",
        "overlays/audit",
        "overlays/e2e",
        "overlays/enforce",
    ];
    assert_eq!(names, expected);
}

#[tokio::test]
async fn its_pods_comply_with_the_policy_restricted() {
    let Some(built) = kustomize::all() else { return };
    for (name, spec) in all(built) {
        let (mutation, validation) = judge(&spec["template"], NAMESPACE).await;
        assert!(patch_of(&mutation).is_empty(), "{name}: {mutation}");
        assert_eq!(validation["allowed"], true, "{name}: {validation}");
        assert_eq!(validation.get("warnings"), None, "{name}");
    }
}

#[test]
fn it_runs_on_every_node_with_any_taints() {
    let Some(built) = kustomize::all() else { return };
    for (name, spec) in all(built) {
        let pod = &spec["template"]["spec"];
        assert_eq!(pod["tolerations"], json!([{ "operator": "Exists" }]), "{name}");
        assert_eq!(pod["nodeSelector"], json!({ "kubernetes.io/os": "linux" }), "{name}");
        assert_eq!(pod["priorityClassName"], "system-node-critical", "{name}");
        assert_eq!(
            spec["selector"]["matchLabels"], spec["template"]["metadata"]["labels"],
            "{name}"
        );
    }
}

/// The container with the name of its node, which it has from the kubelet, as a
/// flag.
fn named(container: &Value) -> Value {
    let from = |name: &str, path: &str| json!({ "name": name, "valueFrom": { "fieldRef": { "fieldPath": path } } });
    let expected = json!([
        from("CALLGATE_NODE_NAME", "spec.nodeName"),
        from("CALLGATE_POD_NAME", "metadata.name"),
        from("CALLGATE_POD_NAMESPACE", "metadata.namespace"),
    ]);
    assert_eq!(container["env"], expected);
    let mut container = container.clone();
    container["args"].as_array_mut().expect("a list").push("--node-name=here".into());
    container
}

/// Only one directory of the node can be written to, and only by the agent's user.
#[test]
fn it_can_change_nothing_else_of_its_node() {
    let Some(built) = kustomize::all() else { return };
    for (name, spec) in all(built) {
        let pod = &spec["template"]["spec"];
        for key in ["hostNetwork", "hostIPC", "hostUsers"] {
            assert_eq!(pod.get(key), None, "{name}: {key}");
        }
        let agent = &pod["containers"][0];
        // It sees the processes of its node only to look at them.
        let is_witness = told(&named(agent), "agent").get_flag("witness");
        assert_eq!(pod.get("hostPID"), is_witness.then_some(&json!(true)), "{name}");
        let root = told(&named(agent), "agent").get_one::<PathBuf>("seccomp_root").cloned();
        let root = root.expect("it has a default");
        assert_eq!(
            agent["volumeMounts"],
            json!([
                {
                    "name": "seccomp", "mountPath": root, "readOnly": true,
                    "mountPropagation": "HostToContainer",
                },
                { "name": "callgate", "mountPath": root.join("callgate") },
            ]),
            "{name}"
        );
        let volume = |name: &str, path: &PathBuf| json!({ "name": name, "hostPath": { "path": path, "type": "DirectoryOrCreate" } });
        let volumes = [volume("seccomp", &root), volume("callgate", &root.join("callgate"))];
        assert_eq!(pod["volumes"], json!(volumes), "{name}");
        assert_eq!(
            agent["securityContext"],
            json!({
                "runAsNonRoot": true, "runAsUser": host::OWNER, "runAsGroup": host::OWNER,
                "allowPrivilegeEscalation": false, "privileged": false,
                "readOnlyRootFilesystem": true, "capabilities": { "drop": ["ALL"] },
            }),
            "{name}"
        );
    }
}

/// Only with the component witness, which is not in an overlay.
#[test]
fn it_looks_at_processes_only_where_that_was_asked_for() {
    let Some(built) = kustomize::all() else { return };
    let looks = |spec: &Value| {
        told(&named(&spec["template"]["spec"]["containers"][0]), "agent").get_flag("witness")
    };
    let names: Vec<_> = all(built).filter(|(_, it)| looks(it)).map(|(name, _)| name).collect();
    assert_eq!(names, ["all components"]);
}

/// It has root and `CAP_CHOWN`, and ends at once.
#[test]
fn the_init_container_prepares_the_directory_of_the_agent() {
    let Some(built) = kustomize::all() else { return };
    for (name, spec) in all(built) {
        let pod = &spec["template"]["spec"];
        let init = &pod["initContainers"][0];
        let flags = told(init, "agent");
        assert!(flags.get_flag("prepare"), "{name}");
        assert_eq!(init.get("restartPolicy"), None, "{name}");
        let root = flags.get_one::<PathBuf>("seccomp_root").expect("it has a default");
        assert_eq!(
            init["volumeMounts"],
            json!([{ "name": "seccomp", "mountPath": root }]),
            "{name}"
        );
        let context = &init["securityContext"];
        assert_eq!(context["capabilities"], json!({ "drop": ["ALL"], "add": ["CHOWN"] }), "{name}");
        assert_eq!(context["readOnlyRootFilesystem"], true, "{name}");
        assert_eq!(context["allowPrivilegeEscalation"], false, "{name}");
    }
}

/// Only the admin port is open, and it is scraped, as another job than the webhook.
#[test]
fn its_admin_port_is_reached_and_scraped_as_a_job_of_its_own() {
    let Some(built) = kustomize::all() else { return };
    for (name, spec) in all(built) {
        let port = &spec["template"]["spec"]["containers"][0]["ports"][0]["name"];
        let labels = &spec["selector"]["matchLabels"];
        let (_, objects) = built.iter().find(|it| it.0 == name).expect("it is built");
        let policy = one(objects, "NetworkPolicy", "callgate-agent");
        assert_eq!(policy["metadata"]["namespace"], NAMESPACE, "{name}");
        assert_eq!(policy["spec"]["podSelector"]["matchLabels"], *labels, "{name}");
        let ports = json!([{ "ports": [{ "port": port, "protocol": "TCP" }] }]);
        assert_eq!(policy["spec"]["ingress"], ports, "{name}");
    }
    let spec = &one(built.component("agent"), "DaemonSet", "callgate-agent")["spec"];
    let monitor = &one(built.component("monitoring"), "PodMonitor", "callgate-agent")["spec"];
    assert_eq!(monitor["namespaceSelector"]["matchNames"], json!([NAMESPACE]));
    assert_eq!(monitor["selector"]["matchLabels"], spec["selector"]["matchLabels"]);
    let endpoint = &monitor["podMetricsEndpoints"][0];
    assert_eq!(endpoint["port"], spec["template"]["spec"]["containers"][0]["ports"][0]["name"]);
    let job = json!({ "targetLabel": "job", "replacement": "callgate-agent" });
    assert_eq!(endpoint["relabelings"][0], job);
}

#[test]
fn its_token_may_write_only_to_its_own_node() {
    let Some(built) = kustomize::all() else { return };
    let objects = built.component("agent");
    let policy = one(objects, "ValidatingAdmissionPolicy", "callgate-agent-own-node");
    let binding = one(objects, "ValidatingAdmissionPolicyBinding", "callgate-agent-own-node");
    assert_eq!(policy["spec"]["failurePolicy"], "Fail");
    assert_eq!(binding["spec"]["policyName"], policy["metadata"]["name"]);
    assert_eq!(binding["spec"]["validationActions"], json!(["Deny"]));
    let account = one(objects, "ServiceAccount", "callgate-agent");
    let user = format!(
        "request.userInfo.username == 'system:serviceaccount:{NAMESPACE}:{}'",
        account["metadata"]["name"].as_str().expect("a name")
    );
    assert_eq!(policy["spec"]["matchConditions"][0]["expression"], user);
    // Every write that the agent may make is covered.
    let role = one(objects, "ClusterRole", "callgate-agent");
    let rules = policy["spec"]["matchConstraints"]["resourceRules"].as_array().expect("rules");
    for rule in role["rules"].as_array().expect("rules") {
        let verbs = rule["verbs"].as_array().expect("verbs");
        if !verbs.iter().any(|it| it == "create" || it == "patch") {
            continue;
        }
        for resource in rule["resources"].as_array().expect("resources") {
            let covers = |it: &&Value| {
                it["apiGroups"] == rule["apiGroups"]
                    && it["resources"].as_array().expect("resources").contains(resource)
            };
            assert!(rules.iter().any(|it| covers(&it)), "{resource}");
        }
    }
}

#[test]
fn it_can_delete_no_pod_but_its_own() {
    let Some(built) = kustomize::all() else { return };
    let objects = built.component("agent");
    let policy = &one(objects, "ValidatingAdmissionPolicy", "callgate-agent-own-pod")["spec"];
    let binding =
        &one(objects, "ValidatingAdmissionPolicyBinding", "callgate-agent-own-pod")["spec"];
    assert_eq!(policy["failurePolicy"], "Fail");
    assert_eq!(binding["policyName"], "callgate-agent-own-pod");
    assert_eq!(binding["validationActions"], json!(["Deny"]));
    let own_node = &one(objects, "ValidatingAdmissionPolicy", "callgate-agent-own-node")["spec"];
    assert_eq!(policy["matchConditions"], own_node["matchConditions"]);
    let role = one(objects, "Role", "callgate-agent");
    assert_eq!(role["metadata"]["namespace"], NAMESPACE);
    let covered = &policy["matchConstraints"]["resourceRules"][0];
    assert_eq!(covered["resources"], role["rules"][0]["resources"]);
    assert_eq!(covered["operations"], json!(["DELETE"]));
}
