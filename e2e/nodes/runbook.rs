//! docs/runbook.md, line by line: runs its blocks unchanged, and checks what it promises about each.

use std::{
    collections::VecDeque,
    env, fs,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use support::{
    e2e::{
        api::Reply,
        cluster::{self, Place, Site},
        load,
    },
    wait::eventually,
};
use tempfile::TempDir;

use crate::deployment::{Deployment, pod, privileged};

const SECRET: &str = "/api/v1/namespaces/callgate-system/secrets/callgate-ca";
const CONFIGURATION: &str =
    "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/callgate";
const AWAY: &str = "failed calling webhook \"validate.callgate.dev\"";
const DAY: f64 = 24.0 * 3600.0;

/// Runs the page from top to bottom.
struct Reader {
    site: Site,
    /// The working directory.
    folder: TempDir,
    /// The remaining blocks, each with its heading.
    blocks: VecDeque<(String, String)>,
}

impl Reader {
    fn new() -> Self {
        let Place::Inside(site) = cluster::place(env!("CARGO_BIN_EXE_callgate")) else {
            panic!("the suite runs in a cluster")
        };
        let page = fs::read_to_string("docs/runbook.md").expect("there is a runbook");
        let folder = tempfile::tempdir().expect("there is room for temporary files");
        Self { site, folder, blocks: blocks(&page) }
    }

    /// Runs the next block, which has to be under this heading, and returns its output.
    async fn run(&mut self, heading: &str) -> String {
        let (under, block) = self.blocks.pop_front().expect("the page goes on");
        assert_eq!(under, heading, "the page has another order");
        let script = format!("set -euo pipefail\n{block}");
        let mut command = self.site.bash(&script, self.folder.path());
        let run = move || command.output().expect("bash starts");
        let output = tokio::task::spawn_blocking(run).await.expect("it does not panic");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{heading}:\n{block}\n{said}");
        said
    }
}

/// The content of the blocks that are marked `sh`.
fn blocks(page: &str) -> VecDeque<(String, String)> {
    let (mut heading, mut block) = (String::new(), None);
    let mut all = VecDeque::new();
    for line in page.lines() {
        match (&mut block, line) {
            (None, "```sh") => block = Some(String::new()),
            (None, _) if line.starts_with('#') => {
                line.trim_start_matches(['#', ' ']).clone_into(&mut heading);
            }
            (None, _) => {}
            (Some(text), "```") => {
                all.push_back((heading.clone(), std::mem::take(text)));
                block = None;
            }
            (Some(text), _) => {
                text.push_str(line);
                text.push('\n');
            }
        }
    }
    all
}

pub(crate) async fn what_the_runbook_says_comes_true(it: Arc<Deployment>) {
    let mut reader = Reader::new();
    reader.run("Install").await;
    make_shop(&it).await;
    opting_in(&it, &mut reader).await;
    looking(&mut reader).await;
    reader.run("Upgrade").await;
    applying_on_the_server(&it, &mut reader).await;
    being_down(&it, &mut reader).await;
    the_ca(&it, &mut reader).await;
    uninstalling(&it, &mut reader).await;
    uninstalling_in_another_order(&it, &mut reader).await;
    assert!(reader.blocks.is_empty(), "no test runs {:?}", reader.blocks);

    it.kubectl_ok(&["apply", "-k", Deployment::overlay()]).await;
    it.rolled_out().await;
    let namespace = it.namespace("afterwards").await;
    await_denial(&it, &namespace, "[privileged]").await;
}

/// A typical namespace, with a Deployment whose pods would be denied.
async fn make_shop(it: &Deployment) {
    it.kubectl_ok(&["create", "namespace", "shop"]).await;
    it.namespace("elsewhere").await;
    let template = privileged("web")["spec"].clone();
    let mut template = json!({ "metadata": { "labels": { "app": "web" } }, "spec": template });
    template["spec"]["restartPolicy"].take();
    let deployment = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "web" },
        "spec": {
            "replicas": 0, "selector": { "matchLabels": { "app": "web" } }, "template": template,
        },
    });
    let path = "/apis/apps/v1/namespaces/shop/deployments";
    it.api.post(path, &deployment).await.expect_ok("a Deployment");
    it.kubectl_ok(&["-n", "shop", "rollout", "status", "deployment/web"]).await;
    let account = "/api/v1/namespaces/shop/serviceaccounts/default";
    eventually("pods can be created", async || it.api.get(account).await.is_ok().then_some(()))
        .await;
}

