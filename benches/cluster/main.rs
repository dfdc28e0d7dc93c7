//! What callgate costs a real API server, and what it needs in a large cluster.
//!
//! `cargo bench --bench cluster`; docs/performance.md explains the figures. It
//! starts a control plane of its own (`e2e/cluster`) and runs itself inside.

mod burst;
mod creates;
mod fill;
mod governors;
mod memory;
mod nodes;
mod picture;
mod policies;
mod scan;
mod turns;

use std::{
    fs,
    io::{self, Write, stderr, stdout},
    path::PathBuf,
    process::ExitCode,
};

use clap::{Parser, ValueEnum};
use serde_json::Value;
use support::{
    bench::review::Review,
    e2e::{
        api::Api,
        cluster::{self, Failure, Needs, Place, Site},
        instance::{Instance, Setup},
        manifests::define,
    },
};
use tokio::runtime;

use crate::fill::Size;

#[derive(Debug, Parser)]
struct Flags {
    /// Said by `cargo bench`; without it nothing is measured
    #[arg(long)]
    bench: bool,

    /// Measure only this
    #[arg(long)]
    only: Option<Part>,

    /// How many pods of a kind are created in each namespace
    #[arg(long, default_value_t = 3000)]
    creates: usize,

    /// Compare what `callgate compile` prints instead of the component in-process
    #[arg(long)]
    compiled: bool,

    /// How many bursts of each kind there are
    #[arg(long, default_value_t = 5)]
    bursts: usize,

    /// Write the curve over the number of policies into this file, as SVG
    #[arg(long, value_name = "FILE")]
    picture: Option<PathBuf>,

    /// How many pods the cluster has that is scanned
    #[arg(long, default_value_t = 20_000)]
    scanned: usize,

    /// How often it is scanned
    #[arg(long, default_value_t = 5)]
    scans: usize,

    /// How many reviews are sent before memory is measured again
    #[arg(long, default_value_t = 5000)]
    reviews: usize,

    /// How many nodes the large cluster has
    #[arg(long, default_value_t = 0)]
    nodes: usize,

    /// Another callgate than this build's
    #[arg(long, value_name = "FILE")]
    callgate: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    /// What a create costs
    Creates,
    /// What it costs with many policies
    Policies,
    /// What a burst of creates by many writers takes
    Burst,
    /// What a replica of a large cluster holds in memory
    Memory,
    /// What a scan of a large cluster takes
    Scan,
}

fn main() -> ExitCode {
    let flags = Flags::parse();
    if !flags.bench {
        return ExitCode::SUCCESS;
    }
    let outcome = match cluster::place(env!("CARGO_BIN_EXE_callgate")) {
        Place::Inside(site) => Ok(measure(&flags, &site)),
        Place::Outside => cluster::run_inside(&Needs { quiet: true, ..Needs::default() }).map(Ok),
    };
    let words = match outcome {
        Ok(Ok(code)) => return code,
        Ok(Err(error)) => error.to_string(),
        Err(Failure::Impossible(why) | Failure::Broken(why)) => format!("no cluster: {why}"),
    };
    let _ = writeln!(stderr(), "{words}");
    ExitCode::FAILURE
}

/// One client, on one thread: its cost is the same for all.
fn measure(flags: &Flags, site: &Site) -> io::Result<ExitCode> {
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let api = Api::connect(&site.kubeconfig).await;
        define(&api).await;
        let wants = |it| flags.only.is_none_or(|only| only == it);
        let out = &mut stdout();
        if [Part::Creates, Part::Policies, Part::Burst].into_iter().any(wants) {
            let (binding, more): (String, &[&str]) = if flags.compiled {
                (governors::install_compiled(&api).await, &[])
            } else {
                (governors::install_component(&api).await, &["--in-process"])
            };
            let webhook = start(flags, &api, site, more).await;
            governors::set_up(&api, &webhook).await;
            if wants(Part::Creates) {
                creates::measure(&api, &webhook, flags.creates, out).await?;
            }
            if wants(Part::Burst) {
                burst::measure(&api, flags.bursts, out).await?;
            }
            if wants(Part::Policies) && !flags.compiled {
                let points = policies::measure(&api, &webhook, flags.creates, out).await?;
                if let Some(file) = &flags.picture {
                    fs::write(file, picture::svg(&points))?;
                }
            }
            drop(webhook);
            uninstall(&api, &binding).await;
        }
        if wants(Part::Memory) {
            let filled = fill::fill(&api, Size::of_the_target(flags.nodes)).await;
            let webhook = start(flags, &api, site, &[]).await;
            memory::measure(&api, &webhook, &filled, flags.reviews, out).await?;
            if filled.has_nodes() {
                nodes::measure(&api, &webhook, &filled, out).await?;
            }
        }
        if wants(Part::Scan) {
            scan::measure(&api, site, (flags.scanned, flags.scans), out).await?;
        }
        Ok(ExitCode::SUCCESS)
    })
}

/// callgate as in production: with its manifests, and its default log level.
async fn start(flags: &Flags, api: &Api, site: &Site, more: &[&str]) -> Instance {
    let setup = Setup {
        log_level: "info".to_owned(),
        program: flags.callgate.clone(),
        flags: more.iter().map(|it| (*it).to_owned()).collect(),
        ..Setup::default()
    };
    Instance::start(api, site, "callgate", &setup, |_| ()).await
}

async fn uninstall(api: &Api, binding: &str) {
    let root = "/apis/admissionregistration.k8s.io/v1";
    for kind in ["mutating", "validating"] {
        let path = format!("{root}/{kind}webhookconfigurations/callgate");
        api.delete(&path).await.expect_ok("the webhook configuration goes");
    }
    // Without its binding a policy does nothing.
    api.delete(binding).await.expect_ok("the binding goes");
}

/// The pod of a review as a client sends it to the API server, which adds the rest.
fn pod_of(review: &Review) -> Value {
    let mut review: Value = serde_json::from_str(&review.body).expect("a review is JSON");
    let mut pod = review["request"]["object"].take();
    if let Some(pod) = pod.as_object_mut() {
        pod.remove("status");
    }
    if let Some(metadata) = pod["metadata"].as_object_mut() {
        for added in ["creationTimestamp", "managedFields", "namespace", "uid"] {
            metadata.remove(added);
        }
    }
    pod
}

/// Makes a namespace in which the pods of reviews can be created.
async fn namespace(api: &Api, name: &str, labels: &Value) {
    let object = serde_json::json!({
        "apiVersion": "v1", "kind": "Namespace",
        "metadata": { "name": name, "labels": labels },
    });
    api.post("/api/v1/namespaces", &object).await.expect_ok("the namespace");
    account(api, name).await;
}

/// Without its service account a pod is rejected.
async fn account(api: &Api, namespace: &str) {
    let account = serde_json::json!({
        "apiVersion": "v1", "kind": "ServiceAccount", "metadata": { "name": "checkout" },
    });
    let path = format!("/api/v1/namespaces/{namespace}/serviceaccounts");
    api.post(&path, &account).await.expect_ok("the service account");
}
