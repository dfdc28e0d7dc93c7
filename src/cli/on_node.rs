//! What the programs on a node share, `callgate agent` and `callgate denials`: how they run, and what they log of calls
//! of the API server that fail.

use std::{io, net::SocketAddr, sync::Arc};

use anyhow::{Context, anyhow};
use tokio::{net::TcpListener, runtime};

use crate::{
    agent::ReportError,
    causes::chain,
    cli::Outcome,
    cluster::{self, Clients},
    log_once::LogOnce,
    profile::is_subdomain,
    server::{self, Admin, Limits, Readiness},
    tls,
};

/// Runs a program until it ends.
pub(super) fn run<F: Future<Output = anyhow::Result<()>>>(
    admin_listen: SocketAddr,
    program: impl FnOnce(Clients, TcpListener) -> F,
) -> anyhow::Result<Outcome> {
    tls::install();
    // One thread is enough and takes the least memory.
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        // One for what looks at files or processes, and one to resolve addresses.
        .max_blocking_threads(2)
        .build()
        .context("cannot start the runtime")?;
    runtime.block_on(async {
        let clients =
            cluster::clients().await.map_err(|it| anyhow!("cannot find a cluster: {it}"))?;
        let admin = server::listen(admin_listen);
        let admin = admin.with_context(|| format!("cannot listen on {admin_listen}"))?;
        Box::pin(program(clients, admin)).await
    })?;
    Ok(Outcome::Success)
}

/// Serves the admin listener from now on; returns its address.
pub(super) fn serve_admin(
    listener: TcpListener,
    readiness: Readiness,
    metrics: impl Fn() -> String + Send + Sync + 'static,
) -> io::Result<SocketAddr> {
    let address = listener.local_addr()?;
    let admin =
        Admin { listener, limits: Limits::default(), readiness, metrics: Arc::new(metrics) };
    tokio::spawn(admin.run());
    Ok(address)
}

/// The name becomes a part of paths of the API server.
pub(super) fn node_name(text: &str) -> Result<String, &'static str> {
    let expected = "expected the name of a Node: lower case letters, digits, hyphens and dots, \
        between letters and digits";
    if is_subdomain(text) { Ok(text.to_owned()) } else { Err(expected) }
}

/// Logs the calls that fail, each once.
#[derive(Default)]
pub(super) struct FailedCalls(LogOnce<&'static str>);

impl FailedCalls {
    pub(super) fn report_failed(&mut self, error: &ReportError) {
        let error = chain(error);
        if self.0.is_new("report", error.clone()) {
            tracing::warn!(error, "cannot report, retrying");
        }
    }

    pub(super) fn watch_failed(&mut self, object: &'static str, why: &str) {
        if self.0.is_new(object, why.to_owned()) {
            tracing::warn!(object, error = why, "a watch failed, retrying");
        }
    }

    pub(super) fn unreadable(&mut self, object: &'static str, why: &str) {
        if self.0.is_new(object, why.to_owned()) {
            tracing::error!(object, error = why, "an object cannot be read");
        }
    }

    /// A report was written: what fails from now on is new.
    pub(super) fn are_over(&mut self) {
        self.0 = LogOnce::default();
    }
}
