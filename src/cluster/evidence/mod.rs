//! Keeps what was found in the pods of a namespace, in the object `SeccompEvidence` of that
//! namespace: it outlives the replicas, and `callgate ladder` decides by it.
//!
//! Every replica adds what it has counted to what is stored. `ledger.rs` decides when, `tally.rs`
//! counts, and both are pure; `put.rs` writes. Whatever is not written yet is lost if the replica is killed.

mod ledger;
mod put;
mod report;
mod tally;

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use kube::Client;
use tokio::{
    sync::Notify,
    time::{Instant, sleep_until, timeout},
};

use self::{
    ledger::Ledger,
    put::{Written, put, put_report},
};
use super::{Report, chain, clock_reading::ClockReading};
use crate::{
    group::EVIDENCE,
    log_once::LogOnce,
    watch::{Failure, Listing, Object, list},
};

pub(super) use put::path;
pub use {report::report, tally::Refused};

/// The name of the object in each namespace.
pub const NAME: &str = "callgate";

/// How often the objects are listed, so that one that was deleted is created again.
const LISTED_EVERY: Duration = Duration::from_mins(10);

/// The interval after a list that failed.
const RETRY: Duration = Duration::from_mins(1);

/// The number of objects in a page.
const PAGE: usize = 500;

/// How long a replica that stops waits for its last writes.
const LAST: Duration = Duration::from_secs(3);

/// Takes what is found, without waiting for the API server. Cheap to clone.
#[derive(Clone)]
pub struct Evidence(Arc<Shared>);

#[derive(Default)]
struct Shared {
    ledger: Mutex<Ledger>,
    /// The ledger has changed.
    changed: Notify,
    /// A write has ended.
    ended: Notify,
}

/// Returns what takes evidence, and the future that writes it and never ends. `on_report` receives
/// the outcome of each write, except where another replica wrote first.
///
/// With `open_reports`, each write is followed by that of a Report of openreports.io.
pub fn keeper(
    client: Client,
    open_reports: bool,
    on_report: impl Fn(Report) + Send + 'static,
) -> (Evidence, impl Future<Output = ()> + Send) {
    let shared = Arc::<Shared>::default();
    (Evidence(Arc::clone(&shared)), run(client, shared, open_reports, on_report))
}

impl Evidence {
    /// Counts a pod that was denied, or would have been in mode enforce.
    pub fn note(&self, pod: Refused) {
        self.0.ledger().note(pod.shortened(), ClockReading::now());
        self.0.changed.notify_one();
    }

    /// Sets the namespaces that are to have an object, even if nothing is found: it shows since when
    /// callgate has been watching.
    pub fn wants(&self, namespaces: BTreeSet<String>) {
        self.0.ledger().wants(namespaces, ClockReading::now().monotonic);
        self.0.changed.notify_one();
    }

    /// Writes what is not written yet, or gives up after a few seconds.
    pub async fn stop(&self) {
        self.0.ledger().stop(ClockReading::now().monotonic);
        self.0.changed.notify_one();
        let all = async {
            loop {
                let ended = self.0.ended.notified();
                if !self.0.ledger().has_unwritten() {
                    return;
                }
                ended.await;
            }
        };
        // What cannot be written in time is lost, as it would be if the replica was killed.
        let _ = timeout(LAST, all).await;
    }
}

impl Shared {
    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn run(client: Client, shared: Arc<Shared>, open_reports: bool, on_report: impl Fn(Report)) {
    let mut next_list = Instant::now();
    let mut logged = LogOnce::default();
    loop {
        let wake =
            shared.ledger().wake().map_or(next_list, |it| Instant::from_std(it).min(next_list));
        tokio::select! {
            () = shared.changed.notified() => continue,
            () = sleep_until(wake) => {}
        }
        if next_list <= Instant::now() {
            next_list = Instant::now() + list_all(&client, &shared, &mut logged).await;
        }
        let now = || ClockReading::now().monotonic;
        let Some(write) = shared.ledger().next(now()) else { continue };
        let written = put(&client, &write).await;
        if let Written::Done(Some(status)) = &written
            && open_reports
        {
            put_report(&client, &write.namespace, status, &mut logged).await;
        }
        let mut ledger = shared.ledger();
        match written {
            Written::Done(_) => {
                ledger.written(&write.namespace);
                on_report(Report::Written);
            }
            Written::Conflict => ledger.conflicted(write, now()),
            Written::Gone => ledger.gone(&write.namespace),
            Written::Failed(why) => {
                // Not louder: it is counted, and tried again.
                tracing::debug!(
                    namespace = write.namespace,
                    error = why,
                    "evidence is not written"
                );
                ledger.failed(write, now());
                on_report(Report::Failed);
            }
        }
        drop(ledger);
        shared.ended.notify_waiters();
    }
}

/// Lists the objects, and returns when to do so again.
async fn list_all(
    client: &Client,
    shared: &Shared,
    logged: &mut LogOnce<&'static str>,
) -> Duration {
    let mut present = BTreeSet::new();
    let all = Listing {
        path: EVIDENCE.path,
        labels: "",
        fields: &format!("metadata.name={NAME}"),
        page: PAGE,
        metadata_only: true,
    };
    let listed = list(client, all, |text| {
        present.extend(Object::read(text).ok().map(|it| it.namespace().to_owned()));
    });
    match listed.await {
        Ok(()) => {
            logged.is_over(&"list");
            shared.ledger().listed(present, ClockReading::now().monotonic);
            LISTED_EVERY
        }
        Err(Failure { why, .. }) => {
            if logged.is_new("list", why.clone()) {
                let object = EVIDENCE.plural;
                tracing::warn!(object, error = why, "evidence cannot be listed, retrying");
            }
            RETRY
        }
    }
}

#[cfg(test)]
mod tests;
