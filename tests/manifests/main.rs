//! The manifests agree with the code.

mod agent;
mod denials;
mod helm;
mod kustomize;
mod monitoring;
mod rights;
mod schemas;
mod workload;

use callgate::{
    admission::{LEFT_OUT, LEFT_OUT_EVERYWHERE},
    compile::{Cluster, MUTATION, compile},
    group::{API_VERSION, COMPILED},
    policy::{Builtin, Mode},
};
use std::{fs, process::Command};

use serde_json::{Value, json};

/// `callgate crds >manifests/crds/crds.yaml` writes it anew.
#[test]
fn the_crds_are_generated_from_the_code() {
    let output = Command::new(env!("CARGO_BIN_EXE_callgate")).arg("crds").output();
    let output = output.expect("the binary starts");
    assert!(output.status.success());
    let written = fs::read_to_string("manifests/crds/crds.yaml").expect("there are definitions");
    assert!(written == String::from_utf8_lossy(&output.stdout), "src/api has changed");
}

/// Only the variables differ: there a policy is data, and here it is CEL.
#[test]
fn the_policy_of_the_component_is_what_policies_are_compiled_to() {
    let text = fs::read_to_string("manifests/components/in-process/policy.yaml").expect("a policy");
    let all: Vec<Value> = serde_saphyr::from_multiple(&text).expect("it is YAML");
    let cluster = Cluster {
        default_policy: None,
        default_mode: Mode::Enforce,
        excluded_namespaces: Vec::new(),
    };
    let restricted = Builtin::named("restricted").expect("it is built in").policy();
    let compiled = compile(&restricted, &cluster).objects;
    let mut spec = all[0]["spec"].clone();
    let fields = spec.as_object_mut().expect("it has fields");
    let kind = fields.remove("paramKind").expect("it has data");
    assert_eq!(kind, json!({ "apiVersion": API_VERSION, "kind": COMPILED.kind }));
    fields.insert("variables".to_owned(), compiled[0]["spec"]["variables"].clone());
    assert_eq!(spec, compiled[0]["spec"]);
    assert_eq!(spec["mutations"][0]["jsonPatch"]["expression"], MUTATION);

    let selector = &all[1]["spec"]["matchResources"]["namespaceSelector"]["matchExpressions"];
    let mut left_out = [LEFT_OUT, LEFT_OUT_EVERYWHERE].concat();
    left_out.sort_unstable();
    assert_eq!(selector[2]["key"], "kubernetes.io/metadata.name");
    assert_eq!(
        selector[2]["values"],
        json!(left_out),
        "they are left to the webhook, or to nobody"
    );
}

/// A rule that is new must be known to the schema of policies too.
#[test]
fn the_schema_of_policies_knows_every_rule() {
    let text = fs::read_to_string("manifests/crds/crds.yaml").expect("there are definitions");
    for rule in callgate::policy::RULES {
        assert!(text.contains(&format!("'{}'", rule.id)), "{}", rule.id);
    }
}

#[test]
fn no_label_of_a_pod_bypasses_a_webhook() {
    let text = fs::read_to_string("manifests/base/webhooks.yaml").expect("there are webhooks");
    let all: Vec<Value> = serde_saphyr::from_multiple(&text).expect("they are YAML");
    let mut names = Vec::new();
    for webhook in all.iter().flat_map(|it| it["webhooks"].as_array().expect("a list")) {
        names.push(webhook["name"].as_str().expect("a name").to_owned());
        assert!(webhook.get("objectSelector").is_none(), "2.5: {}", names[names.len() - 1]);
        assert_eq!(webhook["sideEffects"], "None");
        assert_eq!(webhook["matchPolicy"], "Equivalent");
        let pods = webhook["rules"]
            .as_array()
            .expect("rules")
            .iter()
            .any(|it| it["resources"][0] == "pods");
        if pods {
            let resources: Vec<_> = webhook["rules"]
                .as_array()
                .expect("rules")
                .iter()
                .flat_map(|it| it["resources"].as_array().expect("a list"))
                .collect();
            assert_eq!(
                resources,
                ["pods", "pods/ephemeralcontainers"],
                "debug containers are added by a subresource"
            );
        }
        let fails =
            if names[names.len() - 1] == "validate.callgate.dev" { "Fail" } else { "Ignore" };
        assert_eq!(webhook["failurePolicy"], fails, "{}", names[names.len() - 1]);
        let left_out = webhook["namespaceSelector"]["matchExpressions"].as_array();
        let left_out = left_out.and_then(|it| it.iter().find(|it| it["operator"] == "NotIn"));
        if let Some(names) = left_out {
            assert_eq!(names["values"], serde_json::json!(LEFT_OUT));
        }
    }
    let expected =
        ["mutate", "validate", "templates", "objects"].map(|it| format!("{it}.callgate.dev"));
    assert_eq!(names, expected);
}

