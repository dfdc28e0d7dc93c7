//! The suite on real nodes: callgate as it is deployed in production, by `kubectl apply -k`.
//!
//! It needs root, as nodes do; other users skip it. Its cluster has two nodes
//! (`e2e/cluster`), and the image is this tree, linked statically. With
//! `CALLGATE_E2E_KUBECONFIG` it uses a cluster that is there and has the image.

mod agent;
mod ca;
mod deployment;
mod helm;
mod image;
mod linter;
mod outage;
mod programs;
mod runbook;
mod tests;
mod tutorial;
mod unknown;

use std::{
    cell::RefCell,
    fs,
    os::unix::fs::MetadataExt,
    panic::{self, AssertUnwindSafe},
    process::ExitCode,
    sync::Arc,
};

use futures_util::FutureExt;
use libtest_mimic::{Arguments, Failed, Trial};
use support::{
    e2e::cluster::{self, Failure, Place},
    report::report,
};
use tokio::runtime::Runtime;

use crate::deployment::Deployment;

thread_local! {
    static PANIC: RefCell<String> = const { RefCell::new(String::new()) };
}

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // Tests disturb the Deployment that others observe.
    arguments.test_threads = Some(1);
    if arguments.list {
        return libtest_mimic::run(&arguments, without_a_cluster()).exit_code();
    }
    if let Place::Inside(site) = cluster::place(env!("CARGO_BIN_EXE_callgate")) {
        let runtime = Arc::new(Runtime::new().expect("a runtime can be had"));
        let deployment = Arc::new(runtime.block_on(Deployment::apply(site)));
        // The default prints at once, before the name of the test has its verdict.
        panic::set_hook(Box::new(|it| PANIC.set(it.to_string())));
        let trial = |test: tests::Entry| {
            let (deployment, runtime) = (Arc::clone(&deployment), Arc::clone(&runtime));
            Trial::test(test.name, move || runtime.block_on(attempt(test, deployment)))
                .with_ignored_flag(cluster::leaves_out(test.name))
        };
        let trials = all().map(trial).collect();
        return libtest_mimic::run(&arguments, trials).exit_code();
    }
    match run_inside() {
        Ok(code) => code,
        Err(Failure::Impossible(reason)) => {
            report(&format!("skipped: {reason}"));
            libtest_mimic::run(&arguments, without_a_cluster()).exit_code()
        }
        Err(Failure::Broken(reason)) => {
            report(&format!("no cluster: {reason}"));
            ExitCode::FAILURE
        }
    }
}

fn run_inside() -> Result<ExitCode, Failure> {
    if fs::metadata("/proc/self").is_ok_and(|it| it.uid() != 0) {
        return Err(Failure::Impossible("nodes need root".to_owned()));
    }
    let images = tempfile::tempdir().map_err(|it| Failure::Broken(it.to_string()))?;
    let image = image::build(images.path()).map_err(Failure::Broken)?;
    cluster::run_inside(&cluster::Needs {
        nodes: 2,
        images: vec![image],
        quiet: false,
        ..cluster::Needs::default()
    })
}

async fn attempt(test: tests::Entry, deployment: Arc<Deployment>) -> Result<(), Failed> {
    let run = AssertUnwindSafe((test.run)(Arc::clone(&deployment)));
    if run.catch_unwind().await.is_ok() {
        return Ok(());
    }
    Err(format!("{}\n--- replicas:\n{}", PANIC.take(), deployment.logs().await).into())
}

/// Every test, as one that could not be run.
fn without_a_cluster() -> Vec<Trial> {
    let skipped = |it: tests::Entry| Trial::test(it.name, || Ok(())).with_ignored_flag(true);
    all().map(skipped).collect()
}

/// Those that look at the Deployment as it was applied come first, those that
/// change a node last. Those of `agent` and `linter` need the files of the nodes, and `unknown` needs etcd.
fn all() -> impl Iterator<Item = tests::Entry> {
    let in_our_own =
        if cluster::is_ours() { [unknown::ALL, agent::ALL, linter::ALL] } else { [&[][..]; 3] };
    [tests::ALL, helm::ALL, ca::ALL, outage::ALL].into_iter().chain(in_our_own).flatten().copied()
}
