//! Turns what the watches report into snapshots, metrics, readiness and log lines.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use kube::Client;
use tokio::{
    sync::watch,
    time::{Instant, interval},
};

use super::{Defaults, Published};
use crate::{
    admission::Snapshot,
    call::within,
    cluster::{self, Changes, Clients, Facts, Freshness, InProcess, ObjectType, Watched},
    in_process::{self, Notice, Outcome, State, Wanted},
    log_once::LogOnce,
    placement::MOST_NAMED,
    policy::{Governed, Mode, PolicyIndex},
    profile::{Catalog, ProfilePath},
    server::Condition,
    telemetry::Metrics,
};

/// How often the API server is polled, and how long an answer may take.
const HEARTBEAT: Duration = Duration::from_secs(5);
const PATIENCE: Duration = Duration::from_secs(3);

/// How often readiness is updated from the freshness of the watches.
const READINESS_INTERVAL: Duration = Duration::from_secs(1);

/// Handles what the watches report.
struct Follower {
    published: Published,
    defaults: Defaults,
    /// The profiles that are given as files.
    profiles: Catalog,
    freshness: Arc<Mutex<Freshness>>,
    logged: Mutex<Logged>,
    /// What the API server is to set itself, if it is to.
    in_process: Option<watch::Sender<Option<Wanted>>>,
}

/// What has been logged already.
#[derive(Default)]
struct Logged {
    failures: LogOnce<ObjectType>,
    unreadable: LogOnce<(ObjectType, String)>,
    unknown: LogOnce<String, Vec<String>>,
    missing: LogOnce<(String, ProfilePath), ()>,
    nameless: LogOnce<(ObjectType, String), ()>,
    silent: LogOnce<String, ()>,
}

/// Watches the facts in the background, for ever.
pub(super) fn follow(
    clients: Clients,
    defaults: Defaults,
    profiles: Catalog,
    published: Published,
) {
    let freshness = Arc::<Mutex<Freshness>>::default();
    let (metrics, up_to_date) = (Arc::clone(&published.metrics), published.up_to_date.clone());
    up_to_date.met();
    tokio::spawn(poll_api_server(clients.client.clone(), metrics, Arc::clone(&freshness)));
    tokio::spawn(watch_freshness(up_to_date, Arc::clone(&freshness)));
    let silent_after = defaults.agent_timeout;
    let (state, has) = watch::channel(InProcess::default());
    let in_process =
        defaults.in_process.then(|| keep_in_process(&clients, &published.metrics, state));
    let logged = Mutex::default();
    let follower = Follower { published, defaults, profiles, freshness, logged, in_process };
    tokio::spawn(async move {
        let Clients { client, watches } = clients;
        cluster::watch(client, watches, silent_after, has, |it| follower.handle(it)).await;
    });
}

/// Keeps the object of the component `in-process` equal to what is sent, in the background, and
/// reports what is stored to `state`.
fn keep_in_process(
    clients: &Clients,
    metrics: &Arc<Metrics>,
    state: watch::Sender<InProcess>,
) -> watch::Sender<Option<Wanted>> {
    state.send_replace(InProcess::Unknown);
    let (sender, wanted) = watch::channel(None);
    let (Clients { client, watches }, metrics) = (clients.clone(), Arc::clone(metrics));
    tokio::spawn(in_process::run(client, watches, wanted, move |notice| match notice {
        Notice::State(State::Unavailable(why)) => {
            state.send_replace(InProcess::Unavailable(why));
        }
        Notice::State(State::Holds(spec)) => {
            state.send_replace(InProcess::Holds(spec));
        }
        Notice::Outcome(Outcome::Written) => metrics.reported("in-process", "written"),
        Notice::Outcome(Outcome::Failed) => metrics.reported("in-process", "failed"),
    }));
    sender
}

