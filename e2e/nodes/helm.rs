//! The chart on a real cluster, by Helm 3 and Helm 4, while pods are created without a pause.
//!
//! There is no released chart yet, so an upgrade begins with other values. Once there is one, its
//! package belongs to the tests, and is installed first.

use std::{fs, path::PathBuf, sync::Arc, time::Duration};

use serde_json::{Value, json};
use support::{
    e2e::load,
    helm::{self, VERSIONS},
    report::report,
    wait::eventually,
};

use crate::{
    deployment::{Deployment, configurations, privileged},
    tests::{Entry, entries},
};

pub(crate) const ALL: &[Entry] = entries![
    the_api_server_accepts_what_the_chart_renders_with_every_file_of_values,
    helm_installs_upgrades_rolls_back_and_uninstalls_and_no_pod_is_denied,
    what_helm_renders_is_applied_on_the_server_twice_without_a_difference,
];

/// The types of other operators, which are not installed here; tests/manifests compares these objects.
const OF_OTHERS: [&str; 2] = ["cert-manager.io/", "monitoring.coreos.com/"];

/// Where the release is.
const RELEASE: [&str; 4] = ["callgate", "charts/callgate", "--namespace", "callgate-system"];

/// What the upgrade changes: the webhooks, a flag of the replicas, and all pods.
const CHANGED: [&str; 2] =
    ["--set", "mode=audit,webhooks.validate.timeoutSeconds=7,podAnnotations.upgraded=yes"];

fn e2e() -> String {
    helm::values("e2e").to_string_lossy().into_owned()
}

/// The folder of Helm 3 and 4, which `make` builds before it runs this suite.
fn programs() -> Option<PathBuf> {
    let programs = helm::programs();
    if programs.is_none() {
        report("skipped: there is no Helm yet; e2e/helm/build makes it");
    }
    programs
}

impl Deployment {
    async fn helm(&self, version: &str, words: &[&str]) -> String {
        let program = helm::programs().expect("callers have looked").join(version);
        let output = self.run(&program, words).await;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let why = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{version} {}: {said}{why}", words.join(" "));
        said
    }

    /// Removes what the suite has installed by kustomize.
    async fn uninstall(&self) {
        let kinds = "validatingwebhookconfiguration,mutatingwebhookconfiguration";
        self.kubectl_ok(&["delete", kinds, "callgate"]).await;
        self.kubectl_ok(&["delete", "-k", Self::overlay(), "--ignore-not-found"]).await;
    }

    /// Installs it again.
    async fn install_again(&self) {
        self.kubectl_ok(&["apply", "-k", Self::overlay()]).await;
        self.rolled_out().await;
    }
}

async fn the_api_server_accepts_what_the_chart_renders_with_every_file_of_values(
    it: Arc<Deployment>,
) {
    let Some(_) = programs() else { return };
    let folder = tempfile::tempdir().expect("there is room for temporary files");
    let rendered = folder.path().join("rendered.json");
    // With one of the files the chart does not create the namespace of the agents.
    it.kubectl_ok(&["create", "namespace", "callgate-nodes"]).await;
    for file in fs::read_dir("tests/manifests/values").expect("there are values") {
        let file = file.expect("the tree is readable").path();
        let values = file.to_str().expect("it is text");
        let text = it.helm("v4", &[&["template"], &RELEASE[..], &["-f", values]].concat()).await;
        let all: Vec<Value> = serde_saphyr::from_multiple(&text).expect("Helm renders YAML");
        let is_known = |it: &&Value| {
            let version = it["apiVersion"].as_str().unwrap_or_default();
            !it.is_null() && !OF_OTHERS.iter().any(|other| version.starts_with(other))
        };
        let known: Vec<_> = all.iter().filter(is_known).collect();
        assert!(known.len() > 8, "{values}: {text}");
        let list = json!({ "apiVersion": "v1", "kind": "List", "items": known });
        fs::write(&rendered, list.to_string()).expect("the folder is ours");
        let apply = ["apply", "--server-side", "--force-conflicts", "--dry-run=server"];
        let path = rendered.to_str().expect("it is text");
        it.kubectl_ok(&[&apply[..], &["--validate=strict", "-f", path]].concat()).await;
    }
    it.kubectl_ok(&["delete", "namespace", "callgate-nodes", "--wait=false"]).await;
}