async fn opting_in(it: &Deployment, reader: &mut Reader) {
    reader.run("Audit").await;
    let select = ["-n", "callgate-system", "logs", "-l", "app.kubernetes.io/component=webhook"];
    eventually("a bad pod is recorded", async || {
        let reply = try_out(it, "shop", &privileged("bad")).await;
        assert!(reply.is_ok() && reply.warnings.is_empty(), "{reply:?}");
        let log = it.kubectl_ok(&[&select[..], &["--tail=-1"]].concat()).await;
        log.contains("\"namespace\":\"shop\"").then_some(())
    })
    .await;
    let stored = try_out(it, "shop", &bare("bare")).await.expect_ok("a bare pod");
    assert_eq!(stored["spec"]["securityContext"], json!({}), "no pod is changed");
    let said = reader.run("Audit").await;
    assert!(
        said.contains("callgate_findings_total{rule=\"privileged\",level=\"audit\"}"),
        "{said}"
    );
    let said = reader.run("Audit").await;
    assert!(said.contains("\"rules\":\"privileged,unset\""), "{said}");

    reader.run("Warn").await;
    eventually("a bad pod is warned about", async || {
        let reply = try_out(it, "shop", &privileged("bad")).await;
        assert!(reply.is_ok(), "{reply:?}");
        reply.warnings.iter().any(|it| it.ends_with("[privileged]")).then_some(())
    })
    .await;
    let said = reader.run("Warn").await;
    assert!(said.contains("Warning: ") && said.contains("[privileged]"), "{said}");
    assert!(said.ends_with("deployment.apps/web replaced (server dry run)\n"), "{said}");

    reader.run("Enforce").await;
    await_denial(it, "shop", "[privileged]").await;
    eventually("a bare pod gets a profile", async || {
        let stored = try_out(it, "shop", &bare("bare")).await.expect_ok("a bare pod");
        let profile = &stored["spec"]["securityContext"]["seccompProfile"];
        (*profile == json!({ "type": "RuntimeDefault" })).then_some(())
    })
    .await;
}

async fn looking(reader: &mut Reader) {
    let said = reader.run("See how it is").await;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is later").as_secs_f64();
    for (metric, least) in [
        ("cluster_contact", -60.0),
        ("certificate_expiry", 2.0 * DAY),
        ("authority_expiry", 120.0 * DAY),
    ] {
        let start = format!("callgate_{metric}_timestamp_seconds ");
        let values = said.lines().filter_map(|it| it.strip_prefix(&start)?.parse::<f64>().ok());
        let values: Vec<_> = values.collect();
        assert_eq!(values.len(), 2, "{metric}, of each replica: {said}");
        assert!(values.iter().all(|it| it - now > least), "{metric} at {now}: {values:?}");
    }
    let said = reader.run("See how it is").await;
    assert!(said.starts_with("-----BEGIN CERTIFICATE-----"), "{said}");
}

async fn applying_on_the_server(it: &Deployment, reader: &mut Reader) {
    let file = reader.folder.path().join("webhooks.yaml");
    let text = fs::read_to_string("manifests/base/webhooks.yaml").expect("there are webhooks");
    fs::write(&file, &text).expect("the folder is ours");
    let file = file.to_str().expect("it is text");
    let apply = ["apply", "--server-side", "-f", file];
    it.kubectl_ok(&apply).await;
    fs::write(file, text.replace("templates.callgate.dev", "workloads.callgate.dev"))
        .expect("the folder is ours");
    let output = it.kubectl(&apply).await;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success(), "it is worth no word any more");
    let invalid = "The ValidatingWebhookConfiguration \"callgate\" is invalid: ";
    assert!(said.contains(invalid), "{said}");
    assert!(said.contains(".admissionReviewVersions: Required value"), "{said}");

    reader.run("With server-side apply").await;
    it.kubectl_ok(&apply).await;
    await_denial(it, "shop", "[privileged]").await;
    // Without --server-side nothing has to be deleted.
    it.kubectl_ok(&["apply", "-k", Deployment::overlay()]).await;
    await_denial(it, "shop", "[privileged]").await;
}

