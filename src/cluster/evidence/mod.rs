//! Keeps what was found in the pods of a namespace, in the object `SeccompEvidence` of that
//! namespace: it outlives the replicas, and `callgate ladder` decides by it.
//!
//! Every replica adds what it has counted to what is stored. `ledger.rs` decides when, `tally.rs`
//! counts, and both are pure. Whatever is not written yet is lost if the replica is killed.

mod ledger;
mod report;
mod tally;

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use kube::{
    Client,
    api::{Patch, PatchParams, PostParams},
    core::Request,
};
use serde_json::json;
use tokio::{
    sync::Notify,
    time::{Instant, sleep_until, timeout},
};

use self::{
    ledger::{Ledger, Write},
    tally::Tally,
};
use super::{Report, chain, clock_reading::ClockReading};
use crate::{
    api::SeccompEvidenceStatus,
    call::{CallError, within},
    group::{API_PATH, API_VERSION, EVIDENCE},
    log_once::LogOnce,
    watch::{Failure, Listing, Object, list},
};

pub use {report::report, tally::Refused};

/// The name of the object in each namespace.
pub const NAME: &str = "callgate";

/// The field manager of Reports. All replicas use the same one, and nothing else uses it.
const MANAGER: &str = "callgate-evidence";

/// The deadline of one call, kube's own retries included.
const PATIENCE: Duration = Duration::from_secs(5);

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

/// The outcome of a write.
enum Written {
    /// What the object holds now; `None` if it was only created.
    Done(Option<SeccompEvidenceStatus>),
    /// Another replica wrote at the same time.
    Conflict,
    /// The namespace is gone.
    Gone,
    Failed(String),
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

/// Adds counts to the object, which is created if it does not exist.
async fn put(client: &Client, Write { namespace, tally }: &Write) -> Written {
    match put_all(client, namespace, tally.clone()).await {
        Ok(status) => Written::Done(status),
        Err(CallError::Answer(kube::Error::Api(it))) if it.is_conflict() => Written::Conflict,
        Err(CallError::Answer(kube::Error::Api(it))) if is_gone(&it) => Written::Gone,
        Err(error) => Written::Failed(chain(&error)),
    }
}

/// Whether the namespace does not exist, or is being deleted.
fn is_gone(status: &kube::core::Status) -> bool {
    let details = status.details.as_ref();
    let is_of_namespace = details.is_some_and(|it| it.kind == "namespaces");
    let is_terminating =
        details.is_some_and(|it| it.causes.iter().any(|it| it.reason == "NamespaceTerminating"));
    (status.is_not_found() && is_of_namespace) || is_terminating
}

/// The path of the objects of a namespace.
pub(super) fn path(namespace: &str) -> String {
    format!("{API_PATH}/namespaces/{namespace}/{}", EVIDENCE.plural)
}

async fn put_all(
    client: &Client,
    namespace: &str,
    tally: Tally,
) -> Result<Option<SeccompEvidenceStatus>, CallError> {
    let call = |request: Result<http::Request<Vec<u8>>, kube::core::request::Error>| {
        let client = client.clone();
        let sent =
            async move { client.request_text(request.map_err(kube::Error::BuildRequest)?).await };
        within(PATIENCE, sent)
    };
    let api = Request::new(path(namespace));
    let create = || {
        let object = json!({
            "apiVersion": API_VERSION,
            "kind": EVIDENCE.kind,
            "metadata": { "name": NAME, "labels": { "app.kubernetes.io/managed-by": "callgate" } },
            "spec": {},
        });
        call(api.create(&PostParams::default(), object.to_string().into_bytes()))
    };
    let exists = |error: &CallError| matches!(error, CallError::Answer(kube::Error::Api(it)) if it.is_already_exists());
    if tally.is_empty() {
        return match create().await {
            Err(error) if !exists(&error) => Err(error),
            _ => Ok(None),
        };
    }
    let text = match call(api.get(NAME, &kube::api::GetParams::default())).await {
        Err(CallError::Answer(kube::Error::Api(it))) if it.is_not_found() => create().await?,
        other => other?,
    };
    let object = Object::read(&text).ok();
    let version = object.as_ref().map(|it| it.version().to_owned()).unwrap_or_default();
    // What cannot be read is replaced: a client that may write it has written what is no evidence.
    let stored: Option<SeccompEvidenceStatus> = object.and_then(|it| it.status().ok());
    let mut all = Tally::from(stored.unwrap_or_default());
    all.merge(tally);
    let status = SeccompEvidenceStatus::from(all);
    let patch = json!({ "metadata": { "resourceVersion": version }, "status": status });
    let params = PatchParams::default();
    call(api.patch_subresource("status", NAME, &params, &Patch::Merge(patch))).await?;
    Ok(Some(status))
}

/// Writes the Report on a namespace. One that cannot be written is written with the next evidence.
async fn put_report(
    client: &Client,
    namespace: &str,
    status: &SeccompEvidenceStatus,
    logged: &mut LogOnce<&'static str>,
) {
    let report = report::report(namespace, status);
    let params = PatchParams::apply(MANAGER).force();
    let request =
        Request::new(report::path(namespace)).patch(NAME, &params, &Patch::Apply(&report));
    let written =
        async { client.request_text(request.map_err(kube::Error::BuildRequest)?).await.map(drop) };
    match within(PATIENCE, written).await {
        Ok(()) => _ = logged.is_over(&"report"),
        Err(error) => {
            let why = chain(&error);
            if logged.is_new("report", why.clone()) {
                tracing::warn!(namespace, error = why, "a report of openreports.io is not written");
            }
        }
    }
}

#[cfg(test)]
mod tests;