#[test]
fn component_everywhere_leaves_out_system_namespaces_by_name() {
    let Some(built) = kustomize::all() else { return };
    let mut left_out = [LEFT_OUT, LEFT_OUT_EVERYWHERE].concat();
    left_out.sort_unstable();
    for webhook in built.component("everywhere").iter().flat_map(kustomize::webhooks) {
        let selector = &webhook["namespaceSelector"]["matchExpressions"];
        if webhook["name"] == "objects.callgate.dev" {
            continue;
        }
        assert_eq!(
            *selector,
            serde_json::json!([{
                "key": "kubernetes.io/metadata.name", "operator": "NotIn",
                "values": left_out,
            }]),
            "{}",
            webhook["name"]
        );
    }
}

#[test]
fn in_overlay_audit_every_webhook_fails_open() {
    let Some(built) = kustomize::all() else { return };
    for webhook in built.overlay("audit").iter().flat_map(kustomize::webhooks) {
        assert_eq!(webhook["failurePolicy"], "Ignore", "{}", webhook["name"]);
    }
}

#[test]
fn every_object_has_our_labels_and_our_namespace() {
    const OF_THE_CLUSTER: &[&str] = &[
        "ClusterRole",
        "ClusterRoleBinding",
        "CustomResourceDefinition",
        "MutatingAdmissionPolicy",
        "MutatingAdmissionPolicyBinding",
        "MutatingWebhookConfiguration",
        "Namespace",
        "ValidatingAdmissionPolicy",
        "ValidatingAdmissionPolicyBinding",
        "ValidatingWebhookConfiguration",
    ];
    let Some(built) = kustomize::all() else { return };
    for (name, objects) in built.iter() {
        for object in objects {
            let (kind, metadata) = (object["kind"].as_str().expect("a kind"), &object["metadata"]);
            let what = format!("{name}: {kind} {}", metadata["name"]);
            // The agent needs what the other namespace forbids.
            let namespace = match &metadata["namespace"] {
                it if it == "callgate-agent" => "callgate-agent",
                _ => "callgate-system",
            };
            let expected = (!OF_THE_CLUSTER.contains(&kind)).then_some(Value::from(namespace));
            assert_eq!(metadata.get("namespace"), expected.as_ref(), "{what}");
            assert_eq!(metadata["labels"]["app.kubernetes.io/name"], "callgate", "{what}");
        }
    }
}

/// The certificate names the Service in the namespace of the pod, so the API
/// server must look for it there, and no flag may say otherwise.
#[test]
fn manifests_in_another_namespace_call_the_service_there() {
    let Some(objects) = kustomize::moved_to("elsewhere", &[]) else { return };
    let mut called = 0;
    for object in &objects {
        let namespace = &object["metadata"]["namespace"];
        assert!(namespace.is_null() || namespace == "elsewhere", "{}", object["kind"]);
        for webhook in kustomize::webhooks(object) {
            let service = &webhook["clientConfig"]["service"];
            assert_eq!(service["name"], "callgate");
            assert_eq!(service["namespace"], "elsewhere");
            called += 1;
        }
        for subject in object["subjects"].as_array().into_iter().flatten() {
            assert_eq!(subject["namespace"], "elsewhere");
        }
        if object["kind"] == "Deployment" {
            let container = &object["spec"]["template"]["spec"]["containers"][0];
            let told = [&container["args"], &container["env"]].map(Value::to_string).concat();
            assert!(!told.contains("--service") && !told.contains("CALLGATE_SERVICE"), "{told}");
        }
    }
    assert_eq!(called, 4);
}

#[test]
fn manifests_in_another_namespace_leave_out_that_namespace() {
    for components in [&[][..], &["everywhere".to_owned()]] {
        let Some(objects) = kustomize::moved_to("elsewhere", components) else { return };
        let mut selectors = 0;
        for webhook in objects.iter().flat_map(kustomize::webhooks) {
            let selector = &webhook["namespaceSelector"]["matchExpressions"];
            let by_name = |it: &&Value| it["key"] == "kubernetes.io/metadata.name";
            for expression in selector.as_array().into_iter().flatten().filter(by_name) {
                let names = expression["values"].as_array().expect("a list");
                assert_eq!(expression["operator"], "NotIn");
                assert!(names.contains(&Value::from("elsewhere")), "{}", webhook["name"]);
                assert!(names.contains(&Value::from("kube-system")), "{}", webhook["name"]);
                assert!(!names.contains(&Value::from("callgate-system")), "{}", webhook["name"]);
                selectors += 1;
            }
        }
        assert_eq!(selectors, 3);
    }
}