impl Follower {
    fn handle(&self, it: Watched<'_>) {
        let metrics = &self.published.metrics;
        match it {
            Watched::Changed { facts, news, namespaces } => {
                for it in &namespaces {
                    self.published.recent.note(it);
                }
                self.publish(facts, news);
            }
            Watched::Confirmed { kind, at } => {
                lock(&self.freshness).confirmed(kind, at);
                metrics.watches().confirmed(kind.as_str(), SystemTime::now() - at.elapsed());
                lock(&self.logged).failures.is_over(&kind);
            }
            Watched::Failed { kind, why, is_answer } => {
                lock(&self.freshness).failed(kind, is_answer);
                metrics.watches().failed();
                // A failed watch is retried every few seconds: each failure is logged once.
                if lock(&self.logged).failures.is_new(kind, why.clone()) {
                    tracing::warn!(object = kind.as_str(), error = why, "a watch failed, retrying");
                }
            }
            Watched::Nameless { kind, why } => {
                if lock(&self.logged).nameless.is_new((kind, why.clone()), ()) {
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
    fn publish(&self, facts: &Facts, news: Changes) {
        let Published { current, synced, .. } = &self.published;
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
            self.log_unreadable(facts);
        }
        if news.policies {
            if let Some(it) = &self.published.evidence {
                it.wants(before_enforce(facts, &snapshot.policies));
            }
            self.log_unknown(facts);
            if let Some(it) = &self.in_process {
                let default = default_policy.as_deref();
                let wanted = in_process::wanted(facts.policies(), default, *default_mode);
                it.send_replace(Some(wanted));
            }
        }
        if news.nodes {
            self.log_silent(facts);
        }
        if news.policies || news.catalog {
            self.log_missing(&snapshot);
        }
    }

    /// Logs fields of a newer version once, and again when they change.
    fn log_unknown(&self, facts: &Facts) {
        let all = facts.unknown();
        self.published.metrics.watches().policies_of_newer_versions(all.len());
        let mut logged = lock(&self.logged);
        for (policy, fields) in logged.unknown.replace(all) {
            let fields = fields.join("; ");
            tracing::warn!(policy, fields, "policy has fields that this version does not know");
        }
    }

    fn log_unreadable(&self, facts: &Facts) {
        let all =
            facts.unreadable().map(|(kind, name, why)| ((kind, name.to_owned()), why.to_owned()));
        let all: BTreeMap<_, _> = all.collect();
        let count = |kind| all.keys().filter(|it| it.0 == kind).count();
        self.published.metrics.watches().policies_unreadable(count(ObjectType::Policy));
        for kind in ObjectType::ALL.into_iter().filter(|it| *it != ObjectType::Policy) {
            self.published.metrics.watches().unreadable(kind.as_str(), count(kind));
        }
        for ((kind, name), why) in lock(&self.logged).unreadable.replace(all) {
            if *kind == ObjectType::Policy {
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

    /// Logs agents that fall silent once, with the names of the first: a cluster may lose thousands
    /// at once.
    fn log_silent(&self, facts: &Facts) {
        let all: Vec<_> = facts.silent_agents().map(|it| (it.to_owned(), ())).collect();
        self.published.metrics.watches().agents_silent(all.len());
        let mut logged = lock(&self.logged);
        let new: Vec<_> = logged.silent.replace(all).map(|(node, ())| node.as_str()).collect();
        if !new.is_empty() {
            let nodes = new[..new.len().min(MOST_NAMED)].join(",");
            tracing::warn!(count = new.len(), nodes, "agents are silent");
        }
    }

    /// Pods that get such a profile are denied: warn before the first one is.
    fn log_missing(&self, Snapshot { policies, catalog, .. }: &Snapshot) {
        let all = policies.iter().flat_map(|policy| {
            let missing = policy.injected_paths().filter(|it| catalog.get(it) != Some(None));
            missing.map(|it| ((policy.name().to_owned(), it.clone()), ()))
        });
        for ((policy, path), ()) in lock(&self.logged).missing.replace(all) {
            super::warn_of(policy, path);
        }
    }
}

/// The namespaces that name a policy and do not enforce it yet.
fn before_enforce(facts: &Facts, policies: &PolicyIndex) -> BTreeSet<String> {
    let labelled = facts.namespaces().iter().filter(|(_, it)| it.policy.is_some());
    let is_before =
        |name: &str| matches!(policies.governing(name), Governed::By(_, Mode::Warn | Mode::Audit));
    labelled.map(|(name, _)| name.clone()).filter(|it| is_before(it)).collect()
}

/// Records when the API server last answered. While it does not answer, the last snapshot decides.
async fn poll_api_server(client: Client, metrics: Arc<Metrics>, freshness: Arc<Mutex<Freshness>>) {
    let mut ticks = interval(HEARTBEAT);
    loop {
        ticks.tick().await;
        if within(PATIENCE, client.apiserver_version()).await.is_ok() {
            metrics.watches().answered(SystemTime::now());
            lock(&freshness).answered(Instant::now());
        }
    }
}

/// Makes a replica unready while others are more up to date, so that the API server calls those.
async fn watch_freshness(up_to_date: Condition, freshness: Arc<Mutex<Freshness>>) {
    let mut ticks = interval(READINESS_INTERVAL);
    let mut was_behind = false;
    loop {
        ticks.tick().await;
        let is_behind = lock(&freshness).is_behind(Instant::now());
        if is_behind == was_behind {
            continue;
        }
        was_behind = is_behind;
        if is_behind {
            up_to_date.unmet();
            tracing::error!("a watch stays silent while the API server answers: not ready");
        } else {
            up_to_date.met();
            tracing::info!("all watches are up to date again");
        }
    }
}

fn lock<T>(it: &Mutex<T>) -> MutexGuard<'_, T> {
    it.lock().unwrap_or_else(PoisonError::into_inner)
}
