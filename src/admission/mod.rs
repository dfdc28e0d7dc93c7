//! Speaks `admission.k8s.io/v1` over HTTP; decides nothing.

mod answer;
mod body;
mod matter;
mod observed;
mod review;

use std::{sync::Arc, time::Instant};

use arc_swap::ArcSwap;
use axum::{
    Router,
    extract::State,
    response::{IntoResponse, Response},
    routing::post,
};
use http::Request;
use jiff::civil::Date;

use crate::{
    policy::{Facts, Mode, Policy, Templates, Verdict},
    profile::Catalog,
};
use answer::Answer;
use review::{AdmissionRequest, Object};

pub use observed::{Observed, Operation, Outcome, Webhook};

/// All that verdicts depend on besides the request, at one moment.
#[derive(Clone, Debug)]
pub struct Snapshot {
    pub policy: Policy,
    pub mode: Mode,
    pub catalog: Catalog,
}

/// What handlers share. Cheap to clone: every field is a handle.
#[derive(Clone)]
pub struct App {
    pub snapshot: Arc<ArcSwap<Snapshot>>,
    /// The current day in UTC: exemptions end with a day.
    pub today: fn() -> Date,
    /// Told of every answer to a review.
    pub observe: Arc<dyn Fn(&Observed<'_>) + Send + Sync>,
    /// The largest body that is read, in bytes.
    pub max_body: usize,
}

/// All routes; whatever else is asked for is 404 or 405.
pub fn router(app: App) -> Router {
    Router::new().route("/mutate", post(mutate)).route("/validate", post(validate)).with_state(app)
}

/// Repairs what has a repair. What is left over is for `/validate`, which sees
/// the pod as all mutating webhooks left it (O1).
async fn mutate(State(app): State<App>, request: Request<axum::body::Body>) -> Response {
    app.answer(Webhook::Mutate, request).await
}

/// Refuses what the policy forbids, naming every finding at once.
async fn validate(State(app): State<App>, request: Request<axum::body::Body>) -> Response {
    app.answer(Webhook::Validate, request).await
}

impl App {
    /// Reads a review and answers it by the snapshot of this instant. Between
    /// the last byte of the body and the answer nothing is awaited.
    async fn answer(&self, webhook: Webhook, request: Request<axum::body::Body>) -> Response {
        let body = match body::read(request, self.max_body).await {
            Ok(body) => body,
            Err(rejection) => return rejection.into_response(),
        };
        let started = Instant::now();
        let request = match review::read(&body) {
            Ok(request) => request,
            Err(rejection) => return rejection.into_response(),
        };
        let snapshot = self.snapshot.load();
        let facts = Facts {
            policy: &snapshot.policy,
            catalog: &snapshot.catalog,
            namespace: request.namespace(),
            today: (self.today)(),
        };
        let (answer, outcome, verdict) = judge(webhook, &request, facts, snapshot.mode);
        let response = answer.into_response();
        (self.observe)(&Observed {
            webhook,
            operation: Operation::of(&request.operation),
            outcome,
            resource: request.resource(),
            namespace: request.namespace(),
            name: request.name(),
            uid: &request.uid,
            dry_run: request.dry_run,
            judged: verdict.as_ref().map(Verdict::judged).unwrap_or_default(),
            elapsed: started.elapsed(),
        });
        response
    }
}

/// What is answered, and what it is called in metrics.
fn judge<'a>(
    webhook: Webhook,
    request: &'a AdmissionRequest<'_>,
    facts: Facts<'a>,
    mode: Mode,
) -> (Answer<'a>, Outcome, Option<Verdict<'a>>) {
    let allow = || Answer::allow(&request.uid);
    let (kind, scope, subject) = match &request.object {
        Object::NotOurs => return (allow(), Outcome::Ignored, None),
        Object::Judge { kind, scope, subject } => (*kind, scope, subject),
        Object::Unreadable { kind, why } => {
            let answer = match (kind, facts.policy.templates()) {
                // What cannot be read is never let through; a template makes no
                // pod that is not seen again (S21).
                (Some(kind), Templates::Warn | Templates::Ignore) if kind.is_template() => {
                    allow().warn(why.clone())
                }
                _ => allow().deny(why.clone()),
            };
            return (answer, Outcome::Unreadable, None);
        }
    };
    let pod = &subject.pod;
    // S22: only kubelets make mirror pods, and they show what runs already.
    if pod.is_mirror() && (webhook == Webhook::Mutate || request.is_from_a_node()) {
        return (allow().note("skipped", "mirror-pod"), Outcome::Ignored, None);
    }
    let verdict = Verdict::of(kind, pod, scope, facts, mode);
    let answer = allow().note("policy", facts.policy.name()).note("mode", mode.as_str());
    let (answer, outcome) = match webhook {
        Webhook::Mutate => {
            let patch = verdict.patch(pod, scope);
            let outcome =
                if patch.operations.is_empty() { Outcome::Allowed } else { Outcome::Patched };
            (answer.patch(&patch, facts.policy.name()), outcome)
        }
        Webhook::Validate => {
            let answer = answer.notes(verdict.annotations());
            if verdict.is_denied() {
                let name = subject.name.as_deref().or(request.name());
                (answer.deny(verdict.message(name)), Outcome::Denied)
            } else {
                (answer.warnings(verdict.warnings()), Outcome::Allowed)
            }
        }
    };
    (answer, outcome, Some(verdict))
}