async fn being_down(it: &Deployment, reader: &mut Reader) {
    scale(it, 0).await;
    for namespace in ["shop", "elsewhere"] {
        await_denial(it, namespace, AWAY).await;
    }
    let mut good = bare("good");
    good["spec"]["securityContext"] = json!({ "seccompProfile": { "type": "RuntimeDefault" } });
    try_out(it, "shop", &good).await.expect_ok("a pod for which no webhook is called");
    let said = reader.run("Find out why").await;
    assert!(said.contains("deployment.apps/callgate"), "{said}");

    reader.run("Let one namespace go on").await;
    await_acceptance(it, "shop").await;
    it.create("shop", &bare("unnoticed")).await.expect_ok("a pod during the outage");
    await_denial(it, "elsewhere", AWAY).await;

    reader.run("Let all namespaces go on").await;
    await_acceptance(it, "elsewhere").await;
    reader.run("Let all namespaces go on").await;
    assert_eq!(it.api.get(CONFIGURATION).await.status, 404);
    await_acceptance(it, "elsewhere").await;

    it.kubectl_ok(&["apply", "-k", Deployment::overlay()]).await;
    it.rolled_out().await;
    await_denial(it, "elsewhere", "[privileged]").await;
    reader.run("Back to normal").await;
    await_denial(it, "shop", "[privileged]").await;
    assert_eq!(reader.run("Back to normal").await, "unnoticed\n");
}

async fn the_ca(it: &Deployment, reader: &mut Reader) {
    let first = ca(it).await;
    reader.run("The Secret was deleted or spoilt").await;
    assert_eq!(ca(it).await, first, "it is restored");

    let said = reader.run("A clock is wrong").await;
    let ahead = said.lines().filter_map(|it| it.strip_prefix("callgate_clock_ahead_seconds "));
    assert_eq!(ahead.count(), 2, "of each replica: {said}");

    reader.run("Keep a copy, and restore it").await;
    scale(it, 0).await;
    it.api.delete(SECRET).await.expect_ok("the Secret is lost");
    scale(it, 2).await;
    it.rolled_out().await;
    assert_ne!(ca(it).await, first, "another one was made");
    reader.run("Keep a copy, and restore it").await;
    await_authority(it, "the copy signs", |it| *it == first).await;

    reader.run("Make another one").await;
    await_authority(it, "another one signs", |it| *it != first).await;
}

async fn uninstalling(it: &Deployment, reader: &mut Reader) {
    let policy = json!({
        "apiVersion": "callgate.dev/v1alpha1", "kind": "SeccompPolicy",
        "metadata": { "name": "to-be-kept" },
        "spec": { "default": { "type": "RuntimeDefault" } },
    });
    let policies = "/apis/callgate.dev/v1alpha1/seccomppolicies";
    it.api.post(policies, &policy).await.expect_ok("a policy");
    let profile = json!({
        "apiVersion": "callgate.dev/v1alpha1", "kind": "SeccompProfile",
        "metadata": { "name": "to-be-forgotten" },
        "spec": {
            "defaultAction": "SCMP_ACT_ALLOW",
            "syscalls": [{ "names": ["mkdir"], "action": "SCMP_ACT_ERRNO" }],
        },
    });
    let profiles = "/apis/callgate.dev/v1alpha1/seccompprofiles";
    it.api.post(profiles, &profile).await.expect_ok("a profile");
    eventually("every node has a label and the condition", async || {
        marks(it).await.iter().all(|it| *it == (true, true)).then_some(())
    })
    .await;

    reader.run("Uninstall").await;
    await_acceptance(it, "shop").await;
    reader.run("Uninstall").await;
    let shop = it.api.get("/api/v1/namespaces/shop").await.body;
    assert_eq!(shop["metadata"]["labels"], json!({ "kubernetes.io/metadata.name": "shop" }));
    await_acceptance(it, "shop").await;
    reader.run("Uninstall").await;
    await_acceptance(it, "shop").await;
    reader.run("Uninstall").await;
    assert!(marks(it).await.iter().all(|it| *it == (false, false)), "nodes are as before");
    reader.run("Uninstall").await;
    await_acceptance(it, "shop").await;
    let copy = fs::read_to_string(reader.folder.path().join("callgate-objects.yaml"));
    assert!(copy.expect("it was written").contains("name: to-be-kept"));
    // No object that was applied is left.
    let all = it.kubectl_ok(&["kustomize", Deployment::overlay()]).await;
    let file = reader.folder.path().join("all.yaml");
    fs::write(&file, all).expect("the folder is ours");
    let file = file.to_str().expect("it is text");
    assert_eq!(it.kubectl_ok(&["get", "--ignore-not-found", "-f", file]).await, "");
}