async fn helm_installs_upgrades_rolls_back_and_uninstalls_and_no_pod_is_denied(
    it: Arc<Deployment>,
) {
    let Some(_) = programs() else { return };
    it.uninstall().await;
    for (version, keeps_types) in VERSIONS.into_iter().zip([true, false]) {
        let keep = format!("crds.keep={keeps_types}");
        let namespace = installs(&it, version, &keep).await;
        upgrades_and_rolls_back(&it, version, &namespace, &keep).await;
        let ((), outcome) = load::during(&it.api, &namespace, async |load| {
            load.goes_on().await;
            let words = ["uninstall", "callgate", "--namespace", "callgate-system", "--wait"];
            it.helm(version, &words).await;
            load.goes_on().await;
        })
        .await;
        outcome.report(&format!("uninstalled by {version}"));
        outcome.has_no_failures_since(Duration::ZERO);
        nothing_is_left(&it, keeps_types).await;
    }
    it.kubectl_ok(&["delete", "namespace", "callgate-system"]).await;
    it.install_again().await;
}

/// Returns a namespace in which pods are governed.
async fn installs(it: &Deployment, version: &str, keep: &str) -> String {
    let values = e2e();
    let options = ["--create-namespace", "--wait", "-f", &values, "--set", keep];
    let said = it.helm(version, &[&["install"], &RELEASE[..], &options].concat()).await;
    for line in [
        "kubectl -n callgate-system rollout status deployment/callgate",
        "kubectl label namespace callgate-system pod-security.kubernetes.io/enforce=restricted",
        "kubectl label namespace shop callgate.dev/policy=restricted callgate.dev/mode=audit",
    ] {
        assert!(said.contains(&format!("\n  {line}\n")), "{said}");
    }
    let namespace = it.namespace(&format!("helm-{version}")).await;
    // Its own mode, so that the mode of the release changes nothing for its pods.
    let label = json!({ "metadata": { "labels": { "callgate.dev/mode": "enforce" } } });
    let path = format!("/api/v1/namespaces/{namespace}");
    it.api.merge(&path, &label).await.expect_ok("the label");
    eventually("the API server calls us", async || {
        let reply = it.create(&namespace, &privileged("bad")).await;
        reply.message().contains("[privileged]").then_some(())
    })
    .await;
    namespace
}

async fn upgrades_and_rolls_back(it: &Deployment, version: &str, namespace: &str, keep: &str) {
    let bundle = it.bundle().await.expect("callgate has published its CA");
    let values = e2e();
    let ((), outcome) = load::during(&it.api, namespace, async |load| {
        load.goes_on().await;
        let options = ["--wait", "-f", &values, "--set", keep];
        it.helm(version, &[&["upgrade"], &RELEASE[..], &options, &CHANGED].concat()).await;
        assert_eq!(validating(it).await, ("Ignore".into(), 7.into()));
        assert_eq!(it.bundle().await.as_ref(), Some(&bundle), "Helm leaves it alone");
        load.goes_on().await;
        let words = ["rollback", "callgate", "1", "--namespace", "callgate-system", "--wait"];
        it.helm(version, &words).await;
        assert_eq!(validating(it).await, ("Fail".into(), 5.into()));
        assert_eq!(it.bundle().await.as_ref(), Some(&bundle), "Helm leaves it alone");
        load.goes_on().await;
    })
    .await;
    outcome.report(&format!("upgraded and rolled back by {version}"));
    outcome.is_flawless();
}

