//! The largest profiles that may be stored, and large files of others.

use std::{
    env, fs,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use callgate::profile::{Document, MOST_FILE_BYTES};
use serde_json::{Value, json};
use support::{
    report::report_details,
    wait::{at_length, patiently},
};

use super::node::{
    self, AGENTS, NODES, PROFILES, SECCOMP_NODE, agent_on, condition, names_of_calls,
};
use crate::deployment::{Deployment, Replica};

/// How many of both there are; by default more than fit into the memory of an agent.
const COUNT: &str = "CALLGATE_LARGEST_PROFILES";

/// What the `DaemonSet` allows, in kibibytes.
const MEMORY: u64 = 64 * 1024;

/// So many calls for each rule, with an argument of its own, so that no two rules are the same.
fn spec(number: usize, rules: usize, calls: usize) -> Value {
    let names: Vec<_> = names_of_calls().filter(|it| !it.starts_with("exec")).take(400).collect();
    let rule = |at: usize| {
        let value = 1_000_000 + number * 4096 + at;
        json!({
            "names": (0..calls).map(|it| names[(at + it) % names.len()]).collect::<Vec<_>>(),
            "action": "SCMP_ACT_ERRNO",
            "args": [{ "index": 0, "value": value, "op": "SCMP_CMP_EQ" }],
        })
    };
    let all: Vec<_> = (0..rules).map(rule).collect();
    json!({ "defaultAction": "SCMP_ACT_ALLOW", "syscalls": all })
}

/// The size of its file.
fn size(spec: &Value) -> usize {
    Document::parse(spec.to_string().as_bytes()).expect("it is a profile").canonical().len()
}

/// How many rules there may be.
fn most() -> usize {
    let counts: Vec<_> = (1..4096).collect();
    let fits = |rules: &usize| size(&spec(0, *rules, 1)) <= MOST_FILE_BYTES;
    counts.partition_point(fits)
}

fn profile(name: &str, spec: &Value) -> Value {
    json!({
        "apiVersion": "callgate.dev/v1alpha1", "kind": "SeccompProfile", "spec": spec,
        "metadata": { "name": name, "labels": { "suite": "largest" } },
    })
}

/// The most memory that the agent has had, and what is its own of it now, in kibibytes.
fn memory(agent: &Replica) -> (u64, u64) {
    let status = fs::read_to_string(format!("/proc/{}/status", agent.process())).expect("it runs");
    let read = |key: &str| {
        let line = status.lines().find_map(|it| it.strip_prefix(key)).expect("there is one");
        line.trim_end_matches("kB").trim().parse().expect("it is a number")
    };
    (read("VmHWM:"), read("RssAnon:"))
}

pub(super) async fn the_largest_profiles_and_files_of_others_fit_into_the_memory_of_an_agent(
    it: Arc<Deployment>,
) {
    let count = env::var(COUNT).ok().and_then(|it| it.parse().ok()).unwrap_or(60);
    let too_large = spec(0, 4_000, 6);
    let bytes = too_large.to_string().len();
    assert!((600_000..700_000).contains(&bytes), "{bytes}");
    let reply = it.api.post(PROFILES, &profile("too-large", &too_large)).await;
    let expected = format!(
        "admission webhook \"objects.callgate.dev\" denied the request: cannot read profile \
         \"too-large\": spec: it has {bytes} bytes, at most 262144 are read"
    );
    assert_eq!(reply.message(), expected);

    // One file of a mebibyte under many names, each of which is read.
    let foreign = it.seccomp_root("node-a").join("large");
    fs::create_dir(&foreign).expect("we are root");
    let names = vec!["\"0123456789abc\""; 62_000].join(",");
    let text = format!(
        "{{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"syscalls\":[\
         {{\"names\":[{names}],\"action\":\"SCMP_ACT_ALLOW\"}}]}}"
    );
    let first = it.seccomp_root("node-a").join("large.tmp");
    let padding = " ".repeat(1024 * 1024 - text.len());
    fs::write(&first, text + &padding).expect("we are root");
    for number in 0..count {
        fs::hard_link(&first, foreign.join(format!("{number:04}.json"))).expect("we are root");
    }
    fs::remove_file(&first).expect("we are root");
    let last = format!("large/{:04}.json", count.min(900) - 1);
    at_length(patience(count), "the files of others are reported", async || {
        let report = it.api.get(&format!("{SECCOMP_NODE}/node-a")).await.body;
        let mut files = report["status"]["profiles"].as_array()?.iter();
        files.any(|it| it["path"] == *last && it["size"] == 1_048_576).then_some(())
    })
    .await;

    let (rules, start) = (most(), Instant::now());
    for number in 0..count {
        let object = profile(&format!("largest-{number:04}"), &spec(number, rules, 1));
        it.api.post(PROFILES, &object).await.expect_ok("a profile");
    }
    let created = start.elapsed().as_secs();
    for node in NODES {
        everything_is_on(&it, node, count).await;
    }
    let agent = agent_on(&it, "node-a").await;
    let (follows, own) = memory(&agent);
    report_details(&format!(
        "{count} that are stored one after another: {follows} KiB, {own} own, stored in {created} s, \
         in place after {} s",
        start.elapsed().as_secs(),
    ));

    // And all at once.
    it.api.delete(&format!("{AGENTS}/{}", agent.name)).await.expect_ok("the agent");
    patiently("it has ended", async || {
        (it.api.get(&format!("{AGENTS}/{}", agent.name)).await.status == 404).then_some(())
    })
    .await;
    for file in largest_on(&it, "node-a") {
        fs::remove_file(file).expect("we are root");
    }
    let start = Instant::now();
    let agent = agent_on(&it, "node-a").await;
    everything_is_on(&it, "node-a", count).await;
    let (begins, own) = memory(&agent);
    report_details(&format!(
        "{count} that an agent begins with: {begins} KiB, {own} own, in place after {} s",
        start.elapsed().as_secs(),
    ));

    // One by one: the answer to a deletion of all would hold all of them.
    for number in 0..count {
        it.api.delete(&format!("{PROFILES}/largest-{number:04}")).await.expect_ok("a profile");
    }
    fs::remove_dir_all(&foreign).expect("we are root");
    at_length(patience(count), "they are gone", async || {
        NODES.iter().all(|node| largest_on(&it, node).is_empty()).then_some(())
    })
    .await;
    assert_eq!(agent_on(&it, "node-a").await.restarts, 0);
    assert!(follows <= MEMORY && begins <= MEMORY, "{follows} and {begins} KiB");
}

/// A loaded machine takes a second or two for each: two API calls, and a pass of two agents.
fn patience(count: usize) -> Duration {
    Duration::from_mins(10) + Duration::from_secs(5) * u32::try_from(count).unwrap_or(u32::MAX)
}

fn largest_on(it: &Deployment, node: &str) -> Vec<PathBuf> {
    let own = fs::read_dir(it.seccomp_root(node).join("callgate")).expect("it is there");
    let files = own.filter_map(Result::ok).map(|it| it.path());
    files.filter(|it| it.to_string_lossy().contains("/largest-")).collect()
}

async fn everything_is_on(it: &Deployment, node: &str, count: usize) {
    at_length(patience(count), "all are in place, and that is reported", async || {
        let object = node::node(it, node).await;
        let message = condition(&object)["message"].as_str()?;
        let told: usize = message.strip_prefix("all ")?.split(' ').next()?.parse().ok()?;
        (told >= count && largest_on(it, node).len() == count).then_some(())
    })
    .await;
}
