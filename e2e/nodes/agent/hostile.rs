//! What somebody puts in the way.

use std::{fs, os::unix::fs::symlink, sync::Arc};

use callgate::profile::Digest;
use serde_json::json;

use super::node::{
    self, AGENTS, SECCOMP_NODE, agent_on, apply, condition, delete, file, installed, label,
};
use crate::{deployment::Deployment, patience::eventually};

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

async fn installed_on_b(it: &Deployment, name: &str) {
    eventually("the other node has it", async || {
        label(&node::node(it, "node-b").await, name).is_some().then_some(())
    })
    .await;
}
