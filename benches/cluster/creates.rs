//! What governing a namespace adds to the creation of a pod, by callgate or by admission policies.

use std::{
    fs,
    io::{self, Write},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{Method, Request, header::CONTENT_TYPE};
use kube::{Client, client::Body};
use serde_json::{Value, json};
use support::{
    bench::{review, usage::Usage},
    e2e::{api::Api, instance::Instance},
    wait::eventually,
};
use tokio::time::sleep;

use crate::{namespace, pod_of};

/// What governs the namespaces, in the order of the tables.
const GOVERNED_BY: [&str; 3] = ["nobody", "callgate", "the API server's own policies"];

/// Each one follows each other one equally often.
const ORDERS: [[usize; 3]; 6] = [[0, 1, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0], [1, 0, 2], [0, 2, 1]];

/// Creates that are not counted.
const WARM_UP: usize = 200;

/// The bench must end even on a slow machine.
const AT_MOST: Duration = Duration::from_secs(70);

const POLICIES: &str = "examples/without-callgate/seccomp.yaml";

/// A pod, and what is seen when it is created again and again.
struct Measured {
    pod: &'static str,
    /// Bytes, as sent and as answered.
    sizes: [usize; 2],
    /// Sorted, by what governs.
    times: [Vec<Duration>; 3],
    /// What each governor added to the creation just before or after it, sorted.
    added: [Vec<f64>; 3],
    /// Calls of `/mutate` and of `/validate`.
    calls: [u64; 2],
    /// Of callgate's process.
    cpu: Duration,
}

/// Measures, and prints tables.
pub(crate) async fn measure(
    api: &Api,
    webhook: &Instance,
    creates: usize,
    out: &mut impl Write,
) -> io::Result<()> {
    let namespaces = set_up(api).await;
    let mut all = Vec::new();
    for review in review::all().iter().filter(|it| it.size == "8 KB") {
        // `/mutate` sees it without a profile, `/validate` with one.
        let pod = if review.path == "/mutate" { "bare" } else { "compliant" };
        let posts = namespaces.map(|it| Post::new(api.client(), it, &pod_of(review)));
        all.push(measure_one(pod, &posts, webhook, creates).await);
    }
    print(&all, out)
}

/// Makes the three namespaces and waits until each is governed as its name says.
async fn set_up(api: &Api) -> [&'static str; 3] {
    let text = fs::read_to_string(POLICIES).expect("the example is there");
    let objects: Vec<Value> = serde_saphyr::from_multiple(&text).expect("the example is YAML");
    for object in objects {
        let kind = object["kind"].as_str().expect("it has a kind").to_lowercase();
        let name = object["metadata"]["name"].as_str().expect("it has a name");
        let plural =
            if let Some(stem) = kind.strip_suffix('y') { format!("{stem}ies") } else { kind + "s" };
        let path = format!("/apis/admissionregistration.k8s.io/v1/{plural}/{name}");
        api.apply(&path, &object).await.expect_ok("a policy of the API server's own");
    }
    let namespaces = ["ungoverned", "by-callgate", "by-policies"];
    let labels = [
        json!({}),
        json!({ "callgate.dev/policy": "restricted" }),
        json!({ "seccomp.example.com/enforce": "true" }),
    ];
    for (name, labels) in namespaces.iter().zip(labels) {
        namespace(api, name, &labels).await;
    }
    let reviews = review::all();
    let pod = pod_of(&reviews[0]);
    let mut unconfined = pod.clone();
    unconfined["spec"]["securityContext"]["seccompProfile"] = json!({ "type": "Unconfined" });
    for (governor, namespace) in GOVERNED_BY.iter().zip(namespaces) {
        let path = format!("/api/v1/namespaces/{namespace}/pods?dryRun=All");
        let is_governed = *governor != "nobody";
        eventually(governor, async || {
            let [bare, unconfined] =
                [api.post(&path, &pod).await, api.post(&path, &unconfined).await];
            let has = bare.is_ok() && has_profile(&bare.body);
            (has == is_governed && unconfined.is_ok() != is_governed).then_some(())
        })
        .await;
    }
    namespaces
}

fn has_profile(pod: &Value) -> bool {
    pod["spec"]["securityContext"]["seccompProfile"]["type"] == "RuntimeDefault"
}

async fn measure_one(
    pod: &'static str,
    posts: &[Post; 3],
    webhook: &Instance,
    creates: usize,
) -> Measured {
    let mut sizes = [posts[0].body.len(), 0];
    for round in 0..WARM_UP {
        for (at, post) in posts.iter().enumerate() {
            let (_, answer) = post.send().await;
            if round == 0 {
                let has = has_profile(&serde_json::from_slice(&answer).expect("a pod is JSON"));
                assert_eq!(has, at > 0 || pod == "compliant", "{pod} by {}", GOVERNED_BY[at]);
                sizes[1] = answer.len();
            }
        }
    }
    let usage = Usage(webhook.id());
    let before = (spent(usage).await, calls(webhook).await);
    let mut times = [const { Vec::new() }; 3];
    let mut added = [const { Vec::new() }; 3];
    let started = Instant::now();
    for order in ORDERS.iter().cycle().take(creates) {
        let mut round = [Duration::ZERO; 3];
        for at in order {
            round[*at] = posts[*at].send().await.0;
        }
        for (at, time) in round.into_iter().enumerate() {
            times[at].push(time);
            added[at].push(milliseconds(time) - milliseconds(round[0]));
        }
        if started.elapsed() > AT_MOST {
            break;
        }
    }
    let after = (spent(usage).await, calls(webhook).await);
    for (times, added) in times.iter_mut().zip(&mut added) {
        times.sort_unstable();
        added.sort_by(f64::total_cmp);
    }
    let calls = [0, 1].map(|it| after.1[it] - before.1[it]);
    Measured { pod, sizes, times, added, calls, cpu: after.0.saturating_sub(before.0) }
}

async fn spent(usage: Usage) -> Duration {
    // For its threads to come to rest: only then is their time up to date.
    sleep(Duration::from_millis(20)).await;
    usage.cpu()
}

/// The reviews that were answered so far by `/mutate` and by `/validate`.
async fn calls(webhook: &Instance) -> [u64; 2] {
    let page = webhook.ask("/metrics").await.expect("the admin port answers");
    ["mutate", "validate"].map(|it| {
        let name = "callgate_reviews_total{";
        let lines = page.lines().filter(|line| line.starts_with(name));
        let lines = lines.filter(|line| line.contains(&format!("webhook=\"{it}\"")));
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
    })
}

/// A pod that is posted to a namespace, and not stored there.
struct Post {
    client: Client,
    path: String,
    body: Bytes,
}

impl Post {
    fn new(client: Client, namespace: &str, pod: &Value) -> Self {
        let path = format!("/api/v1/namespaces/{namespace}/pods?dryRun=All");
        Self { client, path, body: pod.to_string().into() }
    }

    /// How long it took until the answer was there, and the answer.
    async fn send(&self) -> (Duration, Bytes) {
        let request = Request::builder()
            .method(Method::POST)
            .uri(&self.path)
            .header(CONTENT_TYPE, "application/json")
            .body(Body::from(self.body.clone()))
            .expect("a valid request");
        let started = Instant::now();
        let response = self.client.send(request).await.expect("the API server answers");
        let status = response.status();
        let answer = response.into_body().collect_bytes().await.expect("a whole answer");
        let time = started.elapsed();
        assert_eq!(status, 201, "{}", String::from_utf8_lossy(&answer));
        (time, answer)
    }
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn quantile<T: Copy>(sorted: &[T], percent: usize) -> T {
    sorted[(sorted.len() * percent / 100).min(sorted.len() - 1)]
}

impl Measured {
    fn at(&self, governor: usize, percent: usize) -> f64 {
        milliseconds(quantile(&self.times[governor], percent))
    }

    /// What a governor adds to the time of a create at p50, in ms.
    fn adds(&self, governor: usize) -> f64 {
        self.at(governor, 50) - self.at(0, 50)
    }
}

#[expect(clippy::cast_precision_loss, reason = "some thousands")]
fn print(all: &[Measured], out: &mut impl Write) -> io::Result<()> {
    let [sent, answered] = all[0].sizes;
    let creates = all.iter().map(|it| it.times[0].len().to_string()).collect::<Vec<_>>();
    writeln!(
        out,
        "Server-side dry-run creates of a pod of {sent} bytes ({answered} in the answer), {} in each namespace, ms\n\n\
        | pod | governed by | p50 | p99 | adds at p50 | median of what it adds in its round |\n\
        | --- | --- | ---: | ---: | ---: | ---: |",
        creates.join(" and "),
    )?;
    for it in all {
        for (at, governor) in GOVERNED_BY.iter().enumerate() {
            let (p50, p99) = (it.at(at, 50), it.at(at, 99));
            write!(out, "| {} | {governor} | {p50:.2} | {p99:.2} |", it.pod)?;
            if at > 0 {
                let (adds, median) = (it.adds(at), quantile(&it.added[at], 50));
                writeln!(out, " {adds:.2} | {median:.2} |")?;
            } else {
                writeln!(out, " | |")?;
            }
        }
    }
    writeln!(
        out,
        "\n| pod | callgate adds, as a multiple of what the policies add | calls of `/mutate` per create | of `/validate` | CPU of callgate per create, µs |\n\
        | --- | ---: | ---: | ---: | ---: |"
    )?;
    for it in all {
        let creates = it.times[1].len() as f64;
        let [mutate, validate] = it.calls.map(|it| it as f64 / creates);
        let ratio = it.adds(1) / it.adds(2);
        let cpu = it.cpu.as_secs_f64() * 1e6 / creates;
        writeln!(out, "| {} | {ratio:.2} | {mutate:.2} | {validate:.2} | {cpu:.0} |", it.pod)?;
    }
    writeln!(out)
}
