//! Namespaces that are governed in different ways, beside each other in one cluster.

use std::{fs, process::Command};

use serde_json::{Value, json};
use support::{
    bench::review,
    e2e::{
        api::Api,
        instance::Instance,
        manifests::{manifests, path_of},
    },
    wait::eventually,
};

use crate::{namespace, pod_of};

/// What governs a namespace.
pub(crate) struct Governor {
    /// What tables call it.
    pub(crate) name: &'static str,
    pub(crate) namespace: &'static str,
    label: Option<(&'static str, &'static str)>,
}

/// In the order of the tables.
pub(crate) const GOVERNORS: [Governor; 6] = [
    Governor { name: "nothing", namespace: "ungoverned", label: None },
    Governor { name: "nothing, once more", namespace: "ungoverned-too", label: None },
    Governor {
        name: "callgate in process",
        namespace: "in-process",
        label: Some(("callgate.dev/policy", "restricted")),
    },
    Governor {
        name: "callgate's webhooks alone",
        namespace: "by-webhook",
        label: Some(("callgate.dev/policy", "restricted")),
    },
    Governor {
        name: "policies of the API server, ApplyConfiguration",
        namespace: "by-configuration",
        label: Some(("seccomp.example.com/enforce", "true")),
    },
    Governor {
        name: "policies of the API server, JSONPatch",
        namespace: "by-patch",
        label: Some(("patch.example.com/enforce", "true")),
    },
];

pub(crate) const CONTROL: usize = 1;
pub(crate) const IN_PROCESS: usize = 2;
pub(crate) const WEBHOOK: usize = 3;
pub(crate) const APPLY: usize = 4;
pub(crate) const PATCH: usize = 5;

const POLICIES: &str = "examples/without-callgate/seccomp.yaml";

/// Installs the component `in-process` without the namespace that is for the webhooks alone, and
/// returns the path of its binding.
pub(crate) async fn install_component(api: &Api) -> String {
    let mut objects = manifests("../components/in-process/definition");
    objects.extend(manifests("../components/in-process/policy"));
    let binding = objects.last_mut().expect("a binding");
    let path = path_of(binding);
    let expressions =
        &mut binding["spec"]["matchResources"]["namespaceSelector"]["matchExpressions"];
    let names = &mut expressions[2];
    assert_eq!(names["key"], "kubernetes.io/metadata.name");
    names["values"].as_array_mut().expect("names").push(json!(GOVERNORS[WEBHOOK].namespace));
    for object in objects {
        eventually("the object of the component", async || {
            api.apply(&path_of(&object), &object).await.is_ok().then_some(())
        })
        .await;
    }
    path
}

/// Applies what `callgate compile` prints of the policy instead, without that namespace, and returns
/// the path of its binding.
pub(crate) async fn install_compiled(api: &Api) -> String {
    let excluded = format!("{},callgate-system,kube-system", GOVERNORS[WEBHOOK].namespace);
    let compiled = Command::new(env!("CARGO_BIN_EXE_callgate"))
        .args(["compile", "restricted", "--excluded-namespace", &excluded])
        .output()
        .expect("callgate starts");
    assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
    let text = String::from_utf8(compiled.stdout).expect("objects are text");
    let objects: Vec<Value> = serde_saphyr::from_multiple(&text).expect("objects are YAML");
    for object in &objects {
        api.apply(&path_of(object), object).await.expect_ok("an object of callgate compile");
    }
    path_of(objects.last().expect("a binding"))
}

/// Makes the namespaces, and waits until each is governed as its name says.
pub(crate) async fn set_up(api: &Api, webhook: &Instance) {
    let text = fs::read_to_string(POLICIES).expect("the example is there");
    let objects = |text: &str| -> Vec<Value> {
        serde_saphyr::from_multiple(text).expect("the example is YAML")
    };
    let mut patching = objects(&text.replace("seccomp.example.com", "patch.example.com"));
    patching[0]["spec"]["mutations"] = json!([{
        "patchType": "JSONPatch", "jsonPatch": { "expression": JSON_PATCH },
    }]);
    for object in objects(&text).iter().chain(&patching) {
        api.apply(&path_of(object), object).await.expect_ok("a policy of the API server's own");
    }
    for Governor { namespace: name, label, .. } in &GOVERNORS {
        let labels = label.map(|(key, value)| (key.to_owned(), json!(value)));
        namespace(api, name, &labels.into_iter().collect()).await;
    }
    let reviews = review::all();
    let pod = pod_of(&reviews[0]);
    let mut unconfined = pod.clone();
    unconfined["spec"]["securityContext"]["seccompProfile"] = json!({ "type": "Unconfined" });
    for (at, Governor { name, namespace, label }) in GOVERNORS.iter().enumerate() {
        let path = format!("/api/v1/namespaces/{namespace}/pods?dryRun=All");
        eventually(name, async || {
            let before = calls(webhook).await[0];
            let bare = api.post(&path, &pod).await;
            let is_called = calls(webhook).await[0] > before;
            let unconfined = api.post(&path, &unconfined).await;
            let has = bare.is_ok() && has_profile(&bare.body);
            let is_governed = has == label.is_some() && unconfined.is_ok() == label.is_none();
            (is_governed && is_called == (at == WEBHOOK)).then_some(())
        })
        .await;
    }
}

const JSON_PATCH: &str = "\
    has(object.spec.securityContext) ? \
    [JSONPatch{op: 'add', path: '/spec/securityContext/seccompProfile', \
     value: {'type': 'RuntimeDefault'}}] : \
    [JSONPatch{op: 'add', path: '/spec/securityContext', \
     value: {'seccompProfile': {'type': 'RuntimeDefault'}}}]";

pub(crate) fn has_profile(pod: &Value) -> bool {
    pod["spec"]["securityContext"]["seccompProfile"]["type"] == "RuntimeDefault"
}

/// The reviews that were answered so far by `/mutate` and by `/validate`.
pub(crate) async fn calls(webhook: &Instance) -> [u64; 2] {
    let page = webhook.ask("/metrics").await.expect("the admin port answers");
    ["mutate", "validate"].map(|it| {
        let name = "callgate_reviews_total{";
        let lines = page.lines().filter(|line| line.starts_with(name));
        let lines = lines.filter(|line| line.contains(&format!("webhook=\"{it}\"")));
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
    })
}
