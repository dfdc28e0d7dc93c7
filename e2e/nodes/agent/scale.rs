//! Many profiles on a fresh node: how long they take is printed, and what memory they need is held.

use std::{fs, sync::Arc};

use jiff::Timestamp;
use serde_json::{Value, json};
use support::report::report_details;
use support::wait::eventually;

use super::node::{AGENTS, PROFILES, agent_on, names_of_calls};
use crate::deployment::Deployment;

const COUNT: usize = 200;

/// In kibibytes, and without the pages of the program itself, which are as many
/// as its build makes them: this one is not the smallest.
const MEMORY: u64 = 8 * 1024;

/// As long as the default profile of the Docker engine: some 400 names.
fn long(number: usize) -> Value {
    let names: Vec<_> = names_of_calls().take(400).collect();
    json!({
        "apiVersion": "callgate.dev/v1alpha1", "kind": "SeccompProfile",
        "metadata": { "name": format!("long-{number:03}"), "labels": { "suite": "scale" } },
        "spec": {
            "defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": number % 100 + 1,
            "syscalls": [{ "names": names, "action": "SCMP_ACT_ALLOW" }],
        },
    })
}

pub(super) async fn two_hundred_profiles_reach_a_fresh_node_and_take_little_memory(
    it: Arc<Deployment>,
) {
    for number in 0..COUNT {
        it.api.post(PROFILES, &long(number)).await.expect_ok("a profile");
    }
    let own = it.seccomp_root("node-a").join("callgate");
    let is_long = |it: &fs::DirEntry| it.file_name().to_string_lossy().starts_with("long-");
    let list = || fs::read_dir(&own).expect("it is there").filter_map(Result::ok).filter(is_long);
    eventually("all are there", async || (list().count() == COUNT).then_some(())).await;

    on_a_fresh_node(&it, list).await;
    let new = agent_on(&it, "node-a").await;
    let status = fs::read_to_string(format!("/proc/{}/status", new.process())).expect("it runs");
    let resident = status.lines().find_map(|it| it.strip_prefix("RssAnon:")).expect("there is one");
    let resident: u64 = resident.trim_end_matches("kB").trim().parse().expect("it is a number");
    report_details(&format!("{resident} KiB of its own"));
    it.api.delete(&format!("{PROFILES}?labelSelector=suite=scale")).await.expect_ok("all of them");
    assert!(resident <= MEMORY, "{resident} KiB");
}

/// Starts an agent where nothing is, and prints the time from its first line until the last profile is in place.
async fn on_a_fresh_node<I: Iterator<Item = fs::DirEntry>>(it: &Deployment, list: impl Fn() -> I) {
    let old = agent_on(it, "node-a").await;
    it.api.delete(&format!("{AGENTS}/{}", old.name)).await.expect_ok("the agent");
    eventually("it has ended", async || {
        let reply = it.api.get(&format!("{AGENTS}/{}", old.name)).await;
        (reply.status == 404).then_some(())
    })
    .await;
    list().for_each(|it| fs::remove_file(it.path()).expect("we are root"));
    let new = agent_on(it, "node-a").await;
    eventually("all are there again", async || (list().count() == COUNT).then_some(())).await;

    let logs = it.kubectl_ok(&["-n", "callgate-agent", "logs", &new.name]).await;
    let lines: Vec<Value> = logs.lines().filter_map(|it| serde_json::from_str(it).ok()).collect();
    let time = |line: &Value| -> Timestamp {
        line["timestamp"].as_str().and_then(|it| it.parse().ok()).expect("lines have a time")
    };
    let begun = lines.iter().find(|it| it["message"] == "agent started");
    let written = lines.iter().rfind(|it| it["message"] == "profile installed");
    let took = time(written.expect("it wrote")).duration_since(time(begun.expect("it began")));
    report_details(&format!("{COUNT} profiles on a fresh node: {took:#}"));
}
