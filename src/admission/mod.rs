//! Speaks `admission.k8s.io/v1` over HTTP: reads reviews and writes answers.

// A new enum variant must be handled where the default is to allow.
#![deny(clippy::wildcard_enum_match_arm)]

mod answer;
mod body;
mod decode;
mod denied;
mod live;
mod own;
mod raw;
mod recent;
mod record;
mod refused;
mod request;
mod review;
mod reviewer;
mod target;
mod unchanged;

use std::{panic::resume_unwind, sync::Arc, time::Instant};

use arc_swap::ArcSwap;
use axum::{
    Router,
    extract::State,
    response::{IntoResponse, Response},
    routing::post,
};
use futures_util::future::BoxFuture;
use http::Request;
use jiff::civil::Date;
use tokio::{runtime::Handle, sync::Semaphore, task::spawn_blocking};

use crate::{
    placement::Nodes,
    policy::{Counts, Governed, Labels, PolicyIndex, RuntimeClasses, Verdict},
    profile::Catalog,
};
use live::Live;
use request::{AdmissionRequest, Object};
use reviewer::{Judgement, Reviewer};

pub use denied::{DeniedPod, Owner};
pub use live::{Ask, FindObeying, FindPolicy};
pub use own::{LEFT_OUT, LEFT_OUT_EVERYWHERE};
pub use recent::RecentChanges;
pub use record::{Operation, Outcome, ReviewRecord, Webhook};
pub use refused::RefusedPod;

/// The findings of a request that is not judged.
static NOTHING: Counts = Counts::new();

/// All that verdicts depend on besides the request, at one moment.
///
/// Successive snapshots share the parts that did not change.
#[derive(Clone, Debug)]
pub struct Snapshot {
    pub policies: Arc<PolicyIndex>,
    pub catalog: Arc<Catalog>,
    pub nodes: Nodes,
    pub classes: RuntimeClasses,
}

/// Looks up the labels of a namespace that the snapshot does not know yet.
pub type FindNamespace =
    Arc<dyn Fn(&str) -> BoxFuture<'static, Result<Labels, String>> + Send + Sync>;

