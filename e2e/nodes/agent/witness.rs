//! What the agents of the component witness see of real containers.

use std::{fs, path::PathBuf, sync::Arc};

use serde_json::{Value, json};
use support::wait::{eventually, patiently};

use super::node::{NODES, SECCOMP_NODE, apply, delete, installed};
use crate::deployment::{Deployment, pod};

const ON: &str = "node-a";
const NAMESPACE: &str = "witnessed";

/// The containers of the suite on a node, as its agent reports them: pod, container, what is declared.
async fn seen(it: &Deployment) -> Option<Vec<(String, String, String)>> {
    let object = it.api.get(&format!("{SECCOMP_NODE}/{ON}")).await.body;
    let all = object["status"]["containers"]["unfiltered"].as_array()?;
    let text = |it: &Value| it.as_str().unwrap_or_default().to_owned();
    let ours = all.iter().filter(|it| it["namespace"] == NAMESPACE);
    Some(ours.map(|it| (text(&it["pod"]), text(&it["container"]), text(&it["declared"]))).collect())
}

/// A pod that stays.
pub(super) fn stays(name: &str, context: &Value) -> Value {
    let mut pod = pod(name, &["sleep", "infinity"], context);
    pod["spec"]["nodeName"] = ON.into();
    pod
}

pub(super) async fn runs(it: &Deployment, namespace: &str, name: &str) {
    let path = format!("/api/v1/namespaces/{namespace}/pods/{name}");
    patiently("the container runs", async || {
        let body = it.api.get(&path).await.body;
        let state = &body["status"]["containerStatuses"][0]["state"];
        state["running"].is_object().then_some(())
    })
    .await;
}

/// No policy governs it.
pub(super) async fn make_the_namespace(it: &Deployment, name: &str) {
    let object = json!({
        "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name },
    });
    it.api.post("/api/v1/namespaces", &object).await.expect_ok("the namespace");
    let account = format!("/api/v1/namespaces/{name}/serviceaccounts/default");
    eventually("pods can be created", async || it.api.get(&account).await.is_ok().then_some(()))
        .await;
}

/// A kustomization of what the suite deploys, with this component.
pub(super) fn kustomization(it: &Deployment, component: &str) -> String {
    let folder = it.directory().join(component);
    fs::create_dir_all(&folder).expect("the directory is ours");
    // kustomize takes relative paths alone.
    let place = folder.canonicalize().expect("it is there");
    let up = place.components().skip(1).map(|_| "..").collect::<Vec<_>>().join("/");
    let part = |it: &str| format!("{up}{}/manifests/{it}", env!("CARGO_MANIFEST_DIR"));
    let kustomization = json!({
        "apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization",
        "resources": [part("overlays/e2e")], "components": [part(&format!("components/{component}"))],
        "images": [{ "name": "callgate", "newName": "localhost/callgate", "newTag": "e2e" }],
    });
    fs::write(folder.join("kustomization.yaml"), kustomization.to_string()).expect("it is ours");
    folder.to_string_lossy().into_owned()
}

/// From where the kubelet reads the manifests of its own pods; on kind that is another folder.
fn manifests(it: &Deployment) -> PathBuf {
    let all = ["var/lib/kubernetes/manifests", "etc/kubernetes/manifests"];
    let mut all = all.iter().map(|path| it.root_of(ON).join(path));
    all.find(|path| path.is_dir()).expect("a kubelet has one of them")
}

/// Applies this kustomization, and waits until the agents are those of it.
async fn deploy(it: &Deployment, folder: &str) {
    it.kubectl_ok(&["apply", "-k", folder]).await;
    let wait = ["-n", "callgate-agent", "rollout", "status", "daemonset/callgate-agent"];
    it.kubectl_ok(&wait).await;
}