/// The failure policy and the time-out of the webhook that denies pods.
async fn validating(it: &Deployment) -> (Value, Value) {
    let [_, path] = configurations();
    let configuration = it.api.get(&path).await.expect_ok("the configuration");
    let webhook = &configuration["webhooks"][0];
    assert_eq!(webhook["name"], "validate.callgate.dev");
    (webhook["failurePolicy"].clone(), webhook["timeoutSeconds"].clone())
}

/// No object of any type has our label, apart from the CRDs if they are kept, and the namespace of the release holds
/// no Secret: neither that of the CA nor one of Helm.
async fn nothing_is_left(it: &Deployment, keeps_types: bool) {
    let kept: Vec<_> = ["seccompevidences", "seccompnodes", "seccomppolicies", "seccompprofiles"]
        .map(|it| format!("customresourcedefinition.apiextensions.k8s.io/{it}.callgate.dev"))
        .into_iter()
        .filter(|_| keeps_types)
        .collect();
    eventually("what follows from deleted objects is deleted", async || {
        // A type that has just been deleted may still be listed, and is an error then.
        let types = it.kubectl_ok(&["api-resources", "--verbs=list", "-o", "name"]).await;
        let types = types.split_whitespace().collect::<Vec<_>>().join(",");
        let words = ["get", &types, "-A", "-l", "app.kubernetes.io/name=callgate", "-o", "name"];
        let output = it.kubectl(&words).await;
        let left = String::from_utf8_lossy(&output.stdout).into_owned();
        let is_clean = output.status.success() && left.lines().collect::<Vec<_>>() == kept;
        if !is_clean {
            report(&format!("left: {left}{}", String::from_utf8_lossy(&output.stderr)));
        }
        is_clean.then_some(())
    })
    .await;
    let secrets = it.api.get("/api/v1/namespaces/callgate-system/secrets").await;
    assert_eq!(secrets.expect_ok("the list")["items"], json!([]));
    for path in configurations() {
        assert_eq!(it.api.get(&path).await.status, 404);
    }
    assert_eq!(it.api.get("/api/v1/namespaces/callgate-agent").await.status, 404);
}

/// As Argo CD and Flux do it: what is rendered is applied again and again, while callgate writes its own fields.
async fn what_helm_renders_is_applied_on_the_server_twice_without_a_difference(
    it: Arc<Deployment>,
) {
    let Some(_) = programs() else { return };
    it.uninstall().await;
    let folder = tempfile::tempdir().expect("there is room for temporary files");
    let file = folder.path().join("rendered.yaml");
    let values = e2e();
    let options = ["-f", &values, "--set", "namespace.create=true,crds.keep=false"];
    let text = it.helm("v4", &[&["template"], &RELEASE[..], &options].concat()).await;
    fs::write(&file, text).expect("the folder is ours");
    let file = file.to_str().expect("it is text");
    let apply = ["apply", "--server-side", "-f", file];
    it.kubectl_ok(&apply).await;
    it.rolled_out().await;
    let agents = ["-n", "callgate-agent", "rollout", "status", "daemonset/callgate-agent"];
    it.kubectl_ok(&agents).await;
    let namespace = it.namespace("rendered").await;
    let (bundle, ca) = (it.bundle().await, it.stored("ca.crt").await);
    assert!(bundle.is_some() && ca.is_some(), "callgate has written both");

    let ((), outcome) = load::during(&it.api, &namespace, async |load| {
        load.goes_on().await;
        it.kubectl_ok(&apply).await;
        assert_eq!(it.kubectl_ok(&["diff", "--server-side", "-f", file]).await, "");
        load.goes_on().await;
    })
    .await;
    outcome.is_flawless();
    assert_eq!((it.bundle().await, it.stored("ca.crt").await), (bundle, ca));

    it.uninstall().await;
    it.install_again().await;
}
