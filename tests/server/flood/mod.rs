//! The worst bodies, sent to a replica with the memory limit of the Deployment.

mod bodies;
mod thousand;

use std::{
    env, fs, io, iter,
    net::Ipv4Addr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use rustls::{ClientConfig, version::TLS13};
use serde_json::{Value, json};
use support::{
    client::{Answer, Encrypted, handshake_by, request, trusting},
    wait::{in_time, patiently},
};
use tokio::{task::JoinSet, time::sleep};

use crate::{commands::Running, rig::plain_from};

/// Where they come from.
const POD: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// The additional memory of a replica in a large cluster (docs/performance.md), in KiB.
const FACTS: u64 = 20 << 10;

/// Posts from so many connections at once for each kind of body.
const AT_ONCE: usize = 2;

/// The container of the Deployment: its limit of memory in KiB, and its environment.
fn deployed() -> (u64, Vec<(String, String)>) {
    let text = fs::read_to_string("manifests/base/deployment.yaml").expect("it is there");
    let deployment: Value = serde_saphyr::from_str(&text).expect("it is YAML");
    let container = &deployment["spec"]["template"]["spec"]["containers"][0];
    let limit = container["resources"]["limits"]["memory"].as_str().expect("there is a limit");
    let mebibytes: u64 = limit.strip_suffix("Mi").and_then(|it| it.parse().ok()).expect("in Mi");
    let word = |it: &Value| it.as_str().expect("text").to_owned();
    let variables = container["env"].as_array().into_iter().flatten();
    let environment = variables.map(|it| (word(&it["name"]), word(&it["value"]))).collect();
    (mebibytes << 10, environment)
}

#[test]
fn a_replica_is_limited_to_128_mib_of_memory() {
    assert!(deployed().0 <= 128 << 10);
}

/// A typical pod.
fn ordinary() -> String {
    bodies::pod(
        &json!({
            "metadata": { "name": "web" },
            "spec": { "containers": [{ "name": "app", "image": "app:1" }] },
        })
        .to_string(),
    )
}

struct Target {
    running: Running,
    client: ClientConfig,
}

impl Target {
    fn start() -> Self {
        let (limit, environment) = deployed();
        let directory = tempfile::tempdir().expect("there is room for a directory");
        let ca = directory.path().join("ca.crt");
        let ca_out = format!("--ca-out={}", ca.display());
        // Long enough for a busy machine.
        let words = [
            "serve",
            "--standalone",
            "--listen=127.0.0.1:0",
            "--log-level=warn,callgate::cli::serve=info",
            &ca_out,
            "--handshake-timeout=1m",
            "--header-timeout=1m",
            "--body-timeout=20s",
        ];
        let running = Running::within(limit - FACTS, &words, environment);
        let client = trusting(&ca, &[&TLS13]).with_no_client_auth();
        Self { running, client }
    }

    async fn connect(&self, peer: Ipv4Addr) -> io::Result<Encrypted> {
        let stream = plain_from(peer, self.running.address.expect("it serves")).await;
        handshake_by(stream, self.client.clone()).await
    }

    async fn post(&self, post: &str) -> io::Result<Answer> {
        let mut client = self.connect(POD).await?;
        client.write(post).await?;
        client.answer().await
    }

    /// Reviews as the API server sends them, over one connection, until it is stopped.
    async fn reviews(&self, stop: &AtomicBool, anew: bool) -> usize {
        let review = posted("/validate?timeout=30s", &ordinary());
        let mut client = None;
        let mut answered = 0;
        while !stop.load(Ordering::SeqCst) {
            let mut it = match client.take() {
                Some(it) if !anew => it,
                _ => self
                    .connect(Ipv4Addr::LOCALHOST)
                    .await
                    .expect("a client with a review is let in"),
            };
            it.write(&review).await.expect("the server reads");
            let answer = it.answer().await.expect("the server answers");
            assert_eq!(answer.status, 200, "{answer:?}");
            answered += 1;
            client = Some(it);
            sleep(Duration::from_millis(5)).await;
        }
        answered
    }
}

fn posted(target: &str, body: &str) -> String {
    request(target, body).replacen("\r\n", "\r\nContent-Type: application/json\r\n", 1)
}

/// For how long: `make test-long` says a minute.
fn duration() -> Duration {
    let seconds = env::var("CALLGATE_FLOOD_SECONDS").ok();
    Duration::from_secs(seconds.map_or(5, |it| it.parse().expect("seconds")))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_worst_bodies_neither_crash_a_replica_nor_block_other_clients() {
    let mut target = Target::start();
    let posts: Vec<_> = bodies::all()
        .into_iter()
        .map(|(kind, body)| {
            assert!(body.len() <= bodies::LARGEST, "{kind}: {}", body.len());
            (kind, Arc::new(posted("/validate?timeout=30s", &body)))
        })
        .collect();
    // One after another, so that a failure names the body.
    let mut fatal = Vec::new();
    for (kind, post) in &posts {
        let status = target.post(post).await.map(|it| it.status);
        if !matches!(status, Ok(200 | 400)) || !target.running.is_alive() {
            fatal.push(format!("{kind}: {status:?}"));
            target = Target::start();
        }
    }
    assert!(fatal.is_empty(), "{fatal:#?}");

    let target = Arc::new(target);
    let stop = Arc::<AtomicBool>::default();
    let flooded = Arc::<AtomicUsize>::default();
    let mut attackers = JoinSet::new();
    for (_, post) in posts.iter().flat_map(|it| iter::repeat_n(it, AT_ONCE)) {
        let (post, target) = (Arc::clone(post), Arc::clone(&target));
        let (stop, flooded) = (Arc::clone(&stop), Arc::clone(&flooded));
        attackers.spawn(async move {
            while !stop.load(Ordering::SeqCst) {
                // Whether it is answered or cut is the server's to decide.
                if target.post(&post).await.is_ok() {
                    flooded.fetch_add(1, Ordering::SeqCst);
                }
            }
        });
    }
    let mut legitimate = JoinSet::new();
    for anew in [false, true] {
        let (target, stop) = (Arc::clone(&target), Arc::clone(&stop));
        legitimate.spawn(async move { target.reviews(&stop, anew).await });
    }
    sleep(duration()).await;
    // On a slow machine the first of them may take longer.
    patiently("an answer to a flooding request", async || {
        (flooded.load(Ordering::SeqCst) > 0).then_some(())
    })
    .await;
    stop.store(true, Ordering::SeqCst);
    while let Some(answered) = in_time(legitimate.join_next()).await {
        assert!(answered.expect("no review fails") > 0);
    }
    attackers.shutdown().await;
    let mut target = Arc::into_inner(target).expect("nobody else has it");
    assert!(target.running.is_alive(), "the replica has ended");
}
