//! What a scan of a large cluster takes.

use std::{
    io::{self, Write},
    process::Command,
};

use futures_util::{StreamExt, stream};
use serde_json::{Value, json};
use support::{
    bench::{
        review,
        run::{Run, median, run},
    },
    e2e::{api::Api, cluster::Site},
};

use crate::{fill::AT_ONCE, namespace, pod_of};

const NAMESPACES: usize = 100;
const PODS_OF_ONE: usize = 10;

/// Creates pods of 8 KB, and scans the cluster so many times, in turns with kubectl, which lists the same pods.
pub(crate) async fn measure(
    api: &Api,
    site: &Site,
    (pods, rounds): (usize, usize),
    out: &mut impl Write,
) -> io::Result<()> {
    for at in 0..NAMESPACES {
        namespace(api, &name(at), &json!({})).await;
    }
    let pod = review::all().iter().map(pod_of).next().expect("there are reviews");
    let of_one = async |at| create(api, &pod, at).await;
    stream::iter(0..pods / PODS_OF_ONE).for_each_concurrent(AT_ONCE, of_one).await;

    let kubectl = site.programs.as_ref().map_or("kubectl".into(), |it| it.join("kubectl"));
    let (scan, list) = (["scan", "--fail-on=never"], ["get", "pods", "-A", "-o=name"]);
    let contenders = [(&site.callgate, &scan[..]), (&kubectl, &list[..])];
    let mut runs = contenders.map(|_| Vec::new());
    for _ in 0..rounds {
        for ((program, arguments), runs) in contenders.iter().zip(&mut runs) {
            let mut command = Command::new(program);
            command.args(*arguments).arg("--kubeconfig").arg(&site.kubeconfig);
            let (status, taken) = run(&mut command)?;
            if !status.success() {
                return Err(io::Error::other(format!("{command:?}: {status}")));
            }
            runs.push(taken);
        }
    }
    writeln!(
        out,
        "{pods} pods of 8 KB in {NAMESPACES} namespaces, medians of {rounds} rounds in turns\n\n\
        | program | time, s | its CPU, s | peak, MiB |\n| --- | ---: | ---: | ---: |"
    )?;
    for ((program, arguments), runs) in contenders.iter().zip(&runs) {
        let name = program.file_name().unwrap_or_default().display();
        let of = |value: fn(&Run) -> f64| median(runs.iter().map(value).collect());
        let (time, cpu) = (of(|it| it.time.as_secs_f64()), of(|it| it.cpu.as_secs_f64()));
        let peak = runs.iter().map(|it| it.peak).max().unwrap_or_default() / 1024;
        let arguments = arguments.join(" ");
        writeln!(out, "| `{name} {arguments}` | {time:.1} | {cpu:.1} | {peak} |")?;
    }
    writeln!(out)
}

fn name(at: usize) -> String {
    format!("scanned-{}", at % NAMESPACES)
}

/// Creates a `ReplicaSet` and its pods.
async fn create(api: &Api, pod: &Value, at: usize) {
    let labels = json!({ "app": format!("web-{at}") });
    let set = json!({
        "apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": { "name": format!("web-{at}") },
        "spec": {
            "replicas": PODS_OF_ONE, "selector": { "matchLabels": labels },
            "template": { "metadata": { "labels": labels }, "spec": pod["spec"] },
        },
    });
    let path = format!("/apis/apps/v1/namespaces/{}/replicasets", name(at));
    let set = api.post(&path, &set).await.expect_ok("the owner");
    let mut pod = pod.clone();
    pod["metadata"]["ownerReferences"] = json!([{
        "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": set["metadata"]["name"],
        "uid": set["metadata"]["uid"], "controller": true, "blockOwnerDeletion": true,
    }]);
    for number in 0..PODS_OF_ONE {
        pod["metadata"]["name"] = json!(format!("web-{at}-{number}"));
        let path = format!("/api/v1/namespaces/{}/pods", name(at));
        api.post(&path, &pod).await.expect_ok("the pod");
    }
}
