//! Whether what callgate adds in process depends on how many policies are in use.

use std::io::{self, Write};

use serde_json::json;
use support::{
    bench::review,
    e2e::{api::Api, instance::Instance},
    wait::eventually,
};

use crate::{
    governors::{CONTROL, GOVERNORS, PATCH, calls},
    namespace, pod_of,
    turns::{Figure, Post, take_turns},
};

/// How many policies are in use, each by one namespace.
const COUNTS: [usize; 5] = [1, 3, 10, 30, 100];

/// Where a place of the rounds is in the columns.
const OURS: usize = 2;
const PEER: usize = 3;

/// With so many policies.
pub(crate) struct Point {
    pub(crate) policies: usize,
    pub(crate) ours: Figure,
    pub(crate) peer: Figure,
}

/// Measures bare pods, which go to the namespaces of all policies in turns, and prints a table.
pub(crate) async fn measure(
    api: &Api,
    webhook: &Instance,
    creates: usize,
    out: &mut impl Write,
) -> io::Result<Vec<Point>> {
    writeln!(
        out,
        "Policies in use, each by one namespace; {creates} bare pods for each row, ms\n\n\
        | policies | nothing, p50 | callgate in process adds | in tenths of the run | {} | in tenths of the run |\n\
        | ---: | ---: | ---: | ---: | ---: | ---: |",
        GOVERNORS[PATCH].name
    )?;
    let reviews = review::all();
    let pod = pod_of(&reviews[0]);
    let mut used = Vec::new();
    let mut points = Vec::new();
    for policies in COUNTS {
        for at in used.len()..policies {
            used.push(add(api, at).await);
        }
        let used: Vec<_> = used.iter().map(String::as_str).collect();
        await_in_process(api, webhook, &used).await;
        let [first, control, peer] = [0, CONTROL, PATCH].map(|it| GOVERNORS[it].namespace);
        let places = [&[first][..], &[control], &used, &[peer]];
        let posts = places.map(|it| Post::dry(api.client(), it, &pod));
        take_turns(&posts, policies.max(50)).await;
        let before = calls(webhook).await;
        let times = take_turns(&posts, creates).await;
        assert_eq!(calls(webhook).await, before, "the webhook is called");
        let (ours, peer) = (times.adds(OURS), times.adds(PEER));
        let spread = |it: &Figure| format!("{:.2} to {:.2}", it.lowest, it.highest);
        writeln!(
            out,
            "| {policies} | {:.2} | {:.2} | {} | {:.2} | {} |",
            times.at(0, 50),
            ours.of_all,
            spread(&ours),
            peer.of_all,
            spread(&peer),
        )?;
        points.push(Point { policies, ours, peer });
    }
    for name in &used {
        let label = json!({ "metadata": { "labels": { "callgate.dev/policy": null } } });
        api.merge(&format!("/api/v1/namespaces/{name}"), &label).await.expect_ok("the label goes");
        api.delete(&path_of(name)).await.expect_ok("the policy goes");
    }
    writeln!(out)?;
    Ok(points)
}

fn path_of(policy: &str) -> String {
    format!("/apis/callgate.dev/v1alpha1/seccomppolicies/{policy}")
}

/// Makes a policy, and a namespace that obeys it, which it returns.
async fn add(api: &Api, at: usize) -> String {
    let name = format!("used-{at}");
    let policy = json!({
        "apiVersion": "callgate.dev/v1alpha1", "kind": "SeccompPolicy",
        "metadata": { "name": name },
        "spec": {
            "default": { "type": "RuntimeDefault" }, "placement": "Ignore",
            "bindings": [{
                "podSelector": { "matchLabels": { "app": format!("batch-{at}") } },
                "profile": { "type": "Localhost", "localhostProfile": "batch.json" },
            }],
        },
    });
    api.apply(&path_of(&name), &policy).await.expect_ok("the policy");
    namespace(api, &name, &json!({ "callgate.dev/policy": name })).await;
    name
}

/// Waits until the API server itself sets the profile in each namespace.
async fn await_in_process(api: &Api, webhook: &Instance, namespaces: &[&str]) {
    let reviews = review::all();
    let posts = Post::dry(api.client(), namespaces, &pod_of(&reviews[0]));
    eventually("the API server sets the profiles of all policies", async || {
        let before = calls(webhook).await;
        for at in 0..namespaces.len() {
            if posts.send(at).await.1 != 201 {
                return None;
            }
        }
        (calls(webhook).await == before).then_some(())
    })
    .await;
}
