//! A replica whose clock is wrong, beside one whose clock is right.

use std::{collections::BTreeMap, fs, process::Command, sync::Arc, time::SystemTime};

use jiff::Timestamp;

use support::{
    e2e::{instance::Instance, load},
    wait::eventually,
};

use crate::{
    pair::Pair,
    tests::{
        agents::{Agent, condition, spec},
        watches::object,
    },
    trial::{Test, trials},
};

trials![
    a_replica_whose_clock_goes_wrong_steps_back_and_no_creation_fails,
    a_replica_that_starts_with_a_wrong_clock_creates_and_publishes_no_ca,
    an_agent_whose_clock_is_wrong_delivers_and_reports_by_the_api_servers,
];

const WRONG: &str =
    "the clock or the API server's is wrong: not ready, and the Secret is left alone";

/// A clock that a test can set for one process: libfaketime replaces functions of
/// the C library.
struct Clock(tempfile::NamedTempFile);

impl Clock {
    fn new(offset: &str) -> Self {
        let clock = Self(tempfile::NamedTempFile::new().expect("there is room for a file"));
        clock.set(offset);
        clock
    }

    /// By how much it is ahead or behind, such as `+366d` or `-10m`.
    fn set(&self, offset: &str) {
        fs::write(self.0.path(), format!("{offset}\n")).expect("the file is ours");
    }

    fn environment(&self) -> BTreeMap<String, String> {
        let file = self.0.path().to_string_lossy().into_owned();
        let all = [
            ("LD_PRELOAD", library()),
            ("FAKETIME_TIMESTAMP_FILE", file),
            ("FAKETIME_NO_CACHE", "1".to_owned()),
            // Time-outs keep their length.
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
        ];
        all.map(|(name, it)| (name.to_owned(), it)).into()
    }
}

/// Where that library is; `e2e/setup` installs it.
fn library() -> String {
    let words = ["-f", "+0", "printenv", "LD_PRELOAD"];
    let output = Command::new("faketime").args(words).output();
    let output = output.expect("cannot find faketime: e2e/setup installs it");
    String::from_utf8(output.stdout).expect("it is text").trim().to_owned()
}

async fn ahead(replica: &Instance) -> f64 {
    replica.metric("callgate_clock_ahead_seconds").await.unwrap_or_default()
}

async fn await_wrong(replica: &Arc<Instance>, times: usize) {
    eventually("the replica notices that its clock is wrong", async || {
        let noticed = replica.said(WRONG).len() >= times;
        (noticed && replica.ask("/readyz").await.is_none()).then_some(())
    })
    .await;
}

async fn a_replica_whose_clock_goes_wrong_steps_back_and_no_creation_fails(it: Test) {
    let mut pair = Pair::of(&it, "clock").await;
    let clock = Clock::new("+0");
    let sound = pair.add(&it, BTreeMap::new()).await;
    let moved = pair.add(&it, clock.environment()).await;
    for replica in [&sound, &moved] {
        eventually("both are ready", async || replica.ask("/readyz").await).await;
    }
    pair.are_called().await;
    let (secret, bundle) = (pair.stored().await, pair.bundle().await);
    let stored = moved.said("CA stored");
    let untouched = async |when: &str| {
        assert_eq!(pair.stored().await, secret, "{when}");
        assert_eq!(pair.bundle().await, bundle, "{when}");
    };
    let ((), outcome) = load::during(it.api(), &pair.namespace, async |load| {
        load.goes_on().await;
        for (times, (offset, least)) in (1..).zip([
            ("+10m", 590.0),
            ("+366d", 366.0 * 86400.0 - 10.0),
            ("-366d", 590.0),
            ("-10m", 590.0),
        ]) {
            clock.set(offset);
            await_wrong(&moved, times).await;
            assert!(ahead(&moved).await.abs() >= least, "{offset}");
            load.goes_on().await;
            untouched(offset).await;
            clock.set("+0");
            eventually("it comes back", async || moved.ask("/readyz").await).await;
            load.goes_on().await;
        }
        // This leads only to a warning.
        clock.set("+2m");
        let message = "the clock is not the API server's";
        eventually("it warns", async || moved.said(message).pop()).await;
        load.goes_on().await;
        assert!(moved.ask("/readyz").await.is_some());
        assert!((118.0..=122.0).contains(&ahead(&moved).await));
        untouched("+2m").await;
    })
    .await;
    outcome.is_flawless();
    assert!(ahead(&sound).await.abs() <= 2.0);
    assert_eq!(moved.said("CA stored"), stored);
    pair.uninstall().await;
}

