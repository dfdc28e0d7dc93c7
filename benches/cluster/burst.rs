//! A burst of pods that are stored, by many writers at once.

use std::{
    io::{self, Write},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use serde_json::Value;
use support::{bench::review, e2e::api::Api};
use tokio::task::JoinSet;

use crate::{
    governors::{GOVERNORS, IN_PROCESS, WEBHOOK, has_profile},
    pod_of,
    turns::{Post, milliseconds, quantile},
};

/// The burst that NVIDIA published for its webhook (`NVSentinel`, issue 1849): pods and writers.
const PODS: usize = 1028;
const WRITERS: usize = 64;

/// The places, in the order of the table.
const PLACES: [usize; 3] = [0, WEBHOOK, IN_PROCESS];

/// What became of one burst.
struct Burst {
    pods_per_second: f64,
    /// In ms.
    times: Vec<f64>,
    rejected: usize,
    /// Pods that were stored without the profile.
    open: usize,
}

/// Measures so many bursts of each kind in turns, and prints a table.
pub(crate) async fn measure(api: &Api, bursts: usize, out: &mut impl Write) -> io::Result<()> {
    let reviews = review::all();
    let mut pod = pod_of(&reviews[0]);
    if let Some(metadata) = pod["metadata"].as_object_mut() {
        metadata.remove("name");
    }
    let mut all = PLACES.map(|_| Vec::new());
    for turn in 0..bursts {
        for at in (0..PLACES.len()).map(|it| (it + turn) % PLACES.len()) {
            all[at].push(burst(api, GOVERNORS[PLACES[at]].namespace, &pod).await);
        }
    }
    writeln!(
        out,
        "{PODS} bare pods by {WRITERS} writers, stored; {bursts} bursts of each kind in turns, the median of them\n\n\
        | governed by | pods per second | of one burst | p50, ms | p99, ms | rejected | without the profile |\n\
        | --- | ---: | ---: | ---: | ---: | ---: | ---: |"
    )?;
    for (place, all) in PLACES.iter().zip(&all) {
        let median = |of: &dyn Fn(&Burst) -> f64| quantile(all.iter().map(of).collect(), 50);
        let sum = |of: fn(&Burst) -> usize| all.iter().map(of).sum::<usize>();
        let rates = all.iter().map(|it| it.pods_per_second);
        let (lowest, highest) =
            (rates.clone().fold(f64::INFINITY, f64::min), rates.fold(0.0, f64::max));
        writeln!(
            out,
            "| {} | {:.0} | {lowest:.0} to {highest:.0} | {:.1} | {:.1} | {} | {} |",
            GOVERNORS[*place].name,
            median(&|it| it.pods_per_second),
            median(&|it| quantile(it.times.clone(), 50)),
            median(&|it| quantile(it.times.clone(), 99)),
            sum(|it| it.rejected),
            sum(|it| it.open),
        )?;
    }
    writeln!(out)
}

async fn burst(api: &Api, namespace: &str, pod: &Value) -> Burst {
    let post = Arc::new(Post::stored(api.client(), namespace, pod));
    let next = Arc::new(AtomicUsize::new(0));
    let started = Instant::now();
    let mut writers = JoinSet::new();
    for _ in 0..WRITERS {
        let (post, next) = (Arc::clone(&post), Arc::clone(&next));
        writers.spawn(async move {
            let mut seen = Vec::new();
            while next.fetch_add(1, Ordering::Relaxed) < PODS {
                let (time, status, _) = post.send(0).await;
                seen.push((milliseconds(time), status == 201));
            }
            seen
        });
    }
    let seen = writers.join_all().await.concat();
    let took = started.elapsed().as_secs_f64();
    let path = format!("/api/v1/namespaces/{namespace}/pods");
    let stored = api.get(&path).await.expect_ok("the pods");
    let stored = stored["items"].as_array().expect("a list");
    let rejected = seen.iter().filter(|it| !it.1).count();
    assert_eq!((seen.len(), stored.len()), (PODS, PODS - rejected), "pods in {namespace}");
    let open = stored.iter().filter(|it| !has_profile(it)).count();
    // They run nowhere, so that they are gone at once.
    api.delete(&format!("{path}?gracePeriodSeconds=0")).await.expect_ok("the pods go");
    #[expect(clippy::cast_precision_loss, reason = "about a thousand")]
    Burst {
        pods_per_second: PODS as f64 / took,
        times: seen.into_iter().map(|it| it.0).collect(),
        rejected,
        open,
    }
}
