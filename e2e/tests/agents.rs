//! An agent on its own directory, for a node that runs nothing.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use http::Request;
use serde::Deserialize;
use serde_json::{Value, json};
use support::{
    program::{self, logged, metric},
    wait::eventually,
};
use tempfile::TempDir;

use super::watches::{deep, object, strange};
use crate::trial::{Test, trials};

trials![
    malformed_objects_stop_no_agent,
    names_that_grow_when_stored_do_not_stop_reports,
    each_unknown_field_of_a_patch_is_warned_of_in_a_header_of_its_own,
];

const NODES: &str = "/api/v1/nodes";
const REPORTS: &str = "/apis/callgate.dev/v1alpha1/seccompnodes";
const PROFILES: &str = "/apis/callgate.dev/v1alpha1/seccompprofiles";

/// A depth of `managedFields` beyond the usual limit of JSON parsers.
const DEEP: usize = 500;

/// The real binary. It ends when dropped.
pub(super) struct Agent {
    process: Child,
    directory: TempDir,
}

impl Agent {
    /// For a node, with this connection to the API server.
    pub(super) fn start(node: &str, kubeconfig: &Path) -> Self {
        Self::start_beside(node, kubeconfig, |_| ())
    }

    /// The same, with other files in the seccomp directory.
    fn start_beside(node: &str, kubeconfig: &Path, others: impl FnOnce(&Path)) -> Self {
        Self::start_with(node, kubeconfig, &BTreeMap::new(), others)
    }