/// The state of the handlers. Cheap to clone: every field is a handle.
#[derive(Clone)]
pub struct App {
    pub snapshot: Arc<ArcSwap<Snapshot>>,
    /// The current day in UTC, by which exemptions expire.
    pub today: fn() -> Date,
    /// Called only for namespaces that the snapshot does not know, or knows without our label.
    pub find_namespace: Option<FindNamespace>,
    /// Called before a label or the deletion of a policy is judged, and for namespaces whose labels
    /// have just changed.
    pub ask: Option<Ask>,
    /// Called with every answered review, for logs, metrics and Events.
    pub observe: Arc<dyn Fn(&ReviewRecord<'_>) + Send + Sync>,
    /// The largest body that is read, in bytes.
    pub max_body: usize,
}

/// The routes; anything else is 404 or 405.
pub fn router(app: App) -> Router {
    let handler = Handler { app, large: Arc::new(Semaphore::new(LARGE_AT_ONCE)) };
    Router::new()
        .route("/mutate", post(mutate))
        .route("/validate", post(validate))
        .with_state(handler)
}

/// A review of up to this many bytes is judged on the worker that read it; a larger one may take
/// long enough to delay others.
const SMALL: usize = 256 * 1024;

/// How many large reviews are judged at once, on threads of their own: each takes memory beside
/// its body.
const LARGE_AT_ONCE: usize = 1;

#[derive(Clone)]
struct Handler {
    app: App,
    large: Arc<Semaphore>,
}

/// Applies the fixes. `/validate` judges the rest, when all mutating webhooks have been called
/// (O1).
async fn mutate(State(handler): State<Handler>, request: Request<axum::body::Body>) -> Response {
    handler.answer(Webhook::Mutate, request).await
}

/// Denies what the policy forbids, and reports all findings at once.
async fn validate(State(handler): State<Handler>, request: Request<axum::body::Body>) -> Response {
    handler.answer(Webhook::Validate, request).await
}

impl Handler {
    async fn answer(&self, webhook: Webhook, request: Request<axum::body::Body>) -> Response {
        let body = match body::read(request, self.app.max_body).await {
            Ok(body) => body,
            Err(rejection) => return rejection.into_response(),
        };
        if body.len() <= SMALL {
            return self.app.answer(webhook, &body).await;
        }
        let large = Arc::clone(&self.large);
        let turn = large.acquire_owned().await.expect("nobody closes it");
        let app = self.app.clone();
        let judging = spawn_blocking(move || {
            // The permit is held until the judgement ends, even if the client has gone.
            let _turn = turn;
            Handle::current().block_on(app.answer(webhook, &body))
        });
        judging.await.unwrap_or_else(|it| resume_unwind(it.into_panic()))
    }
}

impl Snapshot {
    /// A snapshot without nodes.
    pub fn without_nodes(policies: PolicyIndex, catalog: Catalog) -> Self {
        Self {
            policies: Arc::new(policies),
            catalog: Arc::new(catalog),
            nodes: Nodes::default(),
            classes: RuntimeClasses::default(),
        }
    }
}

impl App {
    /// Reads a review and answers it by the current snapshot. Between the last byte of the body and
    /// the answer nothing is awaited, except live look-ups: of a namespace that the snapshot does not
    /// know yet, or whose labels have just changed, and before a label or the deletion of a policy
    /// is judged.
    async fn answer(&self, webhook: Webhook, body: &[u8]) -> Response {
        let started = Instant::now();
        let request = match review::read(body) {
            Ok(request) => request,
            Err(rejection) => return rejection.into_response(),
        };
        if let Some(ask) = &self.ask {
            ask.recent.note_change(&request);
        }
        let found = self.find(&request).await;
        let live = match &self.ask {
            Some(ask) if webhook == Webhook::Validate => ask.about(&request).await,
            _ => Live::default(),
        };
        let (snapshot, today) = (self.snapshot.load(), (self.today)());
        let (found, live) = (&found, &live);
        let reviewer = Reviewer { webhook, body, snapshot: &snapshot, found, live, today };
        let judgement = reviewer.judge(&request);
        let denied = DeniedPod::of(body, &request, &judgement);
        let Judgement { answer, outcome, verdict } = judgement;
        let response = answer.into_response();
        let refused = match webhook {
            Webhook::Validate => RefusedPod::of(body, &request, verdict.as_ref()),
            Webhook::Mutate => None,
        };
        (self.observe)(&ReviewRecord {
            webhook,
            operation: Operation::of(request.operation()),
            outcome,
            resource: request.resource(),
            namespace: request.namespace(),
            name: request.name(),
            uid: &request.uid,
            dry_run: request.is_dry_run(),
            counts: verdict.as_ref().map_or(&NOTHING, Verdict::counts),
            denied,
            refused,
            elapsed: started.elapsed(),
        });
        response
    }

    /// The labels of a namespace where the snapshot is out of date; `None` where it is not, or where
    /// there is no cluster.
    ///
    /// The API server calls the webhook only for namespaces that have opted in: a snapshot that knows
    /// nothing of that is older than the label.
    async fn find(&self, request: &AdmissionRequest<'_>) -> Option<Result<Labels, String>> {
        let name = request.namespace();
        let is_pod = matches!(request.object, Object::Judge { .. } | Object::Unreadable { .. });
        if let Some(ask) = self.ask.as_ref().filter(|it| is_pod && it.recent.contains(name))
            && let Ok(labels) = (ask.namespace)(name).await
        {
            return Some(Ok(labels));
        }
        let is_known = {
            let snapshot = self.snapshot.load();
            !matches!(snapshot.policies.governing(name), Governed::Unknown | Governed::Ungoverned)
        };
        match &self.find_namespace {
            Some(find) if is_pod && !is_known => Some(find(name).await),
            _ => None,
        }
    }
}
