//! `callgate denials`: reports what seccomp filters denied in the containers of a node.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use anyhow::{Context, bail};
use clap::Args;
use tokio::net::TcpListener;

use super::on_node::{self, FailedCalls, node_name, serve_admin};
use crate::{
    agent::{
        AgentEvent, EventHandler, Listener, ListenerEvent, ListenerEvents, Silence, not_logged,
    },
    causes::chain,
    cli::Outcome,
    cluster::{
        self, Clients,
        events::{self, Denial, What},
    },
    denials::{Denied, DeniedCall},
    log_once::LogOnce,
    pod::Owner,
    server::{self, Order, Readiness, signals},
    telemetry::{DenialMetrics, Log, Logging},
    witness::Place,
};

/// Report what seccomp filters denied in the containers of one node, by the kernel's audit records
#[derive(Args, Debug)]
pub(super) struct Denials {
    /// Name of the Node object
    #[arg(long, value_name = "NAME", value_parser = node_name, env = "CALLGATE_NODE_NAME")]
    node_name: String,

    /// Address of the plain HTTP listener, which serves /livez, /readyz and /metrics; it is an address
    /// of the node, since audit records reach only the node's network
    #[arg(
        long,
        value_name = "ADDRESS",
        default_value = "0.0.0.0:9467",
        env = "CALLGATE_ADMIN_LISTEN"
    )]
    admin_listen: SocketAddr,

    #[command(flatten)]
    logging: Logging,
}

impl Denials {
    pub(super) fn run(self, log: &Log) -> anyhow::Result<Outcome> {
        let Self { node_name: node, admin_listen, logging } = self;
        logging.init(log)?;
        on_node::run(admin_listen, |Clients { client, watches }, admin| {
            serve(Listener { client, watches, node }, admin)
        })
    }
}

async fn serve(audit: Listener, listener: TcpListener) -> anyhow::Result<()> {
    let mut orders = signals().context("cannot listen for signals")?;
    let metrics = Arc::new(DenialMetrics::new(env!("CARGO_PKG_VERSION")));
    let readiness = Readiness::new();
    let conditions = [
        readiness.condition("a record of a call of its own"),
        readiness.condition("a report of what was denied"),
    ];
    let page = Arc::clone(&metrics);
    let address = serve_admin(listener, readiness, move || page.render())?;
    tracing::info!(node = audit.node, admin_address = %address, "listening for denials");
    let missing = not_logged();
    if !missing.is_empty() {
        let actions = missing.join(" ");
        tracing::warn!(
            actions,
            "the kernel does not record these actions, as kernel.seccomp.actions_logged lacks them"
        );
    }
    let failures = Failures::default();
    // No pod has a name of its own in the network of its node.
    let (client, instance) = (audit.client.clone(), audit.node.clone());
    let on_report = {
        let metrics = Arc::clone(&metrics);
        move |it: cluster::Report| metrics.event(it.as_str())
    };
    let (send, write) = events::reporter(client, instance, What::CALL, on_report);
    tokio::spawn(write);
    let watching = watching(&metrics, &failures);
    let handler = handler(metrics, conditions, failures, send);
    tokio::select! {
        ended = audit.run(handler, watching) => {
            ended.context("cannot read audit records, which takes CAP_AUDIT_READ")?;
            bail!("it has to start anew")
        }
        _ = orders.wait_for(|it| *it >= Order::Drain) => tracing::info!("stopped"),
    }
    Ok(())
}

type Failures = Arc<Mutex<FailedCalls>>;

fn lock(failures: &Failures) -> MutexGuard<'_, FailedCalls> {
    failures.lock().unwrap_or_else(PoisonError::into_inner)
}

fn watching(metrics: &Arc<DenialMetrics>, failures: &Failures) -> EventHandler {
    let (metrics, failures) = (Arc::clone(metrics), Arc::clone(failures));
    Arc::new(move |news| match news {
        AgentEvent::WatchFailed { object, why } => {
            metrics.failed("watch");
            lock(&failures).watch_failed(object, why);
        }
        AgentEvent::Unreadable { object, why } => {
            metrics.failed("unreadable");
            lock(&failures).unreadable(object, why);
        }
        // Only pods are watched.
        _ => {}
    })
}