    /// The same, with an environment.
    pub(super) fn start_with(
        node: &str,
        kubeconfig: &Path,
        environment: &BTreeMap<String, String>,
        others: impl FnOnce(&Path),
    ) -> Self {
        let directory = tempfile::tempdir().expect("there is room for temporary files");
        fs::create_dir_all(directory.path().join("seccomp/callgate")).expect("it is new");
        others(&directory.path().join("seccomp"));
        let log = File::create(directory.path().join("log")).expect("it is new");
        let process = Command::new(env!("CARGO_BIN_EXE_callgate"))
            .args(["agent", "--node-name", node, "--admin-listen", "127.0.0.1:0"])
            .args(["--log-format", "json"])
            .envs(environment)
            .arg("--seccomp-root")
            .arg(directory.path().join("seccomp"))
            .env("KUBECONFIG", kubeconfig)
            .stdin(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("the binary starts");
        Self { process, directory }
    }

    pub(super) fn id(&self) -> u32 {
        self.process.id()
    }

    /// The lines of its log with this message.
    pub(super) fn said(&self, message: &str) -> Vec<Value> {
        logged(&self.directory.path().join("log"), message)
    }

    /// The response of its admin port, if that is a 200.
    pub(super) async fn ask(&self, path: &str) -> Option<String> {
        let started = self.said("agent started").pop()?;
        program::ask(started["admin_address"].as_str()?.parse().ok()?, path).await
    }

    /// The value of a metric.
    pub(super) async fn metric(&self, name: &str) -> Option<f64> {
        metric(&self.ask("/metrics").await?, name)
    }

    fn file(&self, profile: &str) -> PathBuf {
        self.directory.path().join(format!("seccomp/callgate/{profile}.json"))
    }

    /// Whether the file of a profile has that text.
    pub(super) fn holds(&self, profile: &str, text: &str) -> bool {
        fs::read_to_string(self.file(profile)).is_ok_and(|it| it.contains(text))
    }

    /// Waits until a profile denies that call on the node, and the node's label has its digest.
    pub(super) async fn installs(&self, it: &Test, node: &str, profile: &str, call: &str) {
        eventually(&format!("{profile} is on the node"), async || {
            let is_there = self.holds(profile, &format!("{call:?}"));
            (is_there && label(it, node, profile).await).then_some(())
        })
        .await;
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// An object without its managed fields, which may be deeper than the suite can read.
#[derive(Deserialize)]
struct Shallow {
    metadata: Labelled,
    #[serde(default)]
    status: Value,
}

#[derive(Deserialize)]
struct Labelled {
    #[serde(default)]
    labels: BTreeMap<String, String>,
}

async fn read(it: &Test, path: &str) -> Option<Shallow> {
    let request = Request::get(path).body(Vec::new()).expect("it is a path");
    let text = it.api().client().request_text(request).await.ok()?;
    Some(serde_json::from_str(&text).expect("it is an object"))
}

async fn label(it: &Test, node: &str, profile: &str) -> bool {
    let node = read(it, &format!("{NODES}/{node}")).await.expect("it is there");
    node.metadata.labels.contains_key(&format!("profile.callgate.dev/{profile}"))
}

/// The condition that agents set on a node.
pub(super) async fn condition(it: &Test, node: &str) -> Option<Value> {
    let status = read(it, &format!("{NODES}/{node}")).await?.status;
    let conditions = status["conditions"].as_array()?;
    conditions.iter().find(|it| it["type"] == "SeccompProfilesReady").cloned()
}

/// A spec that denies this call.
pub(super) fn spec(call: &str) -> Value {
    let syscalls = json!([{ "names": [call], "action": "SCMP_ACT_ERRNO" }]);
    json!({ "spec": { "defaultAction": "SCMP_ACT_ALLOW", "syscalls": syscalls } })
}

async fn malformed_objects_stop_no_agent(it: Test) {
    let api = it.api();
    let stem = &it.namespace[it.namespace.len() - 8..];
    let name = |what: &str| format!("agent-{what}-{stem}");
    let mut profiles = Vec::new();
    for (what, change) in strange() {
        let profile = name(&what);
        api.post(PROFILES, &object("SeccompProfile", &profile)).await.expect_ok("the profile");
        api.merge_text(&format!("{PROFILES}/{profile}"), change).await;
        profiles.push(profile);
    }
    let own = name("node");
    let (node_path, report) = (format!("{NODES}/{own}"), format!("{REPORTS}/{own}"));
    api.post(NODES, &object("Node", &own)).await.expect_ok("the node");
    api.merge_text(&node_path, deep(DEEP, "")).await.expect_ok("deep fields of the node");

    // An agent that starts now installs all of them, and reports.
    let agent = Agent::start(&own, &it.world.site.kubeconfig);
    for profile in &profiles {
        agent.installs(&it, &own, profile, "mkdir").await;
    }
    eventually("it reports to its SeccompNode", async || {
        let status = read(&it, &report).await?.status;
        (status["profiles"].as_array()?.len() >= profiles.len()).then_some(())
    })
    .await;
    its_condition_is_set(&it, &own).await;

    // While it runs, each of them gets such a depth again, and others change.
    api.merge_text(&report, deep(DEEP, "")).await.expect_ok("deep fields of the report");
    api.merge_text(&node_path, deep(DEEP, "")).await.expect_ok("deep fields of the node");
    let (late, changed) = (name("late"), format!("{PROFILES}/{}", profiles[0]));
    api.merge_text(&changed, deep(DEEP, "")).await.expect_ok("deep fields of a profile");
    api.post(PROFILES, &object("SeccompProfile", &late)).await.expect_ok("the profile");
    agent.installs(&it, &own, &late, "mkdir").await;
    api.merge(&changed, &spec("rmdir")).await.expect_ok("another spec");
    agent.installs(&it, &own, &profiles[0], "rmdir").await;

    // It notices a change of the file that it wrote.
    let key = format!("profile.callgate.dev/{late}");
    let without = json!({ "metadata": { "labels": { key: null } } });
    api.merge(&node_path, &without).await.expect_ok("a label removed");
    agent.installs(&it, &own, &late, "mkdir").await;
    api.merge_text(&report, deep(DEEP, "")).await.expect_ok("deep fields of the report");
    api.delete(&report).await.expect_ok("the end of the report");
    eventually("it reports anew", async || {
        read(&it, &report).await?.status["profiles"].is_array().then_some(())
    })
    .await;
    drop(agent);
    for path in profiles.iter().chain([&late]).map(|it| format!("{PROFILES}/{it}")) {
        let bare = json!({ "metadata": { "managedFields": [{}], "finalizers": null } });
        api.merge(&path, &bare).await;
        eventually("it can be deleted", async || {
            let reply = api.delete(&path).await;
            (reply.is_ok() || reply.status == 404).then_some(())
        })
        .await;
    }
    for path in [report, node_path] {
        api.delete(&path).await;
    }
}

async fn its_condition_is_set(it: &Test, node: &str) {
    eventually("its condition is set", async || condition(it, node).await.map(drop)).await;
}

/// The API server stores `<` as six bytes, and the path of each entry twice.
async fn names_that_grow_when_stored_do_not_stop_reports(it: Test) {
    let stem = &it.namespace[it.namespace.len() - 8..];
    let node = format!("agent-names-{stem}");
    let (node_path, report) = (format!("{NODES}/{node}"), format!("{REPORTS}/{node}"));
    for character in ["<", "\"", "\\", "d\u{2028}d"] {
        it.api().post(NODES, &object("Node", &node)).await.expect_ok("the node");
        let long = |length: usize| character.repeat(length / character.len());
        let agent = Agent::start_beside(&node, &it.world.site.kubeconfig, |root| {
            let deep = root.join(long(250)).join(long(250)).join(long(250));
            fs::create_dir_all(&deep).expect("it is new");
            for number in 0..400 {
                fs::write(deep.join(format!("{number}{}", long(240))), "{}").expect("it is new");
            }
        });
        eventually("it reports to its SeccompNode", async || {
            let status = read(&it, &report).await?.status;
            let listed = status["profiles"].as_array()?.len();
            let unlisted = usize::try_from(status["unlisted"].as_u64()?).ok()?;
            (listed > 10 && listed + unlisted >= 400).then_some(())
        })
        .await;
        its_condition_is_set(&it, &node).await;
        drop(agent);
        for path in [&report, &node_path] {
            it.api().delete(path).await.expect_ok("its end");
        }
    }
}

/// (R6): more than a hundred make the answer unreadable for hyper.
async fn each_unknown_field_of_a_patch_is_warned_of_in_a_header_of_its_own(it: Test) {
    let name = format!("agent-fields-{}", &it.namespace[it.namespace.len() - 8..]);
    let file = |number: usize| json!({ "path": format!("{number}.json"), "source": "node", "size": 1, "later": 1 });
    let files = |count: usize| (0..count).map(file).collect::<Vec<_>>();
    let mut created = object("SeccompNode", &name);
    created["spec"] = json!({ "later": 1 });
    let reply = it.api().post(REPORTS, &created).await;
    assert_eq!(reply.warnings, ["unknown field \"spec.later\""]);
    let path = format!("{REPORTS}/{name}");
    let status = |count| json!({ "status": { "profiles": files(count) } });
    let reply = it.api().merge(&format!("{path}/status"), &status(60)).await;
    let expected = |it| format!("unknown field \"status.profiles[{it}].later\"");
    let mut expected: Vec<_> = (0..60).map(expected).collect();
    expected.sort();
    assert_eq!(reply.warnings, expected);
    let without = format!("{path}/status?fieldValidation=Ignore");
    let reply = it.api().merge(&without, &status(150)).await;
    assert_eq!(reply.warnings, Vec::<String>::new());
    let stored = reply.expect_ok("the status");
    assert_eq!(stored["status"]["profiles"].as_array().map(Vec::len), Some(150));
    assert!(stored["status"]["profiles"][0]["later"].is_null(), "it is dropped");
    it.api().delete(&path).await.expect_ok("its end");
}
