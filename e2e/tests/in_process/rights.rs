//! What the component permits callgate to write, and what that can do.

use std::fs;

use serde_json::{Value, json};
use support::{
    e2e::{
        api::{Api, Reply},
        manifests::{manifests, path_of},
    },
    wait::eventually,
};

use super::{OBJECT, POLICIES, bare, uninstall};
use crate::{
    tests::compiled::{component, is_served, outcome},
    trial::{Test, trials},
};

const HOOKS: &str = "/apis/admissionregistration.k8s.io/v1";

trials![
    callgate_may_write_no_admission_policy_and_what_it_may_write_sets_profiles_alone,
    no_admission_policy_restricts_who_writes_admission_policies,
];

/// Texts for which nothing is set.
const HARMLESS: &[&str] = &[
    "* => Unconfined",
    "* => RuntimeDefault, privileged",
    "* => localhost a.json",
    "* => Localhost",
    "* => Localhost ",
    "* => {'type': 'RuntimeDefault', 'hostPID': true}",
    "* => ",
    "*",
    "RuntimeDefault",
    "",
    "exempt namespaces x\n* => RuntimeDefault",
    "something to come\n* => RuntimeDefault",
    "\n* => RuntimeDefault",
    "* => webhook\n* => RuntimeDefault",
];

fn refused(what: &str, reply: &Reply, status: u16) {
    assert_eq!(reply.status, status, "{what}: {} {}", reply.status, reply.message());
}

/// The rights of manifests/base with those that the component adds.
async fn callgate(it: &Test) -> Api {
    let text = fs::read_to_string("manifests/components/in-process/kustomization.yaml");
    let component: Value =
        serde_saphyr::from_str(&text.expect("there is the component")).expect("YAML");
    let patches = component["patches"].as_array().expect("a list");
    let of_role = patches.iter().find(|it| it["target"]["kind"] == "ClusterRole").expect("a patch");
    let operations: Vec<Value> =
        serde_saphyr::from_str(of_role["patch"].as_str().expect("a text")).expect("YAML");
    let name = it.namespace.clone();
    let mut objects: Vec<_> = manifests("rbac")
        .into_iter()
        .filter(|it| it["metadata"].get("namespace").is_none())
        .collect();
    for operation in operations {
        assert_eq!((&operation["op"], &operation["path"]), (&json!("add"), &json!("/rules/-")));
        objects[0]["rules"].as_array_mut().expect("rules").push(operation["value"].clone());
    }
    objects[0]["metadata"]["name"] = json!(name);
    objects[1]["metadata"]["name"] = json!(name);
    objects[1]["roleRef"]["name"] = json!(name);
    objects[1]["subjects"][0]["name"] = json!("callgate-in-process");
    for object in &objects {
        it.api().apply(&path_of(object), object).await.expect_ok("the role");
    }
    let account = json!({
        "apiVersion": "v1", "kind": "ServiceAccount",
        "metadata": { "name": "callgate-in-process", "namespace": "callgate-system" },
    });
    it.api().apply(&path_of(&account), &account).await.expect_ok("the account");
    let path = format!("{}/token", path_of(&account));
    let request = json!({
        "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": { "audiences": null },
    });
    let token = it.api().post(&path, &request).await.expect_ok("a token");
    let token = token["status"]["token"].as_str().expect("a token");
    Api::connect_with(&it.world.site.kubeconfig, token).await
}