pub(super) async fn what_runs_without_a_filter_is_reported_beside_what_is_declared(
    it: Arc<Deployment>,
) {
    make_the_namespace(&it, NAMESPACE).await;
    let seccomp = it.seccomp_root(ON);
    fs::create_dir_all(&seccomp).expect("the node is ours");
    fs::write(seccomp.join("hollow.json"), "{}").expect("the node is ours");
    let profile =
        |path: &str| json!({ "seccompProfile": { "type": "Localhost", "localhostProfile": path } });
    let default = json!({ "seccompProfile": { "type": "RuntimeDefault" } });

    // They start before any agent looks.
    for (name, context) in [
        ("unset", json!({})),
        ("default", default),
        (
            "privileged",
            json!({ "privileged": true, "seccompProfile": { "type": "RuntimeDefault" } }),
        ),
        ("unconfined", json!({ "seccompProfile": { "type": "Unconfined" } })),
        ("hollow", profile("hollow.json")),
        ("late", profile("callgate/late.json")),
    ] {
        it.create(NAMESPACE, &stays(name, &context)).await.expect_ok(name);
    }
    // A pod of the kubelet itself, from a manifest on the node.
    let mut fixed = stays("static", &json!({}));
    fixed["metadata"]["namespace"] = NAMESPACE.into();
    let manifest = manifests(&it).join("static.json");
    fs::write(&manifest, fixed.to_string()).expect("the node is ours");
    for name in ["unset", "default", "privileged", "unconfined", "hollow"] {
        runs(&it, NAMESPACE, name).await;
    }

    let folder = kustomization(&it, "witness");
    deploy(&it, &folder).await;

    let entry = |pod: &str, declared: &str| {
        let name = if pod == "static" { format!("static-{ON}") } else { pod.to_owned() };
        (name, "app".to_owned(), declared.to_owned())
    };
    let mut expected = vec![
        entry("hollow", "Localhost"),
        entry("privileged", "Privileged"),
        entry("static", "Unset"),
        entry("unconfined", "Unconfined"),
        entry("unset", "Unset"),
    ];
    patiently("they are reported", async || (seen(&it).await? == expected).then_some(())).await;

    // A container whose profile was missing starts under it once it is there.
    apply(&it, "late", "mkdir").await;
    installed(&it, "late", "mkdir").await;
    runs(&it, NAMESPACE, "late").await;
    // A program that is executed in a container is under its filter.
    it.kubectl_ok(&[
        "-n",
        NAMESPACE,
        "exec",
        "default",
        "--",
        "sh",
        "-c",
        "sleep 1000 >/dev/null 2>&1 &",
    ])
    .await;
    it.create(NAMESPACE, &stays("later", &json!({}))).await.expect_ok("a further pod");
    expected.insert(1, entry("later", "Unset"));
    patiently("the new one is reported, and no other", async || {
        (seen(&it).await? == expected).then_some(())
    })
    .await;

    let object = it.api.get(&format!("{SECCOMP_NODE}/{ON}")).await.expect_ok("the report");
    let containers = &object["status"]["containers"];
    let all = containers["unfiltered"].as_array().expect("a list");
    assert_eq!(all[0]["pod"], "hollow", "what contradicts its pod comes first: {all:?}");
    assert_eq!(all[0]["localhostProfile"], "hollow.json");
    assert_eq!((&all[0]["processes"], &all[0]["noNewPrivs"]), (&json!("All"), &json!(false)));
    assert_eq!(containers["none"], all.len(), "{containers}");
    are_pods_of_the_node(&it, all).await;
    let metrics = metrics(&it).await;
    for (mode, count) in [("none", &containers["none"]), ("filter", &containers["filter"])] {
        let line = format!("callgate_containers{{seccomp=\"{mode}\"}} {count}");
        assert!(metrics.contains(&line), "{line}: {metrics}");
    }
    let scan = scan(&it).await;
    assert!(
        scan.contains(
            "    although Localhost \"hollow.json\" is declared: pod \"hollow\", container \"app\", on node \"node-a\"\n"
        ),
        "{scan}"
    );

    // Without the component, nothing is said of containers any more.
    deploy(&it, Deployment::overlay()).await;
    for node in NODES {
        patiently("the report is withdrawn", async || {
            let object = it.api.get(&format!("{SECCOMP_NODE}/{node}")).await.body;
            object["status"]["containers"].is_null().then_some(())
        })
        .await;
    }
    fs::remove_file(manifest).expect("the node is ours");
    fs::remove_file(seccomp.join("hollow.json")).expect("the node is ours");
    delete(&it, "late").await;
    it.api.delete(&format!("/api/v1/namespaces/{NAMESPACE}")).await.expect_ok("the namespace");
}

/// Processes of the node, and of the other node, are visible there, and in no list.
async fn are_pods_of_the_node(it: &Deployment, listed: &[Value]) {
    for listed in listed {
        let of = |key: &str| listed[key].as_str().unwrap_or_default();
        let path = format!("/api/v1/namespaces/{}/pods/{}", of("namespace"), of("pod"));
        let pod = it.api.get(&path).await.expect_ok("what is listed is a pod");
        assert_eq!(
            (&pod["spec"]["nodeName"], &pod["metadata"]["uid"]),
            (&json!(ON), &listed["uid"])
        );
    }
}

async fn metrics(it: &Deployment) -> String {
    super::node::agent_on(it, ON).await.metrics().await.expect("the agent answers")
}

async fn scan(it: &Deployment) -> String {
    let program = env!("CARGO_BIN_EXE_callgate");
    it.shell(&format!("{program} scan --namespace {NAMESPACE} --fail-on never")).await
}
