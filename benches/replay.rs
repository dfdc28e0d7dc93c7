//! The time of `callgate replay` on audit logs, beside `wc -l`, which only looks for ends of lines.
//!
//! `cargo bench --bench replay`; docs/performance.md explains the figures.

use std::{
    fs::{self, File},
    io::{self, BufWriter, Write, stdout},
    path::Path,
    process::Command,
};

use clap::Parser;
use serde_json::{Value, json};
use support::bench::{
    review,
    run::{Run, median, run},
};

#[derive(Debug, Parser)]
struct Flags {
    /// Said by `cargo bench`; without it all is tried with short logs, and nothing measured
    #[arg(long)]
    bench: bool,

    /// The size of each log, in MB
    #[arg(long, default_value_t = 1000)]
    megabytes: u32,

    /// How often each program reads each log
    #[arg(long, default_value_t = 5)]
    rounds: usize,
}

fn main() -> io::Result<()> {
    let flags = Flags::parse();
    let (megabytes, rounds) = if flags.bench { (flags.megabytes, flags.rounds) } else { (1, 1) };
    let folder = tempfile::tempdir()?;
    let mut out = stdout().lock();
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or_default();
    writeln!(out, "logs of {megabytes} MB, {rounds} rounds in turns; load at the start: {load}\n")?;
    writeln!(
        out,
        "| log | median, s | CPU, s | MB per second of CPU | CPU over `wc -l` | peak, MiB |"
    )?;
    writeln!(out, "| --- | ---: | ---: | ---: | ---: | ---: |")?;
    for (name, pods) in [("no pods", 0), ("one pod in 20 entries", 1)] {
        let log = folder.path().join("audit.log");
        write_log(&log, megabytes as usize * 1_000_000, pods)?;
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            let mut replay = Command::new(env!("CARGO_BIN_EXE_callgate"));
            ours.push(measured(replay.args(["replay", "--fail-on", "never"]).arg(&log))?);
            theirs.push(measured(Command::new("wc").arg("-l").arg(&log))?);
        }
        let cpu = |it: &Run| it.cpu.as_secs_f64();
        let ratios = ours.iter().zip(&theirs).map(|(a, b)| cpu(a) / cpu(b).max(0.01)).collect();
        let time = median(ours.iter().map(|it| it.time.as_secs_f64()).collect());
        let cpu = median(ours.iter().map(cpu).collect());
        let peak = ours.iter().map(|it| it.peak).max().unwrap_or_default() / 1024;
        let rate = f64::from(megabytes) / cpu.max(0.01);
        let ratio = median(ratios);
        writeln!(out, "| {name} | {time:.2} | {cpu:.2} | {rate:.0} | {ratio:.1} | {peak} |")?;
    }
    Ok(())
}

fn measured(command: &mut Command) -> io::Result<Run> {
    let (status, run) = run(command)?;
    status
        .success()
        .then_some(run)
        .ok_or_else(|| io::Error::other(format!("{command:?}: {status}")))
}

/// Writes a log of about that size. Of 20 entries, so many are creations of pods.
fn write_log(path: &Path, size: usize, pods: usize) -> io::Result<()> {
    let mut file = BufWriter::with_capacity(1 << 20, File::create(path)?);
    let skipped =
        [read("list", "configmaps"), lease(), read("get", "pods"), read("watch", "nodes")];
    let entries: Vec<_> = [created()].iter().cycle().take(pods).cloned().collect();
    let others = skipped.iter().cycle().take(20 - pods).cloned();
    let entries: Vec<String> = entries.into_iter().chain(others).collect();
    let mut written = 0;
    for entry in entries.iter().cycle() {
        if written >= size {
            break;
        }
        writeln!(file, "{entry}")?;
        written += entry.len() + 1;
    }
    file.flush()
}

/// An entry in the order in which the API server writes it.
fn entry(level: &str, verb: &str, [group, resource, name]: [&str; 3], rest: &Value) -> String {
    let place = format!("/namespaces/shop/{resource}/{name}");
    let head = format!(
        r#"{{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"{level}","auditID":"8a6f8f5c-40ea-4a5e-9b7b-6d2d2a3d3a10","stage":"ResponseComplete","requestURI":"/apis{place}","verb":"{verb}","#
    );
    let user = json!({
        "username": "system:serviceaccount:kube-system:replicaset-controller",
        "uid": "c12e01f2-a13f-f558-7e1e-9e4aedb8242d",
        "groups": ["system:serviceaccounts", "system:serviceaccounts:kube-system", "system:authenticated"],
    });
    let reference = json!({
        "resource": resource, "namespace": "shop", "name": name, "apiGroup": group, "apiVersion": "v1",
    });
    let mut tail = json!({
        "user": user, "sourceIPs": ["10.0.0.7"],
        "userAgent": "kube-controller-manager/v1.37.2 (linux/amd64) kubernetes/c2b3af8",
        "objectRef": reference,
    });
    if let (Some(tail), Some(rest)) = (tail.as_object_mut(), rest.as_object()) {
        tail.extend(rest.clone());
    }
    format!("{head}{}", &tail.to_string()[1..])
}

/// What follows the request in every entry.
fn ended(code: u16) -> Value {
    json!({
        "responseStatus": { "metadata": {}, "code": code },
        "requestReceivedTimestamp": "2026-11-24T10:00:00.123456Z",
        "stageTimestamp": "2026-11-24T10:00:00.234567Z",
        "annotations": {
            "authorization.k8s.io/decision": "allow",
            "authorization.k8s.io/reason": "RBAC: allowed by ClusterRoleBinding \"controllers\" of ClusterRole \"controllers\"",
        },
    })
}

fn read(verb: &str, resource: &str) -> String {
    entry("Metadata", verb, ["", resource, "web"], &ended(200))
}

/// A renewal, as every node and every leader makes it every few seconds.
fn lease() -> String {
    let object = json!({
        "kind": "Lease", "apiVersion": "coordination.k8s.io/v1",
        "metadata": { "name": "web", "namespace": "shop", "resourceVersion": "123456",
            "uid": "3a2d7564-baee-7918-2ebc-7b65084aabd1" },
        "spec": { "holderIdentity": "node-a", "leaseDurationSeconds": 40,
            "renewTime": "2026-11-24T10:00:00.123456Z" },
    });
    let mut rest = ended(200);
    rest["requestObject"] = object.clone();
    rest["responseObject"] = object;
    entry("RequestResponse", "update", ["coordination.k8s.io", "leases", "web"], &rest)
}

/// A pod of 8 KB.
fn created() -> String {
    let review = review::all().into_iter().next().expect("there are reviews");
    let mut review: Value = serde_json::from_str(&review.body).expect("a review is JSON");
    let pod = review["request"]["object"].take();
    let mut rest = ended(201);
    rest["requestObject"] = pod.clone();
    rest["responseObject"] = pod;
    entry("RequestResponse", "create", ["", "pods", "web"], &rest)
}
