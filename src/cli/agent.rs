//! `callgate agent`: installs profiles on one node, and reports its inventory.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context, bail};
use clap::Args;
use tokio::net::TcpListener;

use super::on_node::{self, FailedCalls, node_name, serve_admin};
use crate::{
    agent::{self, AgentEvent, EventHandler, Failure, Lookout, PassResult, Source, host},
    cli::Outcome,
    clock::{SkewLog, warn_of_skew},
    cluster::Clients,
    duration,
    log_once::LogOnce,
    server::{Condition, Order, Readiness, signals},
    telemetry::{AgentMetrics, Log, Logging, Profiles},
    witness::{Containers, Declared, Place},
};

/// Where Linux shows the processes.
const PROC: &str = "/proc";

/// Install the profiles of the cluster on one node, and report the profiles found there
#[derive(Args, Debug)]
pub(super) struct Agent {
    /// Name of the Node object
    #[arg(
        long,
        value_name = "NAME",
        required_unless_present = "prepare",
        value_parser = node_name,
        env = "CALLGATE_NODE_NAME"
    )]
    node_name: Option<String>,

    /// Seccomp directory of the kubelet, which is seccomp in the kubelet's --root-dir; the mounts of
    /// the `DaemonSet` must name the same directory
    #[arg(
        long,
        value_name = "DIR",
        default_value = "/var/lib/kubelet/seccomp",
        env = "CALLGATE_SECCOMP_ROOT"
    )]
    seccomp_root: PathBuf,

    /// Name of the agent's own pod: the agent deletes it when the seccomp directory was replaced,
    /// since only a new pod mounts the new directory
    #[arg(long, value_name = "NAME", requires = "pod_namespace", env = "CALLGATE_POD_NAME")]
    pod_name: Option<String>,

    /// Namespace of that pod
    #[arg(long, value_name = "NAMESPACE", env = "CALLGATE_POD_NAMESPACE")]
    pod_namespace: Option<String>,

    /// Time for which the file of a deleted `SeccompProfile` stays on the node; only time in which an
    /// agent runs counts
    // A container that restarts reads the file again (AG1).
    #[arg(
        long,
        value_name = "DURATION",
        default_value = "24h",
        value_parser = duration::parse,
        env = "CALLGATE_KEEP_DELETED_FOR"
    )]
    keep_deleted_for: Duration,

    /// Look at the processes of the containers on the node, and report those that run without a
    /// filter; needs the node's process namespace (hostPID) and the right to list and watch pods
    #[arg(long, env = "CALLGATE_WITNESS")]
    witness: bool,

    /// Address of the plain HTTP listener, which serves /livez, /readyz and /metrics
    #[arg(
        long,
        value_name = "ADDRESS",
        default_value = "0.0.0.0:8080",
        env = "CALLGATE_ADMIN_LISTEN"
    )]
    admin_listen: SocketAddr,

    /// Only create the agent's directory and make the agent's user its owner; needs root
    #[arg(long, hide = true, env = "CALLGATE_PREPARE")]
    prepare: bool,

    #[command(flatten)]
    logging: Logging,
}

impl Agent {
    pub(super) fn run(self, log: &Log) -> anyhow::Result<Outcome> {
        let Self {
            node_name,
            seccomp_root,
            pod_name,
            pod_namespace,
            keep_deleted_for,
            witness,
            admin_listen,
            prepare,
            logging,
        } = self;
        logging.init(log)?;
        if prepare {
            host::prepare(&seccomp_root)?;
            return Ok(Outcome::Success);
        }
        let node = node_name.context("--node-name is missing")?;
        on_node::run(admin_listen, |Clients { client, watches }, admin| {
            let (root, pod) = (seccomp_root, pod_namespace.zip(pod_name));
            let lookout = witness.then(|| Lookout::new(PROC.into()));
            serve(
                agent::Agent { client, watches, node, root, keep_deleted_for, pod, lookout },
                admin,
            )
        })
    }
}

async fn serve(agent: agent::Agent, listener: TcpListener) -> anyhow::Result<()> {
    let mut orders = signals().context("cannot listen for signals")?;
    let metrics = Arc::new(AgentMetrics::new(env!("CARGO_PKG_VERSION")));
    let readiness = Readiness::new();
    let reported = readiness.condition("a report of what is on the node");
    let page = Arc::clone(&metrics);
    let address = serve_admin(listener, readiness, move || page.render())?;
    tracing::info!(node = agent.node, root = ?agent.root, admin_address = %address, "agent started");
    tokio::select! {
        // It may stop at any point: a file always has either the old or the new content.
        () = agent.run(event_handler(metrics, reported)) => bail!("the agent has to start anew"),
        _ = orders.wait_for(|it| *it >= Order::Drain) => tracing::info!("stopped"),
    }
    Ok(())
}