fn handler(
    metrics: Arc<DenialMetrics>,
    [listens, reported]: [server::Condition; 2],
    failures: Failures,
    send: impl Fn(Denial) + Send + Sync + 'static,
) -> ListenerEvents {
    let silent = Mutex::new(LogOnce::default());
    Arc::new(move |news| match news {
        ListenerEvent::Listens => {
            listens.met();
            tracing::info!("audit records arrive");
        }
        ListenerEvent::Silent(why) => {
            metrics.failed("silent");
            let error = explain(&why);
            if silent.lock().unwrap_or_else(PoisonError::into_inner).is_new((), error.clone()) {
                tracing::error!(error, "no denial can be seen, trying again");
            }
        }
        ListenerEvent::Settled { denied, totals } => {
            metrics.set(totals);
            denied.iter().filter(|it| it.call.was_stopped()).map(event).for_each(&send);
        }
        ListenerEvent::Reported => {
            reported.met();
            lock(&failures).are_over();
        }
        ListenerEvent::ReportFailed(error) => {
            metrics.failed("report");
            lock(&failures).report_failed(error);
        }
    })
}

/// An Event about the controller of the pod, or the pod itself if it has none. How often is its
/// count.
fn event(denied: &Denied) -> Denial {
    let Denied { call, controller } = denied;
    let DeniedCall { place, syscall, .. } = call;
    let Place { namespace, pod, uid, container, declared: _ } = place;
    let filter = call.filter();
    let itself = || Owner {
        api_version: "v1".to_owned(),
        kind: "Pod".to_owned(),
        name: pod.clone(),
        uid: uid.clone(),
    };
    Denial {
        namespace: namespace.clone(),
        owner: controller.clone().unwrap_or_else(itself),
        why: format!("container {container:?} was denied {syscall} by {filter}"),
        times: u32::try_from(call.count).unwrap_or(u32::MAX),
    }
}

/// What is wrong, and what to do.
fn explain(silence: &Silence) -> String {
    match silence {
        Silence::NoRecord if not_logged().contains(&"log") => {
            "the kernel does not record logged calls: add log to kernel.seccomp.actions_logged".to_owned()
        }
        Silence::NoRecord => {
            "no record of a call of its own arrived: the pod needs hostNetwork, the node must not be a \
             container itself, as those of kind are, and auditing must not be switched off (audit=0)"
                .to_owned()
        }
        Silence::OtherProcesses => {
            "the record of a call of its own names another process: the pod needs hostPID".to_owned()
        }
        Silence::NoCall(error) => format!("cannot make a call of its own: {}", chain(error)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_event_names_the_container_the_call_and_the_profile() {
        let denied = |declared: &str, path: Option<&str>| {
            let call = json!({
                "namespace": "shop", "pod": "web-0", "uid": "u", "container": "app",
                "declared": declared, "localhostProfile": path, "syscall": "io_uring_setup",
                "architecture": "SCMP_ARCH_X86_64", "action": "SCMP_ACT_ERRNO", "count": 37,
                "last": "2026-11-28T09:14:02Z",
            });
            Denied { call: serde_json::from_value(call).expect("a call"), controller: None }
        };
        let call = |declared, path| event(&denied(declared, path));
        let denial = call("Localhost", Some("callgate/web.json"));
        assert_eq!(
            denial.why,
            "container \"app\" was denied io_uring_setup by \"callgate/web.json\""
        );
        assert_eq!((denial.times, &*denial.namespace), (37, "shop"));
        let owner = |kind: &str, name: &str| {
            let [api_version, kind, name, uid] = ["v1", kind, name, "u"].map(str::to_owned);
            Owner { api_version, kind, name, uid }
        };
        assert_eq!(denial.owner, owner("Pod", "web-0"));
        let controller = owner("ReplicationController", "web");
        let of_many = Denied { controller: Some(controller.clone()), ..denied("Unset", None) };
        assert_eq!(event(&of_many).owner, controller);
        assert!(call("RuntimeDefault", None).why.ends_with(" by RuntimeDefault"));
        let unset = call("Unset", None).why;
        assert!(unset.ends_with(" by a filter that its pod does not declare"), "{unset}");
    }
}
