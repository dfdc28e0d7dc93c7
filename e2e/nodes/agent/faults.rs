//! Programs of nodes and of the cluster that end, and objects that are deleted under a running agent.

use std::{fs, sync::Arc};

use callgate::profile::Digest;
use serde_json::{Value, json};
use support::{
    e2e::api::Reply,
    program::metric,
    wait::{eventually, patiently},
};

use super::node::{
    self, NODE, NODES, SECCOMP_NODE, agent_on, agents, apply, condition, delete, file, installed,
    is_tainted, label, outcome, owner, reported, taint, tutorial,
};
use crate::deployment::{Deployment, Replica};

const ACCOUNTS: &str = "/api/v1/namespaces/callgate-agent/serviceaccounts";

/// How often the agent has failed in this way; `None` if it does not answer.
async fn errors(agent: &Replica, kind: &str) -> Option<u64> {
    // Asked by its address, as the API server may be away.
    let page = agent.metrics().await?;
    let name = format!("callgate_agent_errors_total{{kind=\"{kind}\"}}");
    Some(metric(&page, &name).unwrap_or(0))
}

/// What a pod says on node-b that runs under the profile, and how it ends.
async fn runs_on_b(it: &Deployment, profile: &str) -> (String, i64) {
    let namespace = it.namespace(profile).await;
    let mut pod = tutorial("under-it", &format!("callgate/{profile}.json"));
    pod["spec"]["nodeSelector"] = json!({ "kubernetes.io/hostname": "node-b" });
    it.create(&namespace, &pod).await.expect_ok("the pod");
    outcome(it, &namespace, "under-it").await
}

/// The kubelet registers a node only when it starts. The agent's pod is still there then.
pub(super) async fn what_is_said_of_a_node_goes_with_it_and_comes_back_with_it(
    it: Arc<Deployment>,
) {
    apply(&it, "returning", "mkdir").await;
    installed(&it, "returning", "mkdir").await;
    let path = format!("{NODE}/node-b");
    let agent = agent_on(&it, "node-b").await;
    let failed = errors(&agent, "report").await.expect("it answers");
    let old = node::node(&it, "node-b").await;
    let report = it.api.get(&format!("{SECCOMP_NODE}/node-b")).await.expect_ok("a report");
    assert_eq!(report["metadata"]["ownerReferences"], owner(&old));

    it.api.delete(&path).await.expect_ok("the node");
    eventually("what was said of it is gone with it", async || {
        (it.api.get(&format!("{SECCOMP_NODE}/node-b")).await.status == 404).then_some(())
    })
    .await;
    eventually("the agent does not take that for a report", async || {
        (errors(&agent, "report").await? > failed).then_some(())
    })
    .await;
    it.restart_on("node-b", "kubelet").await;
    let new = eventually("the node is there again", async || {
        let reply = it.api.get(&path).await;
        reply.is_ok().then_some(reply.body)
    })
    .await;
    assert_ne!(new["metadata"]["uid"], old["metadata"]["uid"]);
    installed(&it, "returning", "mkdir").await;
    let report = it.api.get(&format!("{SECCOMP_NODE}/node-b")).await.expect_ok("a report");
    assert_eq!(report["metadata"]["ownerReferences"], owner(&new));
    assert_eq!(runs_on_b(&it, "returning").await, ("Seccomp:\t2\nBad system call\n".into(), 159));
    it.rolled_out().await;
    delete(&it, "returning").await;
}

pub(super) async fn a_report_that_is_deleted_or_taken_away_from_its_node_is_there_again(
    it: Arc<Deployment>,
) {
    apply(&it, "told-again", "mkdir").await;
    installed(&it, "told-again", "mkdir").await;
    let path = format!("{SECCOMP_NODE}/node-b");
    let owner = owner(&node::node(&it, "node-b").await);
    for _ in 0..3 {
        let old = it.api.get(&path).await.expect_ok("a report");
        // Profiles that earlier tests have deleted may go meanwhile.
        let entry = reported(&it, "node-b", "told-again").await.expect("it is there");
        it.api.delete(&path).await.expect_ok("the report");
        eventually("there is another one, which says the same", async || {
            let new = it.api.get(&path).await.body;
            let is_same = reported(&it, "node-b", "told-again").await.as_ref() == Some(&entry)
                && new["metadata"]["ownerReferences"] == owner
                && new["metadata"]["uid"] != old["metadata"]["uid"];
            is_same.then_some(())
        })
        .await;
    }
    let stray = json!({ "metadata": { "ownerReferences": null } });
    it.api.merge(&path, &stray).await.expect_ok("the report");
    eventually("the node owns it again", async || {
        let report = it.api.get(&path).await.body;
        (report["metadata"]["ownerReferences"] == owner).then_some(())
    })
    .await;
    delete(&it, "told-again").await;
}

pub(super) async fn profiles_change_while_the_kubelet_and_containerd_are_killed(
    it: Arc<Deployment>,
) {
    apply(&it, "shaken", "mkdir").await;
    installed(&it, "shaken", "mkdir").await;
    let identity = async || {
        let agents = agents(&it).await;
        agents.into_iter().map(|it| (it.uid, it.restarts)).collect::<Vec<_>>()
    };
    let before = identity().await;
    for (program, call) in [
        ("kubelet", "rename"),
        ("containerd", "mkdir"),
        ("kubelet", "rename"),
        ("containerd", "mkdir"),
    ] {
        tokio::join!(it.restart_on("node-b", program), apply(&it, "shaken", call));
        installed(&it, "shaken", call).await;
    }
    assert_eq!(runs_on_b(&it, "shaken").await, ("Seccomp:\t2\nBad system call\n".into(), 159));
    assert_eq!(identity().await, before, "no agent had to begin anew");
    delete(&it, "shaken").await;
}

