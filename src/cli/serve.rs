//! `callgate serve`: the webhook.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Instant, SystemTime},
};

use anyhow::{Context, bail};
use arc_swap::ArcSwap;
use clap::Args;
use jiff::{Timestamp, civil::Date, tz::TimeZone};
use tokio::{net::TcpListener, runtime};

use crate::{
    admission::{self, App, Snapshot},
    cli::{Found, observe},
    policy::{Book, Mode},
    server::{Admin, Limits, Readiness, Server, signals},
    standalone::{self, Facts, Sources},
    telemetry::{Logging, Metrics},
    tls::{Opened, Reload, Tls},
};

/// Serve the admission webhook
#[derive(Args, Debug)]
pub(super) struct Serve {
    /// Where to serve /mutate and /validate over HTTPS
    #[arg(long, value_name = "ADDRESS", default_value = "0.0.0.0:8443", env = "CALLGATE_LISTEN")]
    listen: SocketAddr,

    /// Where to serve /livez, /readyz and /metrics over plain HTTP
    #[arg(
        long,
        value_name = "ADDRESS",
        default_value = "0.0.0.0:8080",
        env = "CALLGATE_ADMIN_LISTEN"
    )]
    admin_listen: SocketAddr,

    /// Judge by files instead of by the objects of a cluster
    #[arg(long, env = "CALLGATE_STANDALONE")]
    standalone: bool,

    #[command(flatten)]
    sources: Sources,

    #[command(flatten)]
    tls: Tls,

    #[command(flatten)]
    limits: Limits,

    #[command(flatten)]
    logging: Logging,
}

impl Serve {
    pub(super) fn run(self) -> anyhow::Result<Found> {
        let started = Instant::now();
        let Self { listen, admin_listen, standalone, sources, tls, limits, logging } = self;
        if !standalone {
            bail!("policies from a cluster are not there yet: use --standalone");
        }
        logging.init()?;
        let facts = sources.read()?;
        warn_of_missing(&facts);
        let opened = tls.open(SystemTime::now())?;
        let runtime = runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .context("cannot start the runtime")?;
        runtime.block_on(async {
            let listener = bind(listen).await?;
            let admin = bind(admin_listen).await?;
            let ready = Ready { listener, admin, started };
            ready.serve(sources, facts, opened, limits).await
        })?;
        Ok(Found::Nothing)
    }
}

/// What is left to do when everything that can go wrong has gone well.
struct Ready {
    listener: TcpListener,
    admin: TcpListener,
    started: Instant,
}

impl Ready {
    async fn serve(
        self,
        sources: Sources,
        facts: Facts,
        opened: Opened,
        limits: Limits,
    ) -> anyhow::Result<()> {
        let Self { listener, admin, started } = self;
        let Opened { config: tls, not_after, follow } = opened;
        let orders = signals().context("cannot listen for signals")?;
        let metrics = Arc::new(Metrics::new(env!("CARGO_PKG_VERSION")));
        metrics.certificate_expires(not_after);
        let readiness = Readiness::new();

        let mode = sources.mode;
        let current = Arc::new(ArcSwap::from_pointee(snapshot(facts.clone(), mode)));
        let app = App {
            snapshot: Arc::clone(&current),
            today,
            find_namespace: None,
            observe: observe::reviews(Arc::clone(&metrics)),
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
        let server = Server {
            listener,
            tls,
            router: admission::router(app),
            limits,
            readiness,
            observer: observe::events(Arc::clone(&metrics)),
        };

        tokio::spawn(admin.run());
        if let Some(follow) = follow {
            tokio::spawn(follow.run(move |it| match it {
                Reload::Renewed { not_after } => metrics.certificate_expires(not_after),
                Reload::Failed => metrics.certificate_reload_failed(),
            }));
        }
        let changed = move |facts| {
            warn_of_missing(&facts);
            current.store(Arc::new(snapshot(facts, mode)));
        };
        tokio::spawn(standalone::follow(sources, facts, changed));
        let startup_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        tracing::info!(%address, %admin_address, startup_ms, "serving");
        server.run(orders).await;
        Ok(())
    }
}

async fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))
}

fn snapshot(Facts { policy, catalog }: Facts, mode: Mode) -> Snapshot {
    Snapshot { book: Book::of_one(policy, mode), catalog }
}

/// Pods that get such a profile are refused: better to say so before the first.
fn warn_of_missing(Facts { policy, catalog }: &Facts) {
    for path in policy.injected_paths().filter(|it| catalog.get(it) != Some(None)) {
        tracing::warn!(
            policy = policy.name(),
            profile = path.as_str(),
            "the policy injects a profile that is missing or of no use"
        );
    }
}

fn today() -> Date {
    Timestamp::now().to_zoned(TimeZone::UTC).date()
}
