//! Where judgements come from: files, or the objects of a cluster.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use anyhow::anyhow;
use arc_swap::ArcSwap;
use clap::Args;
use kube::Client;
use tokio::time::interval;

use crate::{
    admission::{FindNamespace, Snapshot},
    cli::observe::Tell,
    cluster::{self, Watched},
    policy::{Book, Mode, Policy},
    profile::Catalog,
    server::Condition,
    standalone::{self, Facts, Sources},
    telemetry::Metrics,
};

/// How often the API server is asked for a sign of life.
const HEARTBEAT: Duration = Duration::from_secs(10);

pub(super) enum Source {
    Files { sources: Sources, facts: Facts },
    Cluster { client: Client, defaults: Defaults, profiles: Catalog },
}

/// What holds for namespaces of a cluster whose labels do not say otherwise.
#[derive(Args, Clone, Debug)]
pub(super) struct Defaults {
    /// What namespaces without a label obey; without it they are left alone
    #[arg(
        long,
        value_name = "NAME",
        conflicts_with = "standalone",
        env = "CALLGATE_DEFAULT_POLICY"
    )]
    default_policy: Option<String>,

    /// How seriously namespaces take their policy whose labels name no mode
    #[arg(
        long,
        value_name = "MODE",
        default_value = "enforce",
        conflicts_with = "standalone",
        value_parser = Mode::of_flag,
        env = "CALLGATE_DEFAULT_MODE"
    )]
    default_mode: Mode,
}

/// What is told to whom, when the facts change.
pub(super) struct Told {
    pub(super) current: Arc<ArcSwap<Snapshot>>,
    /// Met once everything is known.
    pub(super) synced: Condition,
    pub(super) metrics: Arc<Metrics>,
}

impl Source {
    pub(super) fn of_files(sources: Sources) -> anyhow::Result<Self> {
        let facts = sources.read()?;
        warn_of_missing([&facts.policy], &facts.catalog);
        Ok(Self::Files { sources, facts })
    }

    /// Needs the runtime that the client is to live in.
    pub(super) async fn of_cluster(sources: &Sources, defaults: Defaults) -> anyhow::Result<Self> {
        let client =
            cluster::connect().await.map_err(|it| anyhow!("cannot find a cluster: {it}"))?;
        Ok(Self::Cluster { client, defaults, profiles: sources.catalog()? })
    }

    /// What is known before anything is told: in a cluster, nothing, so that
    /// every pod is refused that comes too early.
    pub(super) fn first(&self) -> Snapshot {
        match self {
            Self::Files { sources, facts } => snapshot(facts.clone(), sources.mode),
            Self::Cluster {
                defaults: Defaults { default_policy, default_mode }, profiles, ..
            } => {
                let book = Book::of_cluster([], BTreeMap::new(), default_policy.clone());
                Snapshot::without_nodes(book.with_default_mode(*default_mode), profiles.clone())
            }
        }
    }

    pub(super) fn client(&self) -> Option<Client> {
        match self {
            Self::Files { .. } => None,
            Self::Cluster { client, .. } => Some(client.clone()),
        }
    }

    pub(super) fn find_namespace(&self) -> Option<FindNamespace> {
        match self {
            Self::Files { .. } => None,
            Self::Cluster { client, .. } => {
                Some(cluster::find_namespace(cluster::Live::new(client.clone())))
            }
        }
    }

    /// Where the owners of refused pods are told, for as long as the runtime runs.
    pub(super) fn events(&self, metrics: &Arc<Metrics>) -> Option<Tell> {
        let metrics = Arc::clone(metrics);
        let told = move |it: cluster::Report| metrics.reported("event", it.as_str());
        // A pod's name, where there is one.
        let instance = std::env::var("HOSTNAME").unwrap_or_else(|_| "callgate".to_owned());
        let (tell, write) = cluster::events::reporter(self.client()?, instance, told);
        tokio::spawn(write);
        Some(Box::new(tell))
    }

    /// Follows the facts in the background, for ever.
    pub(super) fn follow(self, told: Told) {
        let Told { current, synced, metrics } = told;
        match self {
            Self::Files { sources, facts } => {
                synced.met();
                let mode = sources.mode;
                let changed = move |facts: Facts| {
                    warn_of_missing([&facts.policy], &facts.catalog);
                    current.store(Arc::new(snapshot(facts, mode)));
                };
                tokio::spawn(standalone::follow(sources, facts, changed));
            }
            Self::Cluster { client, defaults, profiles } => {
                let Defaults { default_policy, default_mode } = defaults;
                tokio::spawn(stay_in_touch(client.clone(), Arc::clone(&metrics)));
                let told = Mutex::new(String::new());
                tokio::spawn(cluster::watch(client, move |it| match it {
                    Watched::Changed(facts) => {
                        let book = facts.book(default_policy.as_deref());
                        let book = book.with_default_mode(default_mode);
                        let catalog = facts.catalog(&profiles);
                        warn_of_missing(book.policies(), &catalog);
                        for cluster::Unreadable { name, why } in facts.unreadable() {
                            tracing::error!(policy = name, error = why, "policy cannot be read");
                        }
                        metrics.policies_unreadable(facts.unreadable().len());
                        let (book, catalog, nodes) =
                            (book.into(), catalog.into(), facts.nodes().clone());
                        current.store(Arc::new(Snapshot { book, catalog, nodes }));
                        synced.met();
                        told.lock().unwrap_or_else(PoisonError::into_inner).clear();
                    }
                    Watched::Moved { facts, paths } => {
                        let before = current.load_full();
                        let catalog = if paths {
                            facts.catalog(&profiles).into()
                        } else {
                            Arc::clone(&before.catalog)
                        };
                        let (book, nodes) = (Arc::clone(&before.book), facts.nodes().clone());
                        current.store(Arc::new(Snapshot { book, catalog, nodes }));
                        told.lock().unwrap_or_else(PoisonError::into_inner).clear();
                    }
                    Watched::Reported(it) => metrics.reported("condition", it.as_str()),
                    Watched::Failed(why) => {
                        metrics.watch_failed();
                        say_once(&told, why);
                    }
                }));
            }
        }
    }
}

/// A watch is tried again every few seconds: the log is told of each failure once.
fn say_once(told: &Mutex<String>, why: String) {
    let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
    if *told != why {
        tracing::warn!(error = why, "a watch failed, trying on");
        *told = why;
    }
}

/// While nobody answers, what was known last goes on deciding; a metric says
/// since when.
async fn stay_in_touch(client: Client, metrics: Arc<Metrics>) {
    let mut ticks = interval(HEARTBEAT);
    loop {
        ticks.tick().await;
        let asked = tokio::time::timeout(HEARTBEAT, client.apiserver_version()).await;
        if matches!(asked, Ok(Ok(_))) {
            metrics.cluster_answered(SystemTime::now());
        }
    }
}

fn snapshot(Facts { policy, catalog }: Facts, mode: Mode) -> Snapshot {
    Snapshot::without_nodes(Book::of_one(policy, mode), catalog)
}

/// Pods that get such a profile are refused: better to say so before the first.
fn warn_of_missing<'a>(policies: impl IntoIterator<Item = &'a Policy>, catalog: &Catalog) {
    for policy in policies {
        for path in policy.injected_paths().filter(|it| catalog.get(it) != Some(None)) {
            tracing::warn!(
                policy = policy.name(),
                profile = path.as_str(),
                "the policy injects a profile that is missing or of no use"
            );
        }
    }
}
