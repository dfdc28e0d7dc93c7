//! The memory of a replica in a large cluster.

use std::io::{self, Write};

use futures_util::{StreamExt, stream};
use support::{
    bench::{review, usage::Usage},
    e2e::{api::Api, instance::Instance},
};

use crate::{
    fill::{AT_ONCE, Filled},
    pod_of,
};

/// Measures a replica that is ready, and again after that many reviews.
pub(crate) async fn measure(
    api: &Api,
    webhook: &Instance,
    filled: &Filled,
    reviews: usize,
    out: &mut impl Write,
) -> io::Result<()> {
    writeln!(
        out,
        "A replica that has started in a cluster of {filled}, MiB\n\n\
        | when | resident (`VmRSS`) | of these `RssAnon` | `RssFile` | at most (`VmHWM`) |\n\
        | --- | ---: | ---: | ---: | ---: |"
    )?;
    row("it is ready", webhook, out)?;
    send(api, filled, reviews).await;
    row(&format!("after {reviews} creates of 8 and 60 KB"), webhook, out)?;
    writeln!(out)
}

/// Pods without a profile, so that all of them are sent to `/mutate`.
async fn send(api: &Api, filled: &Filled, reviews: usize) {
    let pods: Vec<_> = review::all().iter().filter(|it| it.path == "/mutate").map(pod_of).collect();
    let namespaces = filled.for_pods.iter().cycle();
    let posts = pods.iter().cycle().zip(namespaces).take(reviews);
    let post = async |(pod, namespace): (&serde_json::Value, &String)| {
        let path = format!("/api/v1/namespaces/{namespace}/pods?dryRun=All");
        let pod = api.post(&path, pod).await.expect_ok("the pod");
        let profile = &pod["spec"]["securityContext"]["seccompProfile"]["type"];
        assert_eq!(profile, "RuntimeDefault", "in {namespace}");
    };
    stream::iter(posts).for_each_concurrent(AT_ONCE, post).await;
}

fn row(when: &str, webhook: &Instance, out: &mut impl Write) -> io::Result<()> {
    let usage = Usage(webhook.id());
    let [rss, anon, file, most] = ["VmRSS", "RssAnon", "RssFile", "VmHWM"]
        .map(|it| std::time::Duration::from_secs(usage.status(it)).as_secs_f64() / 1024.0);
    writeln!(out, "| {when} | {rss:.1} | {anon:.1} | {file:.1} | {most:.1} |")
}
