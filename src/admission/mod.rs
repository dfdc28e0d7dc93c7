//! Speaks `admission.k8s.io/v1` over HTTP; decides nothing.

// Where the default is to allow, a new kind of request must not become one by itself.
#![deny(clippy::wildcard_enum_match_arm)]

mod answer;
mod body;
mod denied;
mod live;
mod own;
mod raw;
mod record;
mod review;
mod reviewer;
mod target;

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
use review::{AdmissionRequest, Object};
use reviewer::{Judgement, Reviewer};

pub use denied::{DeniedPod, Owner};
pub use live::{Ask, FindObeying, FindPolicy};
pub use own::LEFT_OUT;
pub use record::{Operation, Outcome, ReviewRecord, Webhook};

/// What is found where nothing is judged.
static NOTHING: Counts = Counts::new();

/// All that verdicts depend on besides the request, at one moment.
///
/// Each part is shared with the snapshots before and after that it is the same in.
#[derive(Clone, Debug)]
pub struct Snapshot {
    pub policies: Arc<PolicyIndex>,
    pub catalog: Arc<Catalog>,
    pub nodes: Nodes,
    pub classes: RuntimeClasses,
}

/// Asks for the labels of a namespace that the snapshot does not know yet, or
/// says why they cannot be had.
pub type FindNamespace =
    Arc<dyn Fn(&str) -> BoxFuture<'static, Result<Labels, String>> + Send + Sync>;

/// What handlers share. Cheap to clone: every field is a handle.
#[derive(Clone)]
pub struct App {
    pub snapshot: Arc<ArcSwap<Snapshot>>,
    /// The current day in UTC: exemptions end with a day.
    pub today: fn() -> Date,
    /// Asked only for namespaces that are, or have opted in, since the snapshot.
    pub find_namespace: Option<FindNamespace>,
    /// Asked about policies before one is named or deleted.
    pub ask: Option<Ask>,
    /// Told of every answer to a review.
    pub observe: Arc<dyn Fn(&ReviewRecord<'_>) + Send + Sync>,
    /// The largest body that is read, in bytes.
    pub max_body: usize,
}

/// All routes; whatever else is asked for is 404 or 405.
pub fn router(app: App) -> Router {
    let handler = Handler { app, large: Arc::new(Semaphore::new(LARGE_AT_ONCE)) };
    Router::new()
        .route("/mutate", post(mutate))
        .route("/validate", post(validate))
        .with_state(handler)
}

/// A review up to here is judged where it was read; a larger one may take longer
/// than others want to wait.
const SMALL: usize = 256 * 1024;

/// How many large reviews are judged at once, on threads of their own. What is
/// read of one takes memory beside its body.
const LARGE_AT_ONCE: usize = 1;

#[derive(Clone)]
struct Handler {
    app: App,
    large: Arc<Semaphore>,
}

/// Repairs what has a repair. What is left over is for `/validate`, which sees
/// the pod as all mutating webhooks left it (O1).
async fn mutate(State(handler): State<Handler>, request: Request<axum::body::Body>) -> Response {
    handler.answer(Webhook::Mutate, request).await
}

/// Refuses what the policy forbids, naming every finding at once.
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
            // It goes on when nobody waits for the answer any more, and has its turn for as long.
            let _turn = turn;
            Handle::current().block_on(app.answer(webhook, &body))
        });
        judging.await.unwrap_or_else(|it| resume_unwind(it.into_panic()))
    }
}

impl Snapshot {
    /// Of a world without nodes.
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
    /// Reads a review and answers it by the snapshot of this instant. Between
    /// the last byte of the body and the answer nothing is awaited, unless the
    /// namespace has opted in so lately that the snapshot does not know it, or
    /// it is about a label or the end of a policy.
    async fn answer(&self, webhook: Webhook, body: &[u8]) -> Response {
        let started = Instant::now();
        let request = match review::read(body) {
            Ok(request) => request,
            Err(rejection) => return rejection.into_response(),
        };
        let found = self.find(&request).await;
        let live = match &self.ask {
            Some(ask) if webhook == Webhook::Validate => ask.about(&request).await,
            _ => Live::default(),
        };
        let (snapshot, today) = (self.snapshot.load(), (self.today)());
        let reviewer = Reviewer { webhook, snapshot: &snapshot, found: &found, live: &live, today };
        let judgement = reviewer.judge(&request);
        let denied = DeniedPod::of(body, &request, &judgement);
        let Judgement { answer, outcome, verdict } = judgement;
        let response = answer.into_response();
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
            elapsed: started.elapsed(),
        });
        response
    }

    /// The labels of a namespace of which the snapshot cannot be right.
    ///
    /// The API server asks us only about namespaces that have opted in: where
    /// the snapshot knows nothing of that, it is older than the label.
    async fn find(&self, request: &AdmissionRequest<'_>) -> Result<Labels, String> {
        let name = request.namespace();
        let is_pod = matches!(request.object, Object::Judge { .. } | Object::Unreadable { .. });
        let is_known = {
            let snapshot = self.snapshot.load();
            !matches!(snapshot.policies.governing(name), Governed::Unknown | Governed::ByNobody)
        };
        match &self.find_namespace {
            Some(find) if is_pod && !is_known => find(name).await,
            _ => Err(format!("namespace {name:?} is not known")),
        }
    }
}
