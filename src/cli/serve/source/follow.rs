//! What follows from what the watches of a cluster tell.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use kube::Client;
use tokio::time::{Instant, interval};

use super::{Defaults, Told};
use crate::{
    admission::Snapshot,
    call::within,
    cluster::{self, Clients, Facts, Freshness, Kind, News, Watched},
    log_once::LogOnce,
    placement::MOST_NAMED,
    policy::PolicyIndex,
    profile::{Catalog, ProfilePath},
    server::Condition,
    telemetry::Metrics,
};

/// How often the API server is asked for a sign of life, and how long one may take.
const HEARTBEAT: Duration = Duration::from_secs(5);
const PATIENCE: Duration = Duration::from_secs(3);

/// How often readiness is compared with how old our knowledge is.
const GLANCE: Duration = Duration::from_secs(1);

/// What is made of what the watches tell.
struct Follower {
    told: Told,
    defaults: Defaults,
    /// The profiles that are known from elsewhere.
    profiles: Catalog,
    freshness: Arc<Mutex<Freshness>>,
    said: Mutex<Said>,
}

/// What the log has been told already.
#[derive(Default)]
struct Said {
    failures: LogOnce<Kind>,
    unreadable: LogOnce<(Kind, String)>,
    unknown: LogOnce<String, Vec<String>>,
    missing: LogOnce<(String, ProfilePath), ()>,
    nameless: LogOnce<(Kind, String), ()>,
    silent: LogOnce<String, ()>,
}

/// Follows the facts in the background, for ever.
pub(super) fn follow(clients: Clients, defaults: Defaults, profiles: Catalog, told: Told) {
    let freshness = Arc::<Mutex<Freshness>>::default();
    let (metrics, abreast) = (Arc::clone(&told.metrics), told.abreast.clone());
    abreast.met();
    tokio::spawn(stay_in_touch(clients.client.clone(), metrics, Arc::clone(&freshness)));
    tokio::spawn(stay_abreast(abreast, Arc::clone(&freshness)));
    let silent_after = defaults.agent_timeout;
    let follower = Follower { told, defaults, profiles, freshness, said: Mutex::default() };
    tokio::spawn(async move {
        cluster::watch(clients.client, clients.watches, silent_after, |it| follower.hear(it)).await;
    });
}

impl Follower {
    fn hear(&self, it: Watched<'_>) {
        let metrics = &self.told.metrics;
        match it {
            Watched::Changed { facts, news, namespaces } => {
                for it in &namespaces {
                    self.told.recent.note(it);
                }
                self.publish(facts, news);
            }
            Watched::Confirmed { kind, at } => {
                lock(&self.freshness).confirmed(kind, at);
                metrics.watches().confirmed(kind.as_str(), SystemTime::now() - at.elapsed());
                lock(&self.said).failures.is_over(&kind);
            }
            Watched::Failed { kind, why, is_answer } => {
                lock(&self.freshness).failed(kind, is_answer);
                metrics.watches().failed();
                // It is tried again every few seconds: the log is told of each failure once.
                if lock(&self.said).failures.is_new(kind, why.clone()) {
                    tracing::warn!(object = kind.as_str(), error = why, "a watch failed, retrying");
                }
            }
            Watched::Nameless { kind, why } => {
                if lock(&self.said).nameless.is_new((kind, why.clone()), ()) {
                    tracing::error!(
                        object = kind.as_str(),
                        error = why,
                        "an object cannot be read"
                    );
                }
            }
            Watched::Reported(it) => metrics.reported("condition", it.as_str()),
        }
    }

    /// Replaces the parts of the snapshot that are new, and shares the others.
    fn publish(&self, facts: &Facts, news: News) {
        let Told { current, synced, .. } = &self.told;
        let Defaults { default_policy, default_mode, .. } = &self.defaults;
        let before = current.load_full();
        let policies = if news.policies {
            let policies: PolicyIndex = facts.policy_index(default_policy.as_deref());
            Arc::new(policies.with_default_mode(*default_mode))
        } else {
            Arc::clone(&before.policies)
        };
        let catalog = if news.catalog {
            Arc::new(facts.catalog(&self.profiles))
        } else {
            Arc::clone(&before.catalog)
        };
        let classes = if news.classes { facts.classes() } else { before.classes.clone() };
        let snapshot = Snapshot { policies, catalog, nodes: facts.nodes().clone(), classes };
        let snapshot = Arc::new(snapshot);
        current.store(Arc::clone(&snapshot));
        synced.met();
        if news.unreadable {
            self.say_unreadable(facts);
        }
        if news.policies {
            self.say_unknown(facts);
        }
        if news.nodes {
            self.say_silent(facts);
        }
        if news.policies || news.catalog {
            self.say_missing(&snapshot);
        }
    }

