//! How the component is removed.

use std::fs;

use serde_json::{Value, json};
use support::{e2e::manifests::path_of, wait::eventually};

use crate::{
    tests::{compiled::is_served, readme::shell},
    trial::{Test, trials},
};

/// By which the runbook deletes objects.
const LABEL: &str = "app.kubernetes.io/name";

trials![the_runbook_removes_all_that_the_component_brings_and_what_callgate_wrote];

/// By copies of the objects with other names, group and label, since other tests need the originals.
async fn the_runbook_removes_all_that_the_component_brings_and_what_callgate_wrote(it: Test) {
    if !is_served(&it).await {
        return;
    }
    let (name, group) = (it.namespace.clone(), format!("{}.example.com", it.namespace));
    let copied = |text: &str| {
        text.replace("callgate.dev", &group)
            .replace(&format!("{LABEL}: callgate"), &format!("{LABEL}: {name}"))
            .replace(&format!("{LABEL}=callgate"), &format!("{LABEL}={name}"))
            .replace("callgate-in-process", &name)
    };
    let text = copied(&shell(&it, "kubectl kustomize manifests/components/in-process"));
    let objects: Vec<Value> = serde_saphyr::from_multiple(&text).expect("YAML");
    assert_eq!(objects.len(), 3, "{text}");
    for object in &objects {
        it.api().apply(&path_of(object), object).await.expect_ok("an object of the component");
    }
    let compiled = format!("/apis/{group}/v1alpha1/compiledpolicies");
    let object = json!({
        "apiVersion": format!("{group}/v1alpha1"), "kind": "CompiledPolicies",
        "metadata": { "name": "callgate" }, "spec": {},
    });
    eventually("the object is stored", async || {
        it.api().post(&compiled, &object).await.is_ok().then_some(())
    })
    .await;

    let runbook = fs::read_to_string("docs/runbook.md").expect("it is there");
    for what in
        ["mutatingadmissionpolicybindings,mutatingadmissionpolicies", "customresourcedefinitions"]
    {
        let line = format!("kubectl delete {what} -l {LABEL}=callgate");
        assert!(runbook.contains(&line), "the runbook has no line {line}");
        shell(&it, &copied(&line));
    }
    let all = objects.iter().map(path_of).chain([format!("{compiled}/callgate")]);
    for path in all {
        eventually("it is gone", async || (it.api().get(&path).await.status == 404).then_some(()))
            .await;
    }
}
