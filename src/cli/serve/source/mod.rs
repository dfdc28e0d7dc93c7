//! Where the facts for reviews come from: files, or the objects of a cluster.

mod defaults;
mod follow;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use anyhow::anyhow;
use arc_swap::ArcSwap;
use kube::Client;

pub(super) use self::defaults::Defaults;
use crate::{
    admission::{Ask, FindNamespace, RecentChanges, Snapshot},
    cli::observe::ReportDenial,
    cluster::{self, Clients, evidence::Evidence},
    policy::{Mode, Policy, PolicyIndex},
    profile::{Catalog, ProfilePath},
    server::Condition,
    standalone::{self, Facts, Sources},
    telemetry::Metrics,
};

pub(super) enum Source {
    Files { sources: Sources, facts: Facts },
    Cluster { clients: Clients, defaults: Defaults, profiles: Catalog },
}

/// What is updated when the facts change.
pub(super) struct Published {
    pub(super) current: Arc<ArcSwap<Snapshot>>,
    /// Met once everything has been listed.
    pub(super) synced: Condition,
    /// Met unless other replicas are more up to date.
    pub(super) up_to_date: Condition,
    pub(super) metrics: Arc<Metrics>,
    pub(super) recent: Arc<RecentChanges>,
    pub(super) evidence: Option<Evidence>,
}

impl Source {
    pub(super) fn of_files(sources: Sources) -> anyhow::Result<Self> {
        let facts = sources.read()?;
        warn_of_missing(&facts.policy, &facts.catalog);
        Ok(Self::Files { sources, facts })
    }

    /// Must run in the runtime that will run the client.
    pub(super) async fn of_cluster(sources: &Sources, defaults: Defaults) -> anyhow::Result<Self> {
        let clients =
            cluster::clients().await.map_err(|it| anyhow!("cannot find a cluster: {it}"))?;
        Ok(Self::Cluster { clients, defaults, profiles: sources.catalog()? })
    }

    /// The snapshot at the start. In a cluster it is empty, so that every pod that is reviewed too
    /// early is denied.
    pub(super) fn first(&self) -> Snapshot {
        match self {
            Self::Files { sources, facts } => snapshot(facts.clone(), sources.mode),
            Self::Cluster {
                defaults: Defaults { default_policy, default_mode, .. },
                profiles,
                ..
            } => {
                let policies = PolicyIndex::of_cluster([], BTreeMap::new(), default_policy.clone());
                Snapshot::without_nodes(policies.with_default_mode(*default_mode), profiles.clone())
            }
        }
    }

    pub(super) fn client(&self) -> Option<Client> {
        match self {
            Self::Files { .. } => None,
            Self::Cluster { clients, .. } => Some(clients.client.clone()),
        }
    }

    /// `places` is the number of concurrent reviews; only a few of them may wait for look-ups.
    pub(super) fn find_namespace(&self, places: usize) -> Option<FindNamespace> {
        match self {
            Self::Files { .. } => None,
            Self::Cluster { clients, .. } => {
                let waiting = (places / 8).max(1);
                let live = cluster::Live::new(clients.client.clone(), waiting);
                Some(cluster::find_namespace(live))
            }
        }
    }

    /// Live look-ups for reviews of callgate's own configuration. Some tools write many objects at
    /// once. If a policy cannot be looked up, the snapshot decides, which may be stale.
    ///
    /// Look-ups of namespaces whose labels have just changed have a limit and a short timeout of
    /// their own, after which the snapshot decides.
    pub(super) fn ask(&self, recent: Arc<RecentChanges>) -> Option<Ask> {
        const WAITING: usize = 64;
        const WAITING_FOR_LABELS: usize = 32;
        const SOON: Duration = Duration::from_millis(500);
        let client = self.client()?;
        let labels = cluster::Live::within(client.clone(), WAITING_FOR_LABELS, SOON);
        let live = cluster::Live::new(client, WAITING);
        Some(Ask {
            policy: cluster::find_policy(live.clone()),
            obeying: cluster::find_obeying(live),
            namespace: cluster::find_namespace(labels),
            recent,
        })
    }

    /// Starts to write Events for the owners of denied pods, as long as the runtime runs.
    pub(super) fn events(&self, metrics: &Arc<Metrics>) -> Option<ReportDenial> {
        let metrics = Arc::clone(metrics);
        let on_report = move |it: cluster::Report| metrics.reported("event", it.as_str());
        // The name of the pod, if there is one.
        let instance = std::env::var("HOSTNAME").unwrap_or_else(|_| "callgate".to_owned());
        let what = cluster::events::What::POD;
        let (report, write) = cluster::events::reporter(self.client()?, instance, what, on_report);
        tokio::spawn(write);
        Some(Box::new(report))
    }

    /// Starts to keep evidence, as long as the runtime runs; `None` unless it is to be kept.
    pub(super) fn evidence(&self, metrics: &Arc<Metrics>) -> Option<Evidence> {
        let Self::Cluster { clients, defaults, .. } = self else { return None };
        let Defaults { evidence: true, open_reports, .. } = defaults else { return None };
        let metrics = Arc::clone(metrics);
        let on_report = move |it: cluster::Report| metrics.reported("evidence", it.as_str());
        let (evidence, run) =
            cluster::evidence::keeper(clients.client.clone(), *open_reports, on_report);
        tokio::spawn(run);
        Some(evidence)
    }

    /// Watches the facts in the background, for ever.
    pub(super) fn follow(self, published: Published) {
        match self {
            Self::Files { sources, facts } => {
                let Published { current, synced, up_to_date, .. } = published;
                synced.met();
                up_to_date.met();
                let mode = sources.mode;
                let changed = move |facts: Facts| {
                    warn_of_missing(&facts.policy, &facts.catalog);
                    current.store(Arc::new(snapshot(facts, mode)));
                };
                tokio::spawn(standalone::follow(sources, facts, changed));
            }
            Self::Cluster { clients, defaults, profiles } => {
                follow::follow(clients, defaults, profiles, published);
            }
        }
    }
}

fn snapshot(Facts { policy, catalog }: Facts, mode: Mode) -> Snapshot {
    Snapshot::without_nodes(PolicyIndex::of_one(policy, mode), catalog)
}

/// Pods that get such a profile are denied: warn before the first one is.
fn warn_of_missing(policy: &Policy, catalog: &Catalog) {
    for path in missing(policy, catalog) {
        warn_of(policy.name(), path);
    }
}

fn missing<'a>(policy: &'a Policy, catalog: &Catalog) -> impl Iterator<Item = &'a ProfilePath> {
    policy.injected_paths().filter(|it| catalog.get(it) != Some(None))
}

fn warn_of(policy: &str, profile: &ProfilePath) {
    tracing::warn!(
        policy,
        profile = profile.as_str(),
        "the policy injects a profile that is missing or of no use"
    );
}