    /// Fields of a newer version are told once, and again when they change.
    fn say_unknown(&self, facts: &Facts) {
        let all = facts.unknown();
        self.told.metrics.watches().policies_of_newer_versions(all.len());
        let mut said = lock(&self.said);
        for (policy, fields) in said.unknown.replace(all) {
            let fields = fields.join("; ");
            tracing::warn!(policy, fields, "policy has fields that this version does not know");
        }
    }

    fn say_unreadable(&self, facts: &Facts) {
        let all =
            facts.unreadable().map(|(kind, name, why)| ((kind, name.to_owned()), why.to_owned()));
        let all: BTreeMap<_, _> = all.collect();
        let count = |kind| all.keys().filter(|it| it.0 == kind).count();
        self.told.metrics.watches().policies_unreadable(count(Kind::Policy));
        for kind in Kind::ALL.into_iter().filter(|it| *it != Kind::Policy) {
            self.told.metrics.watches().unreadable(kind.as_str(), count(kind));
        }
        for ((kind, name), why) in lock(&self.said).unreadable.replace(all) {
            if *kind == Kind::Policy {
                tracing::error!(policy = name, error = why, "policy cannot be read");
            } else {
                tracing::error!(
                    object = kind.as_str(),
                    name,
                    error = why,
                    "an object cannot be read"
                );
            }
        }
    }

    /// Agents that fall silent are logged once, with the names of the first: a
    /// cluster may lose thousands at once.
    fn say_silent(&self, facts: &Facts) {
        let all: Vec<_> = facts.silent_agents().map(|it| (it.to_owned(), ())).collect();
        self.told.metrics.watches().agents_silent(all.len());
        let mut said = lock(&self.said);
        let new: Vec<_> = said.silent.replace(all).map(|(node, ())| node.as_str()).collect();
        if !new.is_empty() {
            let nodes = new[..new.len().min(MOST_NAMED)].join(",");
            tracing::warn!(count = new.len(), nodes, "agents are silent");
        }
    }

    /// Pods that get such a profile are refused: better to say so before the first.
    fn say_missing(&self, Snapshot { policies, catalog, .. }: &Snapshot) {
        let all = policies.iter().flat_map(|policy| {
            let missing = policy.injected_paths().filter(|it| catalog.get(it) != Some(None));
            missing.map(|it| ((policy.name().to_owned(), it.clone()), ()))
        });
        for ((policy, path), ()) in lock(&self.said).missing.replace(all) {
            super::warn_of(policy, path);
        }
    }
}

/// While nobody answers, what was known last goes on deciding; a metric says
/// since when.
async fn stay_in_touch(client: Client, metrics: Arc<Metrics>, freshness: Arc<Mutex<Freshness>>) {
    let mut ticks = interval(HEARTBEAT);
    loop {
        ticks.tick().await;
        if within(PATIENCE, client.apiserver_version()).await.is_ok() {
            metrics.watches().answered(SystemTime::now());
            lock(&freshness).answered(Instant::now());
        }
    }
}

/// Whoever is behind is not to be asked while others know more.
async fn stay_abreast(abreast: Condition, freshness: Arc<Mutex<Freshness>>) {
    let mut ticks = interval(GLANCE);
    let mut was_behind = false;
    loop {
        ticks.tick().await;
        let is_behind = lock(&freshness).is_behind(Instant::now());
        if is_behind == was_behind {
            continue;
        }
        was_behind = is_behind;
        if is_behind {
            abreast.unmet();
            tracing::error!("a watch stays silent while the API server answers: not ready");
        } else {
            abreast.met();
            tracing::info!("all watches are up to date again");
        }
    }
}

fn lock<T>(it: &Mutex<T>) -> MutexGuard<'_, T> {
    it.lock().unwrap_or_else(PoisonError::into_inner)
}