/// The agent begins while the API server is away, on a node whose profile is not there any more.
pub(super) async fn a_taint_outlives_an_outage_until_the_profiles_are_there(it: Arc<Deployment>) {
    apply(&it, "late", "mkdir").await;
    installed(&it, "late", "mkdir").await;
    let agent = agent_on(&it, "node-b").await;
    // So that it can do nothing about what comes now.
    agent.signal("STOP");
    let file = file(&it, "node-b", "late");
    fs::remove_file(&file).expect("we are root");
    // And so that the next one cannot either, until the test says so.
    fs::create_dir(&file).expect("we are root");
    let path = format!("{NODE}/node-b");
    let tainted = json!({ "spec": { "taints": taint() } });
    it.api.merge(&path, &tainted).await.expect_ok("the node");
    it.end("kube-apiserver").await;
    agent.kill();
    eventually("the next agent has asked the API server in vain", async || {
        (errors(&agent, "watch").await? > 0).then_some(())
    })
    .await;
    it.begin("kube-apiserver").await;
    let message = "cannot move profile \"late\" into place: Is a directory (os error 21)";
    eventually("it knows what is missing", async || {
        let object = it.api.try_get(&path).await.ok().filter(Reply::is_ok)?.body;
        assert!(is_tainted(&object), "pods may land before the profile is there");
        let is_told = condition(&object)["message"] == message && label(&object, "late").is_none();
        is_told.then_some(())
    })
    .await;
    fs::remove_dir(&file).expect("we are root");
    eventually("the taint is gone", async || {
        (!is_tainted(&node::node(&it, "node-b").await)).then_some(())
    })
    .await;
    assert!(file.is_file(), "pods may land before the profile is there");
    installed(&it, "late", "mkdir").await;
    it.rolled_out().await;
    delete(&it, "late").await;
}

/// The token file of the agent's pod.
fn token(agent: &Replica) -> String {
    let secrets = "root/var/run/secrets/kubernetes.io/serviceaccount/token";
    fs::read_to_string(format!("/proc/{}/{secrets}", agent.process())).expect("it is there")
}

/// The kubelet keeps the token of the deleted account for up to 48 minutes, and for as long as it
/// runs (AG2); that it starts anew stands for that time here.
pub(super) async fn an_agent_whose_account_was_deleted_says_so_and_recovers_with_its_next_token(
    it: Arc<Deployment>,
) {
    apply(&it, "revoked", "mkdir").await;
    installed(&it, "revoked", "mkdir").await;
    let agent = agent_on(&it, "node-b").await;
    let failed = errors(&agent, "report").await.expect("it answers");
    let mut account =
        it.api.get(&format!("{ACCOUNTS}/callgate-agent")).await.expect_ok("the account");
    it.api.delete(&format!("{ACCOUNTS}/callgate-agent")).await.expect_ok("the account");
    for key in ["uid", "resourceVersion", "creationTimestamp", "managedFields"] {
        account["metadata"].as_object_mut().expect("it has some").remove(key);
    }
    it.api.post(ACCOUNTS, &account).await.expect_ok("the same account");

    // It still acts on the events of its open watch, and cannot report.
    let mut calls = ["rename", "mkdir"].into_iter().cycle();
    eventually("its token is not accepted any more", async || {
        apply(&it, "revoked", calls.next()?).await;
        (errors(&agent, "report").await? > failed).then_some(())
    })
    .await;
    apply(&it, "revoked", "rename").await;
    let said = it.kubectl_ok(&["-n", "callgate-agent", "logs", &agent.name]).await;
    let is_told = |it: &Value| {
        let error = it["error"].as_str().unwrap_or_default();
        it["message"] == "cannot report, retrying" && error.contains("Unauthorized")
    };
    let lines: Vec<Value> = said.lines().filter_map(|it| serde_json::from_str(it).ok()).collect();
    assert!(lines.iter().any(is_told), "{said}");

    let agents = agents(&it).await;
    let old: Vec<_> = agents.iter().map(token).collect();
    for node in NODES {
        it.restart_on(node, "kubelet").await;
    }
    patiently("the kubelets have brought other tokens", async || {
        agents.iter().zip(&old).all(|(agent, old)| token(agent) != *old).then_some(())
    })
    .await;
    // An agent reads its token once a minute, and waits up to 45 s between its tries by now.
    let is_told = async || {
        let object = node::node(&it, "node-b").await;
        let digest = Digest::of(&fs::read(file(&it, "node-b", "revoked")).expect("it is there"));
        label(&object, "revoked") == Some(&digest.short())
    };
    patiently("it reports again", async || is_told().await.then_some(())).await;
    installed(&it, "revoked", "rename").await;
    let now = agent_on(&it, "node-b").await;
    assert_eq!((now.uid, now.restarts), (agent.uid, agent.restarts), "it did not begin anew");
    delete(&it, "revoked").await;
}