/// Tries to break out with callgate's own token.
#[expect(clippy::too_many_lines, reason = "a list of attempts")]
async fn callgate_may_write_no_admission_policy_and_what_it_may_write_sets_profiles_alone(
    it: Test,
) {
    if !is_served(&it).await {
        return;
    }
    let namespace = it.plain_namespace().await;
    component::define(&it).await;
    let callgate = callgate(&it).await;
    let list =
        format!("{}?fieldSelector=metadata.name%3Dcallgate", OBJECT.trim_end_matches("/callgate"));
    eventually("the roles are known", async || callgate.get(&list).await.is_ok().then_some(()))
        .await;

    // Admission policies and webhooks, by every verb: no right to any, whatever the name is.
    let everything =
        json!({ "mutations": [{ "patchType": "JSONPatch", "jsonPatch": { "expression": "[]" } }] });
    for (kind, plural) in [
        ("MutatingAdmissionPolicy", "mutatingadmissionpolicies"),
        ("MutatingAdmissionPolicyBinding", "mutatingadmissionpolicybindings"),
        ("ValidatingAdmissionPolicy", "validatingadmissionpolicies"),
        ("ValidatingAdmissionPolicyBinding", "validatingadmissionpolicybindings"),
        ("MutatingWebhookConfiguration", "mutatingwebhookconfigurations"),
        ("ValidatingWebhookConfiguration", "validatingwebhookconfigurations"),
    ] {
        for name in ["callgate-in-process", "callgate-policy-x", &it.namespace, "x"] {
            let path = format!("{HOOKS}/{plural}/{name}");
            let object = json!({
                "apiVersion": "admissionregistration.k8s.io/v1", "kind": kind,
                "metadata": { "name": name }, "spec": everything,
            });
            for (what, reply) in [
                ("created", callgate.post(&format!("{HOOKS}/{plural}"), &object).await),
                ("applied", callgate.apply(&path, &object).await),
                ("replaced", callgate.put(&path, &object).await),
                ("merged", callgate.merge(&path, &json!({ "spec": everything })).await),
                ("patched", callgate.json_patch(&path, &json!([])).await),
                ("deleted", callgate.delete(&path).await),
                ("all deleted", callgate.delete(&format!("{HOOKS}/{plural}")).await),
            ] {
                refused(&format!("{plural}/{name} {what}"), &reply, 403);
            }
        }
    }
    // The type of the object, its rights, and other objects of the type.
    let definition =
        "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/compiledpolicies.callgate.dev";
    let all = OBJECT.trim_end_matches("/callgate");
    let of = |name: &str, spec: &Value| {
        json!({
            "apiVersion": "callgate.dev/v1alpha1", "kind": "CompiledPolicies",
            "metadata": { "name": name }, "spec": spec,
        })
    };
    let role = format!("/apis/rbac.authorization.k8s.io/v1/clusterroles/{}", it.namespace);
    for (what, reply) in [
        ("the definition", callgate.merge(definition, &json!({})).await),
        ("its rights", callgate.merge(&role, &json!({ "rules": [] })).await),
        (
            "another object",
            callgate.apply(&format!("{all}/another"), &of("another", &json!({}))).await,
        ),
        ("another one read", callgate.get(&format!("{all}/another")).await),
        ("all read", callgate.get(all).await),
        ("the object replaced", callgate.put(OBJECT, &of("callgate", &json!({}))).await),
        ("the object deleted", callgate.delete(OBJECT).await),
        ("all deleted", callgate.delete(all).await),
        ("a policy", callgate.merge(&format!("{POLICIES}/x"), &json!({})).await),
    ] {
        refused(what, &reply, 403);
    }

    // What it may write. It is written to an object of this test, as the real one is others' too.
    let name = it.namespace.clone();
    let own = format!("{all}/{name}");
    let [policy, mut binding] = component::policy(&name);
    component::without_labels(&mut binding, &namespace);
    binding["spec"]["paramRef"]["name"] = json!(name);
    let objects = [policy, binding];
    for object in &objects {
        it.api().apply(&path_of(object), object).await.expect_ok("the policy of the component");
    }
    let saying = |entry: Value| json!({ "defaultMode": "enforce", "defaultPolicy": "x", "policies": { "x": entry } });
    for entry in [json!(["* => RuntimeDefault"]), json!({ "type": "RuntimeDefault" }), json!(7)] {
        let object = of("callgate", &saying(entry.clone()));
        let path = format!("{OBJECT}?dryRun=All");
        let reply = callgate.merge(&path, &json!({ "spec": object["spec"] })).await;
        let is_refused = reply.status == 422 || reply.status == 404;
        assert!(is_refused, "{entry}: {} {}", reply.status, reply.message());
        let reply = it.api().apply(&own, &of(&name, &object["spec"])).await;
        assert!(!reply.is_ok(), "{entry}");
    }
    let pods = format!("/api/v1/namespaces/{namespace}/pods?dryRun=All");
    let create = async || it.api().post(&pods, &bare()).await;
    let plain = outcome(create().await).expect("a pod");
    let set = async |entry: &str| {
        it.api().apply(&own, &of(&name, &saying(json!(entry)))).await.expect_ok("the object");
    };
    let profile_of = |pod: &Value| pod["spec"]["securityContext"]["seccompProfile"].clone();
    for (number, entry) in HARMLESS.iter().enumerate() {
        // Before each of them a profile that shows when the API server goes by the next one.
        let path = format!("{number}.json");
        let before = json!({ "type": "Localhost", "localhostProfile": path });
        set(&format!("* => Localhost {path}")).await;
        eventually("the profile is set", async || {
            (profile_of(&outcome(create().await).expect("a pod")) == before).then_some(())
        })
        .await;
        set(entry).await;
        let pod = eventually("the API server goes by the entry", async || {
            let pod = outcome(create().await).expect("a pod");
            (profile_of(&pod) != before).then_some(pod)
        })
        .await;
        assert_eq!(pod, plain, "{entry:?}");
    }
    // A profile is all that is set.
    set("* => RuntimeDefault").await;
    let mut changed = eventually("the profile is set", async || {
        let pod = outcome(create().await).expect("a pod");
        (profile_of(&pod)["type"] == "RuntimeDefault").then_some(pod)
    })
    .await;
    let context = changed["spec"]["securityContext"].as_object_mut().expect("a context");
    assert_eq!(context.remove("seccompProfile"), Some(json!({ "type": "RuntimeDefault" })));
    assert_eq!(changed, plain);
    uninstall(&it, &objects).await;
    it.api().delete(&own).await;
}

