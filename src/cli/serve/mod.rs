//! `callgate serve`: the webhook.

mod source;

use std::{
    net::SocketAddr,
    num::NonZero,
    sync::Arc,
    thread,
    time::{Instant, SystemTime},
};

use anyhow::Context;
use arc_swap::ArcSwap;
use clap::Args;
use tokio::{net::TcpListener, runtime};

use self::source::{Defaults, Published, Source};
use crate::{
    admission::{self, App, RecentChanges},
    ca::{self, CaFlags},
    cli::{Outcome, observe, today},
    server::{self, Admin, Limits, Order, Readiness, Server, signals},
    standalone::Sources,
    telemetry::{Log, Logging, Metrics},
    tls::{self, Identity, Opened, Tls},
};

/// More threads do not answer faster, and each has memory of its own.
const MOST_WORKERS: usize = 4;

/// For large reviews, of which there are few, and for resolving names.
const MOST_BLOCKING: usize = 4;

/// Serve the admission webhook
#[derive(Args, Debug)]
pub(super) struct Serve {
    /// Address of the HTTPS listener, which serves /mutate and /validate
    #[arg(long, value_name = "ADDRESS", default_value = "0.0.0.0:8443", env = "CALLGATE_LISTEN")]
    listen: SocketAddr,

    /// Address of the plain HTTP listener, which serves /livez, /readyz and /metrics
    #[arg(
        long,
        value_name = "ADDRESS",
        default_value = "0.0.0.0:8080",
        env = "CALLGATE_ADMIN_LISTEN"
    )]
    admin_listen: SocketAddr,

    /// Read the policy and the profiles from files instead of from an API server
    #[arg(long, env = "CALLGATE_STANDALONE")]
    standalone: bool,

    #[command(flatten)]
    defaults: Defaults,

    #[command(flatten)]
    sources: Sources,

    #[command(flatten)]
    tls: Tls,

    #[command(flatten, next_help_heading = "CA")]
    ca: CaFlags,

    #[command(flatten)]
    limits: Limits,

    #[command(flatten)]
    logging: Logging,
}

impl Serve {
    pub(super) fn run(self, log: &Log) -> anyhow::Result<Outcome> {
        let started = Instant::now();
        let Self {
            listen,
            admin_listen,
            standalone,
            defaults,
            sources,
            tls,
            ca: ca_flags,
            mut limits,
            logging,
        } = self;
        logging.init(log)?;
        tls::install();
        let room = server::room_for_clients();
        if room < limits.max_connections {
            tracing::warn!(
                room,
                "so few files may be open that there is room for fewer connections"
            );
            limits.max_connections = room;
        }
        let opened = if standalone || !tls.is_self_managed() {
            tls.open(SystemTime::now())?
        } else {
            tls.await_identity()?
        };
        let cores = thread::available_parallelism().map_or(1, NonZero::get);
        let runtime = runtime::Builder::new_multi_thread()
            .worker_threads(cores.min(MOST_WORKERS))
            .max_blocking_threads(MOST_BLOCKING)
            .enable_all()
            .build()
            .context("cannot start the runtime")?;
        runtime.block_on(async {
            let source = if standalone {
                Source::of_files(sources)?
            } else {
                Source::of_cluster(&sources, defaults).await?
            };
            let listener = bind(listen)?;
            let admin = bind(admin_listen)?;
            Ready { listener, admin, started }.serve(source, opened, ca_flags, limits).await
        })?;
        Ok(Outcome::Success)
    }
}

/// The parts of the server, after all steps that can fail.
struct Ready {
    listener: TcpListener,
    admin: TcpListener,
    started: Instant,
}

impl Ready {
    async fn serve(
        self,
        source: Source,
        opened: Opened,
        ca_flags: CaFlags,
        limits: Limits,
    ) -> anyhow::Result<()> {
        let Self { listener, admin, started } = self;
        let Opened { config: tls, identity, clients } = opened;
        let orders = signals().context("cannot listen for signals")?;
        let metrics = Arc::new(Metrics::new(env!("CARGO_PKG_VERSION")));
        let readiness = Readiness::new();

        let current = Arc::new(ArcSwap::from_pointee(source.first()));
        let recent = Arc::<RecentChanges>::default();
        let evidence = source.evidence(&metrics);
        let app = App {
            snapshot: Arc::clone(&current),
            today,
            find_namespace: source.find_namespace(limits.max_in_flight),
            ask: source.ask(Arc::clone(&recent)),
            observe: observe::reviews(
                Arc::clone(&metrics),
                source.events(&metrics),
                evidence.clone(),
            ),
            max_body: limits.max_body_bytes,
        };
        let page = Arc::clone(&metrics);
        let (address, admin_address) = (listener.local_addr()?, admin.local_addr()?);
        let admin = Admin {
            listener: admin,
            limits: limits.clone(),
            readiness: readiness.clone(),
            metrics: Arc::new(move || page.render()),
        };
        let synced = readiness.condition("policies and namespaces");
        let up_to_date = readiness.condition("watches that are up to date");
        let server = Server {
            listener,
            tls,
            router: admission::router(app),
            limits,
            readiness,
            observer: observe::events(Arc::clone(&metrics)),
        };

        let reloaded = observe::reloads(Arc::clone(&metrics));
        if let Some(clients) = clients {
            tokio::spawn(clients.run(reloaded.clone()));
        }
        match identity {
            Identity::Here { not_after, follow } => {
                metrics.certificate_expires(not_after);
                if let Some(follow) = follow {
                    tokio::spawn(follow.run(reloaded));
                }
            }
            Identity::ToCome { current, names } => {
                let client = source.client().context("a shared CA needs a cluster")?;
                let report = observe::ca(Arc::clone(&metrics), &server.readiness);
                let now = SystemTime::now;
                tokio::spawn(ca::run(client, ca_flags, names, current, now, report)?);
            }
        }
        let published = Published {
            current,
            synced,
            up_to_date,
            metrics: Arc::clone(&metrics),
            recent,
            evidence: evidence.clone(),
        };
        source.follow(published);
        tokio::spawn(admin.run());
        let startup_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        tracing::info!(%address, %admin_address, startup_ms, "serving");
        // No connection is accepted before there is a certificate and a snapshot: a client that is
        // too early waits instead of being denied.
        let mut stop = orders.clone();
        tokio::select! {
            // Once ready, the server handles an order to stop, so that no request is lost.
            biased;
            () = server.readiness.ready() => server.run(orders).await,
            _ = stop.wait_for(|it| *it >= Order::Drain) => {}
        }
        if let Some(it) = evidence {
            it.stop().await;
        }
        Ok(())
    }
}

fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    server::listen(address).with_context(|| format!("cannot listen on {address}"))
}
