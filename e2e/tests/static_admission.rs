//! Policies that the API server reads from files.

use std::{fs, process::Command};

use serde_json::{Value, json};
use support::{
    report::report,
    wait::{PATIENCE, at_length},
};

use crate::{
    callers::static_folder,
    trial::{Test, trials},
};

trials![static_manifests_deny_what_nobody_can_remove];

const VALIDATING: &str = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies";

/// They cannot be removed through the API, not even by an administrator.
async fn static_manifests_deny_what_nobody_can_remove(it: Test) {
    let folder = it.world.site.directory.as_deref().and_then(static_folder);
    let Some(folder) = folder else {
        report("skipped: the API server reads no static manifests");
        return;
    };
    let name = &it.namespace;
    let policy = json!({
        "apiVersion": "callgate.dev/v1alpha1", "kind": "SeccompPolicy",
        "metadata": { "name": name },
        "spec": { "default": { "type": "RuntimeDefault" }, "placement": "Ignore" },
    });
    let path = format!("/apis/callgate.dev/v1alpha1/seccomppolicies/{name}");
    it.api().apply(&path, &policy).await.expect_ok("the policy");
    let namespace = it.world.namespace("static", &json!({ "callgate.dev/policy": name })).await;
    let file = folder.join("policy.json");
    fs::write(&file, policy.to_string()).expect("the folder is ours");
    let output = Command::new(&it.world.site.callgate)
        .args(["compile", "--static"])
        .args([&folder, &file])
        .output()
        .expect("the program starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    // What the command says of the API server's configuration is what this one has.
    let read = |text: String| serde_saphyr::from_str::<Value>(&text).expect("YAML");
    let printed = read(fs::read_to_string(folder.join("admission.yaml")).expect("it is written"));
    let actual = folder.with_file_name("admission.yaml");
    let actual = read(fs::read_to_string(actual).expect("it is there"));
    for plugin in printed["plugins"].as_array().expect("a list") {
        assert!(actual["plugins"].as_array().expect("a list").contains(plugin), "{plugin}");
    }

    let pod = |context: Value| {
        json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "web" },
            "spec": { "containers": [{ "name": "app", "image": "app", "securityContext": context }] },
        })
    };
    let pods = format!("/api/v1/namespaces/{namespace}/pods?dryRun=All");
    let privileged = pod(json!({ "privileged": true }));
    let own = format!("callgate-backstop-{name}.static.k8s.io");
    let denied = async || {
        let reply = it.api().post(&pods, &privileged).await;
        let by = format!("ValidatingAdmissionPolicy '{own}' with binding '{own}' denied request");
        (reply.status == 403 && reply.message().contains(&by)).then_some(())
    };
    // It looks once a minute.
    at_length(3 * PATIENCE, "the API server has read them", denied).await;
    it.api().post(&pods, &pod(json!({}))).await.expect_ok("a bare pod");
    let object = json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy",
        "metadata": { "name": own }, "spec": { "validations": [{ "expression": "true" }] },
    });
    assert_eq!(it.api().delete(&format!("{VALIDATING}/{own}")).await.status, 404);
    assert!(!it.api().post(VALIDATING, &object).await.is_ok(), "no object has such a name");
    // Other tests have policies with the same labels.
    it.api().delete(&format!("{VALIDATING}?fieldSelector=metadata.name={own}")).await;
    assert_eq!(denied().await, Some(()));
    for plugin in ["mutating", "validating"] {
        fs::remove_file(folder.join(plugin).join("callgate.yaml")).expect("it is there");
    }
    let label = json!({ "metadata": { "labels": { "callgate.dev/policy": null } } });
    it.api().merge(&format!("/api/v1/namespaces/{namespace}"), &label).await;
    it.api().delete(&path).await;
}