/// Why callgate does not write admission policies: nothing could hold it to harmless ones.
async fn no_admission_policy_restricts_who_writes_admission_policies(it: Test) {
    if !is_served(&it).await {
        return;
    }
    let name = &it.namespace;
    let rule = |group: &str, resources: &[&str]| {
        json!({
            "apiGroups": [group], "apiVersions": ["*"], "operations": ["*"],
            "resources": resources, "scope": "*",
        })
    };
    let object = |kind: &str, spec: Value| {
        json!({
            "apiVersion": "admissionregistration.k8s.io/v1", "kind": kind,
            "metadata": { "name": name }, "spec": spec,
        })
    };
    let all = ["mutatingadmissionpolicies", "mutatingadmissionpolicybindings"];
    let policy = object(
        "ValidatingAdmissionPolicy",
        json!({
            "failurePolicy": "Fail",
            "matchConstraints": { "resourceRules": [
                rule("admissionregistration.k8s.io", &all), rule("", &["configmaps"]),
            ] },
            "matchConditions": [{
                "name": "of-this-test",
                "expression": format!("request.name == '{name}' || request.namespace == '{name}'"),
            }],
            "validations": [{ "expression": "false" }],
        }),
    );
    let binding = object(
        "ValidatingAdmissionPolicyBinding",
        json!({
            "policyName": name, "validationActions": ["Deny"],
        }),
    );
    let objects = [policy, binding];
    for object in &objects {
        it.api().apply(&path_of(object), object).await.expect_ok("the policy");
    }
    let map = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "x" } });
    let maps = format!("/api/v1/namespaces/{name}/configmaps?dryRun=All");
    eventually("the policy denies", async || {
        (it.api().post(&maps, &map).await.status == 422).then_some(())
    })
    .await;
    for object in component::policy(name) {
        it.api().apply(&path_of(&object), &object).await.expect_ok("it is not asked");
        it.api().delete(&path_of(&object)).await.expect_ok("nor here");
    }
    uninstall(&it, &objects).await;
}
