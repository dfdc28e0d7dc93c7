//! Pods that are created without a pause, while something happens.

use std::{
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tokio::time::MissedTickBehavior;

use super::api::{Api, Reply};
use crate::{report::report_details, wait::eventually};

/// The results of the pods.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    pub created: usize,
    pub refused: Vec<Denial>,
    /// Those that the API server did not answer.
    pub unanswered: Vec<Denial>,
    /// Those that were created without a filter.
    pub unprotected: usize,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Denial {
    /// When the pod was sent, counted from the beginning.
    pub at: Duration,
    pub why: String,
}

/// The load, as the code that causes the event sees it.
pub struct Load {
    start: Instant,
    over: AtomicBool,
    outcome: Mutex<Outcome>,
}

/// Parallel callers: each sends a pod at this interval, if the previous one has been answered. A
/// fast denial does not lead to more pods.
const CALLERS: usize = 4;
const BEAT: Duration = Duration::from_millis(20);

/// After this many more answers, pods have been sent after an event, even if some callers or connections are slow.
pub const MANY: usize = 200;

/// Creates pods in the namespace without a pause, until `happening` has ended.
///
/// It is a dry run: the API server does everything for a pod except storing it, so
/// that a thousand pods do not fill two nodes.
pub async fn during<T>(
    api: &Api,
    namespace: &str,
    happening: impl AsyncFnOnce(&Load) -> T,
) -> (T, Outcome) {
    let load = Arc::new(Load {
        start: Instant::now(),
        over: AtomicBool::new(false),
        outcome: Mutex::default(),
    });
    let end = End(Arc::clone(&load));
    let path = format!("/api/v1/namespaces/{namespace}/pods?dryRun=All");
    let callers: Vec<_> = (0..CALLERS)
        .map(|_| tokio::spawn(Arc::clone(&load).call(api.clone(), path.clone())))
        .collect();
    let result = happening(&load).await;
    drop(end);
    for caller in callers {
        caller.await.expect("it does not panic");
    }
    let mut outcome = load.outcome().clone();
    outcome.refused.sort();
    outcome.unanswered.sort();
    (result, outcome)
}

/// Ends the load together with the code that causes the event, also if that panics.
struct End(Arc<Load>);

impl Drop for End {
    fn drop(&mut self) {
        self.0.over.store(true, Ordering::Relaxed);
    }
}

impl Load {
    async fn call(self: Arc<Self>, api: Api, path: String) {
        let mut beats = tokio::time::interval(BEAT);
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !self.over.load(Ordering::Relaxed) {
            beats.tick().await;
            let at = self.now();
            let reply = api.try_post(&path, &pod()).await;
            self.outcome().take(at, reply);
        }
    }

    /// The time, counted as in a [`Denial`].
    pub fn now(&self) -> Duration {
        self.start.elapsed()
    }

    /// Waits until many more pods have been created.
    pub async fn goes_on(&self) {
        self.sees("many more pods are created", |it| it.created).await;
    }

    /// Waits until many more pods have been sent, created or not: for a second, on an
    /// idle machine.
    pub async fn is_sent(&self) {
        self.sees("many more pods are sent", |it| it.created + it.refused.len()).await;
    }

    /// Waits until many more pods have been denied.
    pub async fn is_refused(&self) {
        self.sees("many more pods are denied", |it| it.refused.len()).await;
    }

    /// Waits until pods are created again, and then for many more; returns since when
    /// none should be denied.
    pub async fn recovers(&self) -> Duration {
        self.goes_on().await;
        let since = self.now();
        self.goes_on().await;
        since
    }

    async fn sees(&self, what: &str, count: impl Fn(&Outcome) -> usize) {
        let before = count(&self.outcome());
        eventually(what, async || (count(&self.outcome()) >= before + MANY).then_some(())).await;
    }

    fn outcome(&self) -> MutexGuard<'_, Outcome> {
        self.outcome.lock().expect("no thread panics with it")
    }
}

/// A pod for both webhooks: there is something to set, and something to judge.
fn pod() -> Value {
    let own = json!({ "seccompProfile": { "type": "RuntimeDefault" } });
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": { "generateName": "load-" },
        "spec": { "containers": [
            { "name": "app", "image": "busybox:1" },
            { "name": "sidecar", "image": "busybox:1", "securityContext": own },
        ]},
    })
}

impl Outcome {
    fn take(&mut self, at: Duration, reply: Result<Reply, String>) {
        let reply = match reply {
            Ok(reply) if reply.is_ok() => reply,
            Ok(reply) => {
                let why = format!("{} {}", reply.status, reply.message());
                return self.refused.push(Denial { at, why });
            }
            Err(why) => return self.unanswered.push(Denial { at, why }),
        };
        self.created += 1;
        let profile = &reply.body["spec"]["securityContext"]["seccompProfile"]["type"];
        self.unprotected += usize::from(*profile != "RuntimeDefault");
    }

    /// Reports the number of failures, for measurements.
    pub fn report(&self, event: &str) {
        let Self { created, refused, unanswered, .. } = self;
        let failed = || refused.iter().chain(unanswered).map(|it| it.at.as_millis());
        let (first, last) = (failed().min().unwrap_or(0), failed().max().unwrap_or(0));
        report_details(&format!(
            "{event}: {} of {} pods denied, {} not answered, from {first} to {last} ms",
            refused.len(),
            created + refused.len() + unanswered.len(),
            unanswered.len(),
        ));
    }

    /// No pod failed.
    pub fn is_flawless(&self) {
        self.allows_no_bad_pod();
        self.has_no_failures_since(Duration::ZERO);
    }

    /// The share of pods that were created.
    pub fn share(&self) -> f64 {
        let count = |it: usize| f64::from(u32::try_from(it).expect("there are not so many"));
        let all = self.created + self.refused.len() + self.unanswered.len();
        count(self.created) / count(all)
    }

    /// How many of those that were sent from then on were not created.
    pub fn failed_since(&self, since: Duration) -> usize {
        self.refused.iter().chain(&self.unanswered).filter(|it| it.at >= since).count()
    }

    /// Every pod that was sent from then on was created.
    pub fn has_no_failures_since(&self, since: Duration) {
        let all = self.refused.iter().chain(&self.unanswered);
        let late: Vec<_> = all.filter(|it| it.at >= since).collect();
        assert!(late.is_empty(), "{} failed: {:#?}", late.len(), &late[..late.len().min(3)]);
    }

    /// Regardless of failures, no pod was created without a filter.
    pub fn allows_no_bad_pod(&self) {
        assert_eq!(self.unprotected, 0);
        assert!(self.created >= MANY, "only {} created", self.created);
    }

    /// Every pod that was denied was denied because callgate could not be called: the
    /// call failed for one of these reasons, or the pod had not been fixed.
    pub fn is_refused_only_for(&self, reasons: &[&str]) {
        for Denial { at, why } in &self.refused {
            let failed = why.contains("failed calling webhook \"validate.callgate.dev\"")
                && reasons.iter().any(|it| why.contains(it));
            assert!(failed || why.contains("[unset]"), "{at:?}: {why}");
        }
    }
}
