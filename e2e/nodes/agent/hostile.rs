//! What somebody puts in the way.

use std::{fs, os::unix::fs::symlink, sync::Arc};

use callgate::profile::Digest;
use serde_json::json;
use support::wait::eventually;

use super::node::{
    self, AGENTS, SECCOMP_NODE, agent_on, apply, condition, delete, file, installed, label,
    tutorial,
};
use crate::deployment::Deployment;

pub(super) async fn what_stands_in_the_way_is_told_and_nothing_outside_is_touched(
    it: Arc<Deployment>,
) {
    let root = it.seccomp_root("node-a");
    let victim = root.join("victim.json");
    fs::write(&victim, "{}").expect("we are root");
    symlink("../victim.json", file(&it, "node-a", "linked")).expect("we are root");
    fs::create_dir(file(&it, "node-a", "blocked")).expect("we are root");
    apply(&it, "linked", "mkdir").await;
    installed_on_b(&it, "linked").await;
    let link = file(&it, "node-a", "linked");
    eventually("the link is replaced", async || {
        fs::symlink_metadata(&link).is_ok_and(|it| it.is_file()).then_some(())
    })
    .await;
    assert_eq!(fs::read_to_string(&victim).expect("it is there"), "{}");

    apply(&it, "blocked", "mkdir").await;
    let message = "cannot move profile \"blocked\" into place: Is a directory (os error 21)";
    eventually("the node is not ready", async || {
        let object = node::node(&it, "node-a").await;
        let condition = condition(&object);
        let told = [&condition["status"], &condition["reason"], &condition["message"]];
        (told == ["False", "NotInstalled", message]).then_some(())
    })
    .await;
    assert_eq!(label(&node::node(&it, "node-a").await, "blocked"), None);
    installed_on_b(&it, "blocked").await;
    let agent = agent_on(&it, "node-a").await;
    let metrics = format!("{AGENTS}/{}:8080/proxy/metrics", agent.name);
    let metrics = it.kubectl_ok(&["get", "--raw", &metrics]).await;
    let is_counted = |it: &str| it.starts_with("callgate_agent_errors_total{kind=\"in-the-way\"}");
    assert!(metrics.lines().any(is_counted), "{metrics}");

    fs::remove_dir(file(&it, "node-a", "blocked")).expect("we are root");
    installed(&it, "blocked", "mkdir").await;
    for name in ["linked", "blocked"] {
        delete(&it, name).await;
    }
    let entry = it.api.get(&format!("{SECCOMP_NODE}/node-a")).await.body;
    let victim = json!({
        "path": "victim.json", "size": 2, "source": "node", "problem": "hollow",
        "digest": Digest::of(b"{}").to_string(),
    });
    assert!(entry["status"]["profiles"].as_array().expect("a list").contains(&victim), "{entry}");
}

/// In a namespace that callgate does not govern, where a pod may name any file.
pub(super) async fn no_pod_runs_under_a_note_of_the_agent(it: Arc<Deployment>) {
    apply(&it, "noted", "mkdir").await;
    installed(&it, "noted", "mkdir").await;
    delete(&it, "noted").await;
    let own = it.seccomp_root("node-a").join("callgate");
    let note = eventually("there is a note", async || {
        let mut files = fs::read_dir(&own).expect("it is there").filter_map(Result::ok);
        files
            .find(|it| it.file_name().as_encoded_bytes().starts_with(b"."))
            .map(|it| it.file_name())
    })
    .await;
    let path = format!("callgate/{}", note.to_string_lossy());
    it.kubectl_ok(&["create", "namespace", "ungoverned"]).await;
    let account = "/api/v1/namespaces/ungoverned/serviceaccounts/default";
    eventually("pods can be created", async || it.api.get(account).await.is_ok().then_some(()))
        .await;
    let mut pod = tutorial("under-a-note", &path);
    pod["spec"]["nodeName"] = "node-a".into();
    it.create("ungoverned", &pod).await.expect_ok("nobody is asked about it");
    eventually("its container is not created", async || {
        let body = it.api.get("/api/v1/namespaces/ungoverned/pods/under-a-note").await.body;
        let state = &body["status"]["containerStatuses"][0]["state"];
        assert_eq!(state["terminated"], json!(null), "it has run");
        (state["waiting"]["reason"] == "CreateContainerError").then_some(())
    })
    .await;
}

async fn installed_on_b(it: &Deployment, name: &str) {
    eventually("the other node has it", async || {
        label(&node::node(it, "node-b").await, name).is_some().then_some(())
    })
    .await;
}
