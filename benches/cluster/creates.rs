//! What governing a namespace adds to the creation of a pod, by callgate or by admission policies.

use std::{
    io::{self, Write},
    time::Duration,
};

use support::{
    bench::{review, usage::Usage},
    e2e::{api::Api, instance::Instance},
};
use tokio::time::sleep;

use crate::{
    governors::{self, APPLY, CONTROL, GOVERNORS, IN_PROCESS, PATCH, WEBHOOK, calls, has_profile},
    pod_of,
    turns::{Figure, Post, Times, take_turns},
};

/// Rounds that are not counted.
const WARM_UP: usize = 100;

/// A pod, and what is seen when it is created again and again.
struct Measured {
    pod: &'static str,
    /// Bytes, as sent and as answered.
    sizes: [usize; 2],
    times: Times,
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
    let mut all = Vec::new();
    for review in review::all().iter().filter(|it| it.size == "8 KB") {
        // `/mutate` sees it without a profile, `/validate` with one.
        let pod = if review.path == "/mutate" { "bare" } else { "compliant" };
        let object = pod_of(review);
        let post = |it: &governors::Governor| Post::dry(api.client(), &[it.namespace], &object);
        let posts: Vec<_> = GOVERNORS.iter().map(post).collect();
        all.push(measure_one(pod, &posts, webhook, creates).await);
    }
    print(&all, out)
}

async fn measure_one(
    pod: &'static str,
    posts: &[Post],
    webhook: &Instance,
    creates: usize,
) -> Measured {
    let mut sizes = [posts[0].bytes(), 0];
    for (at, post) in posts.iter().enumerate() {
        let (_, answer) = post.accepted(0).await;
        let has = has_profile(&serde_json::from_slice(&answer).expect("a pod is JSON"));
        assert_eq!(has, at > CONTROL || pod == "compliant", "{pod} by {}", GOVERNORS[at].name);
        sizes[1] = answer.len();
    }
    take_turns(posts, WARM_UP).await;
    let usage = Usage(webhook.id());
    let before = (spent(usage).await, calls(webhook).await);
    let times = take_turns(posts, creates).await;
    let after = (spent(usage).await, calls(webhook).await);
    let calls = [0, 1].map(|it| after.1[it] - before.1[it]);
    // Only by the webhooks alone, or the API server does not set it where it should.
    let expected = if pod == "bare" { times.rounds() as u64 } else { 0 };
    assert_eq!(calls[0], expected, "calls of /mutate for the {pod} pod");
    Measured { pod, sizes, times, calls, cpu: after.0.saturating_sub(before.0) }
}

async fn spent(usage: Usage) -> Duration {
    // For its threads to come to rest: only then is their time up to date.
    sleep(Duration::from_millis(20)).await;
    usage.cpu()
}

#[expect(clippy::cast_precision_loss, reason = "some thousands")]
fn print(all: &[Measured], out: &mut impl Write) -> io::Result<()> {
    let [sent, answered] = all[0].sizes;
    let rounds = all.iter().map(|it| it.times.rounds().to_string()).collect::<Vec<_>>();
    writeln!(
        out,
        "Server-side dry-run creates of a pod of {sent} bytes ({answered} in the answer), {} in each namespace, ms\n\n\
        | pod | governed by | p50 | p99 | adds, median of rounds | in tenths of the run |\n\
        | --- | --- | ---: | ---: | ---: | ---: |",
        rounds.join(" and "),
    )?;
    for Measured { pod, times, .. } in all {
        for (at, governor) in GOVERNORS.iter().enumerate() {
            let (p50, p99) = (times.at(at, 50), times.at(at, 99));
            write!(out, "| {pod} | {} | {p50:.2} | {p99:.2} |", governor.name)?;
            if at > 0 {
                let Figure { of_all, lowest, highest } = times.adds(at);
                writeln!(out, " {of_all:.2} | {lowest:.2} to {highest:.2} |")?;
            } else {
                writeln!(out, " | |")?;
            }
        }
    }
    writeln!(
        out,
        "\n| pod | callgate | adds, as a multiple of the fastest policies | in tenths of the run |\n\
        | --- | --- | ---: | ---: |"
    )?;
    for Measured { pod, times, .. } in all {
        let adds = |it: &usize| times.adds(*it).of_all;
        let fastest = [APPLY, PATCH].into_iter().min_by(|a, b| adds(a).total_cmp(&adds(b)));
        let fastest = fastest.expect("two of them");
        for at in [IN_PROCESS, WEBHOOK] {
            let Figure { of_all, lowest, highest } = times.ratio(at, fastest);
            let name = GOVERNORS[at].name;
            writeln!(out, "| {pod} | {name} | {of_all:.2} | {lowest:.2} to {highest:.2} |")?;
        }
    }
    writeln!(
        out,
        "\n| pod | by the webhooks alone: calls of `/mutate` per create | of `/validate` | CPU of callgate, µs |\n\
        | --- | ---: | ---: | ---: |"
    )?;
    for Measured { pod, times, calls, cpu, .. } in all {
        let rounds = times.rounds() as f64;
        let [mutate, validate] = calls.map(|it| it as f64 / rounds);
        let cpu = cpu.as_secs_f64() * 1e6 / rounds;
        writeln!(out, "| {pod} | {mutate:.2} | {validate:.2} | {cpu:.0} |")?;
    }
    writeln!(out)
}