/// Counts the events of the agent, and logs those that are new.
fn event_handler(metrics: Arc<AgentMetrics>, reported: Condition) -> EventHandler {
    let logged = Mutex::new(Logged::default());
    Arc::new(move |news| {
        let mut logged = logged.lock().unwrap_or_else(PoisonError::into_inner);
        match news {
            AgentEvent::Passed(found) => {
                count(&metrics, found);
                logged.passed(found);
            }
            AgentEvent::PassHangs => {
                tracing::warn!("a pass over the files does not end, the condition is not renewed");
            }
            AgentEvent::Reported { found, calls, at, skew } => {
                logged.calls.are_over();
                metrics.report_calls(calls);
                if let Some(skew) = skew {
                    metrics.clock_is_ahead(skew.ahead);
                    logged.skew.log(skew, warn_of_skew);
                }
                if found.is_decided {
                    metrics.reported(at);
                    reported.met();
                }
            }
            AgentEvent::ReportFailed(error) => {
                metrics.failed("report");
                logged.calls.report_failed(error);
            }
            AgentEvent::WatchFailed { object, why } => {
                metrics.failed("watch");
                logged.calls.watch_failed(object, why);
            }
            AgentEvent::Unreadable { object, why } => {
                metrics.failed("unreadable");
                logged.calls.unreadable(object, why);
            }
        }
    })
}

fn count(metrics: &AgentMetrics, found: &PassResult) {
    let released = found.entries.iter().filter(|it| it.source == Source::Released);
    metrics.profiles(Profiles {
        wanted: found.wanted,
        installed: found.wanted.saturating_sub(found.lacking()),
        released: released.count(),
    });
    metrics.files(found.entries.len(), found.unlisted);
    metrics.changed(found.written.len(), found.removed.len());
    if let Some(it) = &found.containers {
        let Containers { filter, none, strict, unknown, .. } = *it;
        let modes = [("filter", filter), ("none", none), ("strict", strict), ("unknown", unknown)];
        metrics.containers(&modes, it.contradictions().count());
    }
    for failure in found.failures.iter().chain(&found.troubles) {
        metrics.failed(failure.kind);
    }
}

/// What was logged last. A pass is made every few seconds, and each failure is logged once.
#[derive(Default)]
struct Logged {
    /// By cause.
    failures: LogOnce<String, &'static str>,
    unlisted: bool,
    /// Containers without the filter that their pod declares, by namespace, pod and name.
    unfiltered: LogOnce<[String; 3], Declared>,
    calls: FailedCalls,
    skew: SkewLog,
}

impl Logged {
    fn passed(&mut self, found: &PassResult) {
        let PassResult { written, removed, failures, troubles, unlisted, containers, .. } = found;
        for name in written {
            tracing::info!(profile = name.as_str(), "profile installed");
        }
        for name in removed {
            tracing::info!(
                profile = name.as_str(),
                "profile removed, no SeccompProfile asks for it any more"
            );
        }
        let all = failures.iter().chain(troubles);
        let now: BTreeMap<_, _> =
            all.map(|Failure { kind, why, .. }| (why.clone(), *kind)).collect();
        if now.is_empty() && !self.failures.is_empty() {
            tracing::info!("all profiles match the desired state again");
        }
        for (why, kind) in self.failures.replace(now) {
            tracing::error!(kind, error = why, "a profile does not match the desired state");
        }
        if *unlisted > 0 && !self.unlisted {
            tracing::warn!(unlisted, "there are more files than can be reported");
        }
        self.unlisted = *unlisted > 0;
        let unfiltered = containers.iter().flat_map(Containers::contradictions);
        let unfiltered = unfiltered.map(|it| {
            let Place { namespace, pod, container, declared, .. } = it.place.clone();
            ([namespace, pod, container], declared)
        });
        for ([namespace, pod, container], declared) in self.unfiltered.replace(unfiltered) {
            let declared = declared.to_string();
            tracing::warn!(
                namespace,
                pod,
                container,
                declared,
                "a container runs without the filter that its pod declares"
            );
        }
    }
}