async fn a_replica_that_starts_with_a_wrong_clock_creates_and_publishes_no_ca(it: Test) {
    let mut pair = Pair::of(&it, "start").await;
    let clocks = ["+10m", "+30d", "-366d"].map(Clock::new);
    for clock in &clocks[..2] {
        let wrong = pair.add(&it, clock.environment()).await;
        await_wrong(&wrong, 1).await;
    }
    // With this clock the API server's own certificate is not valid.
    let wrong = pair.add(&it, clocks[2].environment()).await;
    let message = "cannot reconcile the CA, retrying";
    eventually("it says that it has no answer", async || wrong.said(message).pop()).await;
    assert_eq!(it.api().get(&pair.secret).await.status, 404);
    assert_eq!(pair.bundle().await, None);

    // One replica with a correct clock is enough, and the others do not disturb it.
    pair.add(&it, BTreeMap::new()).await;
    pair.are_called().await;
    let (secret, bundle) = (pair.stored().await, pair.bundle().await);
    let namespace = pair.namespace.clone();
    let ((), outcome) = load::during(it.api(), &namespace, async |load| {
        load.goes_on().await;
        let another = pair.add(&it, clocks[1].environment()).await;
        await_wrong(&another, 1).await;
        load.goes_on().await;
    })
    .await;
    outcome.is_flawless();
    assert_eq!((pair.stored().await, pair.bundle().await), (secret, bundle));
    for wrong in &pair.replicas[..3] {
        assert!(wrong.ask("/readyz").await.is_none());
    }
    // After its clock is corrected, it joins the others.
    clocks[0].set("+0");
    eventually("it is ready", async || pair.replicas[0].ask("/readyz").await).await;
    pair.uninstall().await;
}

const NODES: &str = "/api/v1/nodes";
const PROFILES: &str = "/apis/callgate.dev/v1alpha1/seccompprofiles";

/// Creates a profile that denies `mkdir`.
async fn create(it: &Test, name: &str) {
    let mut profile = object("SeccompProfile", name);
    profile["spec"] = spec("mkdir")["spec"].take();
    it.api().post(PROFILES, &profile).await.expect_ok("the profile");
}

/// When the agent of the node sent its last heartbeat, in seconds since 1970.
async fn heartbeat(it: &Test, node: &str) -> Option<f64> {
    let condition = condition(it, node).await?;
    let at: Timestamp = condition["lastHeartbeatTime"].as_str()?.parse().ok()?;
    Some(at.as_duration().as_secs_f64())
}

fn now() -> f64 {
    SystemTime::UNIX_EPOCH.elapsed().expect("it is later").as_secs_f64()
}

async fn an_agent_whose_clock_is_wrong_delivers_and_reports_by_the_api_servers(it: Test) {
    let stem = &it.namespace[it.namespace.len() - 8..];
    let (node, day) = (format!("clock-{stem}"), 86400.0);
    it.api().post(NODES, &object("Node", &node)).await.expect_ok("the node");
    let mut profiles = Vec::new();
    let mut delivers = async |agent: &Agent| {
        let name = format!("clock-{}-{stem}", profiles.len());
        create(&it, &name).await;
        agent.installs(&it, &node, &name, "mkdir").await;
        profiles.push(name);
    };

    let clock = Clock::new("+0");
    let kubeconfig = &it.world.site.kubeconfig;
    let agent = Agent::start_with(&node, kubeconfig, &clock.environment(), |_| ());
    delivers(&agent).await;
    for (offset, ahead) in [("+10m", 600.0), ("+366d", 366.0 * day), ("-366d", -366.0 * day)] {
        // Times in the API server have no fraction: a heartbeat of the same second would look like
        // the last one.
        let before = heartbeat(&it, &node).await.unwrap_or_default();
        eventually("the next second", async || (now() >= before + 1.0).then_some(())).await;
        let start = now();
        clock.set(offset);
        delivers(&agent).await;
        let at = eventually("a heartbeat", async || {
            heartbeat(&it, &node).await.filter(|it| *it > before)
        })
        .await;
        assert!((start - 2.0..=now()).contains(&at), "{offset}: {at}, from {start}");
        eventually("the agent says by how much its clock is wrong", async || {
            let measured = agent.metric("callgate_agent_clock_ahead_seconds").await?;
            ((measured - ahead).abs() <= 60.0).then_some(())
        })
        .await;
        let reported = agent.metric("callgate_agent_report_timestamp_seconds").await;
        let reported = reported.expect("it is reported");
        assert!((start - 2.0..=now()).contains(&reported), "{offset}: {reported}, from {start}");
        let message = "the clock is not the API server's";
        eventually("the agent logs that", async || agent.said(message).pop()).await;
    }
    clock.set("+0");
    delivers(&agent).await;
    let message = "the clock agrees with the API server's again";
    eventually("its clock is right again", async || agent.said(message).pop()).await;
    drop(agent);

    // With these clocks the API server's certificate is not valid, so a new agent cannot connect.
    for offset in ["+366d", "-366d"] {
        clock.set(offset);
        let agent = Agent::start_with(&node, kubeconfig, &clock.environment(), |_| ());
        eventually("it says why", async || {
            let said = agent.said("a watch failed, retrying").pop()?;
            said["error"].as_str()?.contains("invalid peer certificate").then_some(())
        })
        .await;
        assert!(agent.ask("/readyz").await.is_none());
        assert_eq!(agent.metric("callgate_agent_report_timestamp_seconds").await, Some(0.0));
        clock.set("+0");
        delivers(&agent).await;
        eventually("it is ready", async || agent.ask("/readyz").await).await;
    }
    for path in profiles.iter().map(|it| format!("{PROFILES}/{it}")) {
        it.api().delete(&path).await.expect_ok("its end");
    }
    for path in
        [format!("/apis/callgate.dev/v1alpha1/seccompnodes/{node}"), format!("{NODES}/{node}")]
    {
        it.api().delete(&path).await;
    }
}
