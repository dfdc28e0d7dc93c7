//! The suite on a real API server.
//!
//! Without further words it starts a cluster of its own (`e2e/cluster`) and
//! runs itself inside. With `CALLGATE_E2E_KUBECONFIG` and
//! `CALLGATE_E2E_ADDRESS` (this machine as that cluster reaches it) it uses
//! one that is there.

#[allow(dead_code, reason = "each suite uses its part")]
mod api;
mod callers;
#[allow(dead_code, reason = "each suite uses its part")]
mod cluster;
mod front;
#[path = "../tests/generated/mod.rs"]
#[allow(dead_code, reason = "each test target uses its part")]
mod generated;
#[path = "../tests/harness/mod.rs"]
#[allow(dead_code, reason = "each test target uses its part")]
mod harness;
#[allow(dead_code, reason = "each suite uses its part")]
mod instance;
#[path = "nodes/load.rs"]
#[allow(dead_code, reason = "each suite uses its part")]
mod load;
mod pair;
mod patience;
mod replica;
#[path = "../tests/table/mod.rs"]
#[allow(dead_code, reason = "each test target uses its part")]
mod table;
mod tests;
mod trial;
mod trust;
mod world;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Conclusion};

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    if arguments.list {
        return conclude(&libtest_mimic::run(&arguments, trial::without_a_cluster()));
    }
    let needs = cluster::Needs { told: Some(callers::write), ..cluster::Needs::default() };
    match cluster::place() {
        cluster::Place::Inside(site) => {
            let conclusion =
                trial::with_a_cluster(site, |trials| libtest_mimic::run(&arguments, trials));
            conclude(&conclusion)
        }
        cluster::Place::Outside => match cluster::run_inside(&needs) {
            Ok(code) => code,
            Err(cluster::Failure::Impossible(reason)) => {
                say(&format!("skipped: {reason}"));
                conclude(&libtest_mimic::run(&arguments, trial::without_a_cluster()))
            }
            Err(cluster::Failure::Broken(reason)) => {
                say(&format!("no cluster: {reason}"));
                ExitCode::FAILURE
            }
        },
    }
}

fn conclude(conclusion: &Conclusion) -> ExitCode {
    conclusion.exit_code()
}

/// What only `--nocapture` asks for.
fn tell(text: &str) {
    if std::env::args().any(|it| it == "--nocapture") {
        say(text);
    }
}

#[expect(clippy::print_stderr, reason = "a test reports")]
fn say(text: &str) {
    eprintln!("{text}");
}
