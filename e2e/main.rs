//! The suite on a real API server.
//!
//! Without arguments it starts a cluster of its own (`e2e/cluster`) and
//! runs itself inside. With `CALLGATE_E2E_KUBECONFIG` and
//! `CALLGATE_E2E_ADDRESS` (this machine as that cluster reaches it) it uses
//! an existing one.

mod audit;
mod callers;
mod front;
mod pair;
mod replica;
mod tests;
mod trial;
mod world;

use std::{io, path::Path, process::ExitCode};

use libtest_mimic::{Arguments, Conclusion};
use support::{e2e::cluster, report::report};

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    if arguments.list {
        return conclude(&libtest_mimic::run(&arguments, trial::without_a_cluster()));
    }
    let needs = cluster::Needs { told: Some(told), ..cluster::Needs::default() };
    match cluster::place(env!("CARGO_BIN_EXE_callgate")) {
        cluster::Place::Inside(site) => {
            let conclusion =
                trial::with_a_cluster(site, |trials| libtest_mimic::run(&arguments, trials));
            conclude(&conclusion)
        }
        cluster::Place::Outside => match cluster::run_inside(&needs) {
            Ok(code) => code,
            Err(cluster::Failure::Impossible(reason)) => {
                report(&format!("skipped: {reason}"));
                conclude(&libtest_mimic::run(&arguments, trial::without_a_cluster()))
            }
            Err(cluster::Failure::Broken(reason)) => {
                report(&format!("no cluster: {reason}"));
                ExitCode::FAILURE
            }
        },
    }
}

fn conclude(conclusion: &Conclusion) -> ExitCode {
    conclusion.exit_code()
}

/// The flags of the API server of our own cluster.
fn told(directory: &Path) -> io::Result<String> {
    Ok(format!("{} {}", callers::write(directory)?, audit::write(directory)?))
}
