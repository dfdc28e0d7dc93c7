//! Compares the eligible nodes of pods with a real scheduler.
//!
//! A scheduler with the plugins for labels, affinity, taints and cordon calls an
//! extender with the nodes that passed all of them. The extender then rejects
//! these nodes, so that no pod ever leaves the queue.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
};

use axum::{Router, body::Bytes, routing::post};
use callgate::{
    placement::{Node, Nodes, Taint},
    pod::Pod,
};
use futures_util::future::join_all;
use proptest::{
    strategy::{Strategy, ValueTree},
    test_runner::TestRunner,
};
use serde_json::{Value, json};
use support::{
    e2e::api::Api,
    generated::nodes::{NAMES, demands, node},
    wait::eventually,
};
use tempfile::TempDir;
use tokio::net::TcpListener;

use crate::trial::{Test, container, trials};

trials![nodes_are_eligible_where_the_scheduler_finds_them_feasible];

const PODS: usize = 300;

/// The names of the nodes that passed, by pod.
type Feasible = Arc<Mutex<BTreeMap<String, Vec<String>>>>;

/// A separate scheduler for the pods that name it. It ends when dropped.
struct Scheduler {
    process: Child,
    directory: TempDir,
    feasible: Feasible,
}

async fn nodes_are_eligible_where_the_scheduler_finds_them_feasible(it: Test) {
    let Some(programs) = it.world.site.programs.clone() else {
        return; // Another cluster must not get our nodes.
    };
    let mut runner = TestRunner::deterministic();
    let mut any = || node().new_tree(&mut runner).expect("nodes can be generated").current();
    // Some names that the generated pods require, and some that they do not.
    let others = (0..6).map(|it| format!("node-{it}"));
    let mut nodes: BTreeMap<_, _> =
        NAMES.map(str::to_owned).into_iter().chain(others).map(|name| (name, any())).collect();
    nodes.insert("windows".to_owned(), windows());
    create(it.api(), &nodes).await;
    let stored = settled(it.api(), &nodes).await;

    let scheduler = Scheduler::start(&programs, &it.world.site.kubeconfig, &it.namespace).await;
    let namespace = it.plain_namespace().await;
    let mut specs: Vec<_> = (0..PODS)
        .map(|_| demands().new_tree(&mut runner).expect("demands can be generated").current())
        .collect();
    specs.push(json!({ "os": { "name": "linux" } }));
    let path = format!("/api/v1/namespaces/{namespace}/pods");
    let pods = specs.into_iter().enumerate().map(|(number, mut spec)| {
        spec["schedulerName"] = json!(it.namespace);
        spec["containers"] = json!([container("app", &json!({}))]);
        let pod = crate::trial::pod(&format!("pod-{number}"), &spec);
        let (api, path) = (it.api().clone(), path.clone());
        async move { api.post(&path, &pod).await.expect_ok("the pod is accepted") }
    });
    let pods = join_all(pods).await;
    let feasible = scheduler.judged(it.api(), &path, pods.len()).await;
    assert_eq!(stored, settled(it.api(), &nodes).await, "the nodes have stayed as they were");
    for name in nodes.keys() {
        it.api().delete(&format!("/api/v1/nodes/{name}")).await;
    }

    let mut ours = Nodes::default();
    for (name, node) in stored {
        ours.put(&name, node);
    }
    let (mut wrong, mut places) = (Vec::new(), 0);
    for pod in &pods {
        let name = pod["metadata"]["name"].as_str().expect("it has a name");
        let text = pod.to_string();
        let read: Pod<'_> = serde_json::from_str(&text).expect("a stored pod is readable");
        let mut theirs = feasible[name].clone();
        // Nodes of other tests are not compared.
        theirs.retain(|it| nodes.contains_key(it));
        places += theirs.len();
        // The kubelet, not the scheduler, looks at the operating system.
        if read.os() == Some("linux") {
            assert!(theirs.contains(&"windows".to_owned()), "{theirs:?}");
            theirs.retain(|it| it != "windows");
        }
        let ours: Vec<_> = ours.eligible(&read).names().collect();
        if ours != theirs {
            wrong.push(format!("{}\n  theirs {theirs:?}\n  ours   {ours:?}", pod["spec"]));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let all = pods.len() * nodes.len();
    assert!((all / 20..all / 2).contains(&places), "{places} of {all} are feasible");
}

fn windows() -> Node {
    // The controller manager adds the older label to nodes that have the other.
    let keys = ["kubernetes.io/os", "beta.kubernetes.io/os"];
    let labels = keys.map(|it| (it.to_owned(), "windows".to_owned())).into();
    Node { labels, ..Node::default() }
}

/// Creates nodes that are ready, but without capacity for any pod.
async fn create(api: &Api, nodes: &BTreeMap<String, Node>) {
    for (name, Node { labels, taints, unschedulable }) in nodes {
        let taints = taints.iter().map(
            |Taint { key, value, effect }| json!({ "key": key, "value": value, "effect": effect }),
        );
        let node = json!({
            "apiVersion": "v1", "kind": "Node",
            "metadata": { "name": name, "labels": labels },
            "spec": { "taints": taints.collect::<Vec<_>>(), "unschedulable": unschedulable },
            "status": {
                "allocatable": { "pods": "0" },
                "conditions": [{ "type": "Ready", "status": "True", "reason": "Suite" }],
            },
        });
        api.post("/api/v1/nodes", &node).await.expect_ok("the node");
    }
}

/// The stored nodes, once the controller manager has added the taint of cordoned
/// ones and removed the not-ready taint from all.
async fn settled(api: &Api, nodes: &BTreeMap<String, Node>) -> BTreeMap<String, Node> {
    eventually("the nodes have their taints", async || {
        let list = api.get("/api/v1/nodes").await.expect_ok("the nodes");
        let items = list["items"].as_array().expect("a list").iter();
        let stored = items.filter_map(|it| {
            let name = it["metadata"]["name"].as_str().expect("it has a name");
            nodes.contains_key(name).then(|| (name.to_owned(), read(it)))
        });
        let stored: BTreeMap<_, _> = stored.collect();
        let is_settled = |it: &Node| {
            let hard = it.taints.iter().filter(|it| it.effect == "NoSchedule");
            let own: Vec<_> = hard.filter(|it| it.key.starts_with("node.kubernetes.io/")).collect();
            let cordon = own.iter().any(|it| it.key.ends_with("/unschedulable"));
            cordon == it.unschedulable && own.len() == usize::from(it.unschedulable)
        };
        stored.values().all(is_settled).then_some(stored)
    })
    .await
}

fn read(node: &Value) -> Node {
    let text = |it: &Value| it.as_str().unwrap_or_default().to_owned();
    let labels = node["metadata"]["labels"].as_object().into_iter().flatten();
    let taints = node["spec"]["taints"].as_array().into_iter().flatten();
    Node {
        labels: labels.map(|(key, value)| (key.clone(), text(value))).collect(),
        taints: taints
            .map(|it| Taint {
                key: text(&it["key"]),
                value: text(&it["value"]),
                effect: text(&it["effect"]),
            })
            .collect(),
        unschedulable: node["spec"]["unschedulable"] == true,
    }
}

// === impl Scheduler ===

impl Scheduler {
    async fn start(programs: &Path, kubeconfig: &Path, name: &str) -> Self {
        let feasible = Feasible::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("there is a port");
        let address = listener.local_addr().expect("it listens");
        let noted = Arc::clone(&feasible);
        let router = Router::new().route("/filter", post(async move |body| filter(&noted, &body)));
        tokio::spawn(async move { axum::serve(listener, router).await });

        let plugin = |name: &&str| json!({ "name": name });
        // These two are required.
        let plugins = [
            "PrioritySort",
            "NodeName",
            "NodeUnschedulable",
            "NodeAffinity",
            "TaintToleration",
            "DefaultBinder",
        ];
        let configuration = json!({
            "apiVersion": "kubescheduler.config.k8s.io/v1",
            "kind": "KubeSchedulerConfiguration",
            "leaderElection": { "leaderElect": false },
            "clientConnection": { "kubeconfig": kubeconfig, "qps": 1000, "burst": 2000 },
            "percentageOfNodesToScore": 100,
            "profiles": [{ "schedulerName": name, "plugins": { "multiPoint": {
                "disabled": [{ "name": "*" }],
                "enabled": plugins.iter().map(plugin).collect::<Vec<_>>(),
            }}}],
            "extenders": [{
                "urlPrefix": format!("http://{address}"),
                "filterVerb": "filter",
                "nodeCacheCapable": true,
            }],
        });
        let directory = tempfile::tempdir().expect("there is room");
        let path = directory.path().join("configuration.json");
        fs::write(&path, configuration.to_string()).expect("there is room");
        let log = fs::File::create(directory.path().join("log")).expect("there is room");
        let process = Command::new(programs.join("kube-scheduler"))
            .arg("--config")
            .arg(&path)
            .args(["--secure-port", "0"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("the cluster has a scheduler");
        Self { process, directory, feasible }
    }

    /// Which nodes are feasible for each of so many pods.
    async fn judged(&self, api: &Api, path: &str, count: usize) -> BTreeMap<String, Vec<String>> {
        let names = eventually("every pod is judged", async || {
            let list = api.get(path).await.expect_ok("the pods");
            let pods = list["items"].as_array().expect("a list").iter();
            let judged = pods.filter(|it| {
                let conditions = it["status"]["conditions"].as_array().into_iter().flatten();
                let mut reasons = conditions
                    .filter(|it| it["type"] == "PodScheduled" && it["status"] == "False")
                    .map(|it| &it["reason"]);
                reasons.next().is_some_and(|it| {
                    assert_eq!(it, "Unschedulable", "{}", self.log());
                    true
                })
            });
            let names: Vec<_> = judged.map(|it| it["metadata"]["name"].clone()).collect();
            (names.len() == count).then_some(names)
        })
        .await;
        let feasible = self.feasible.lock().expect("no thread panics with it");
        let names = names.iter().map(|it| it.as_str().expect("it has a name").to_owned());
        names
            .map(|name| {
                // If no node passes, the extender is not called.
                let passed = feasible.get(&name).cloned().unwrap_or_default();
                (name, passed)
            })
            .collect()
    }

    fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Scheduler {
    fn drop(&mut self) {
        // If it cannot be killed, it has already ended.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Answers the scheduler, see k8s.io/kube-scheduler/extender/v1.
fn filter(feasible: &Feasible, body: &Bytes) -> String {
    let ask: Value = serde_json::from_slice(body).expect("the scheduler speaks JSON");
    let pod = ask["Pod"]["metadata"]["name"].as_str().expect("it is about a pod").to_owned();
    let nodes = ask["NodeNames"].as_array().into_iter().flatten();
    let mut nodes: Vec<_> =
        nodes.map(|it| it.as_str().expect("names are text").to_owned()).collect();
    nodes.sort_unstable();
    let failed: BTreeMap<_, _> = nodes.iter().map(|it| (it, "it is only a question")).collect();
    let answer = json!({ "NodeNames": [], "FailedNodes": failed });
    feasible.lock().expect("no thread panics with it").insert(pod, nodes);
    answer.to_string()
}