/// Of each node: whether it has a label of a profile, and whether it has the condition.
async fn marks(it: &Deployment) -> Vec<(bool, bool)> {
    let nodes = it.api.get("/api/v1/nodes").await.expect_ok("the nodes");
    let of_one = |node: &Value| {
        let labels = node["metadata"]["labels"].as_object();
        let labels = labels.into_iter().flat_map(|it| it.keys());
        let conditions = node["status"]["conditions"].as_array().into_iter().flatten();
        (
            labels.into_iter().any(|it| it.starts_with("profile.callgate.dev/")),
            conditions.into_iter().any(|it| it["type"] == "SeccompProfilesReady"),
        )
    };
    let nodes = nodes["items"].as_array().expect("a list").iter().map(of_one).collect::<Vec<_>>();
    assert!(!nodes.is_empty());
    nodes
}

async fn uninstalling_in_another_order(it: &Deployment, reader: &mut Reader) {
    it.kubectl_ok(&["apply", "-k", Deployment::overlay()]).await;
    it.rolled_out().await;
    let mut copy = vec!["apply", "-f"];
    let path = reader.folder.path().join("callgate-objects.yaml");
    copy.push(path.to_str().expect("it is text"));
    it.kubectl_ok(&copy).await;
    let label = json!({ "metadata": { "labels": { "callgate.dev/policy": "to-be-kept" } } });
    eventually("the policy can be named", async || {
        it.api.merge("/api/v1/namespaces/shop", &label).await.is_ok().then_some(())
    })
    .await;
    await_denial(it, "shop", "[privileged]").await;

    // The definitions first, while replicas run.
    let ((), outcome) = load::during(&it.api, "shop", async |load| {
        load.goes_on().await;
        it.kubectl_ok(&["delete", "crd", "-l", "app.kubernetes.io/name=callgate"]).await;
        await_denial(it, "shop", "policy \"to-be-kept\" does not exist").await;
        load.is_refused().await;
        it.kubectl_ok(&["apply", "-k", Deployment::overlay()]).await;
        it.rolled_out().await;
        reader.run("In another order").await;
        await_denial(it, "shop", "[privileged]").await;
        load.recovers().await;
    })
    .await;
    outcome.report("definitions deleted and made anew");
    outcome.allows_no_bad_pod();

    // Then the namespace, while the configurations are there.
    it.kubectl_ok(&["delete", "namespace", "callgate-system"]).await;
    await_denial(it, "shop", AWAY).await;
    let configurations = "validatingwebhookconfiguration,mutatingwebhookconfiguration";
    it.kubectl_ok(&["delete", configurations, "callgate"]).await;
    await_acceptance(it, "shop").await;
}

/// A pod that sets nothing, and stays.
fn bare(name: &str) -> Value {
    pod(name, &["sleep", "3600"], &json!({}))
}

async fn try_out(it: &Deployment, namespace: &str, pod: &Value) -> Reply {
    it.api.post(&format!("/api/v1/namespaces/{namespace}/pods?dryRun=All"), pod).await
}

async fn await_denial(it: &Deployment, namespace: &str, why: &str) {
    eventually(&format!("a bad pod in {namespace} is denied: {why}"), async || {
        try_out(it, namespace, &privileged("bad")).await.message().contains(why).then_some(())
    })
    .await;
}

async fn await_acceptance(it: &Deployment, namespace: &str) {
    eventually(&format!("any pod in {namespace} is taken"), async || {
        try_out(it, namespace, &privileged("bad")).await.is_ok().then_some(())
    })
    .await;
}

async fn scale(it: &Deployment, replicas: usize) {
    let replicas = format!("--replicas={replicas}");
    it.kubectl_ok(&["-n", "callgate-system", "scale", "deployment/callgate", &replicas]).await;
    if replicas == "--replicas=0" {
        eventually("all replicas are gone", async || it.replicas().await.is_empty().then_some(()))
            .await;
    }
}

/// The certificate in the Secret.
async fn ca(it: &Deployment) -> String {
    let secret = it.api.get(SECRET).await.expect_ok("the Secret");
    decoded(&secret["data"]["ca.crt"])
}

/// Waits until the CA is as wanted, only it is published, and calls succeed with it.
async fn await_authority(it: &Deployment, what: &str, wanted: impl Fn(&String) -> bool) {
    eventually(what, async || {
        let configuration = it.api.get(CONFIGURATION).await.body;
        let published = decoded(&configuration["webhooks"][0]["clientConfig"]["caBundle"]);
        let stored = ca(it).await;
        (published == stored && wanted(&stored)).then_some(())
    })
    .await;
    await_denial(it, "shop", "[privileged]").await;
}

fn decoded(base64: &Value) -> String {
    let bytes = STANDARD.decode(base64.as_str().unwrap_or_default());
    String::from_utf8(bytes.unwrap_or_default()).unwrap_or_default()
}
