//! The routers without a network: the cost of a review that is in memory.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use axum::{Router, body::Body};
use bytes::Bytes;
use callgate::{
    admission::{self, App, Snapshot},
    policy::{Builtin, Mode, PolicyIndex},
    profile::Catalog,
    telemetry::Metrics,
};
use http::{Request, StatusCode, header::CONTENT_TYPE};
use http_body_util::BodyExt;
use jiff::{Timestamp, tz::TimeZone};
use support::bench::review::Review;
use tokio::runtime;
use tower::Service;

use crate::{
    constant,
    ratio::{Round, Rounds},
};

const MAX_BODY: usize = 8 * 1024 * 1024;

/// Our router and the constant one, on one thread.
pub(crate) struct InProcess {
    runtime: runtime::Runtime,
    ours: Router,
    constant: Router,
}

impl InProcess {
    pub(crate) fn new() -> Self {
        let runtime = runtime::Builder::new_current_thread().build().expect("a runtime");
        Self { runtime, ours: ours(), constant: constant::router(MAX_BODY) }
    }

    /// Our answer.
    pub(crate) fn answer(&self, review: &Review) -> Bytes {
        self.post(&self.ours, review.path, Bytes::from(review.body.clone()))
    }

    /// Microseconds per review, in batches that take turns for as long as `time`.
    pub(crate) fn measure(&self, review: &Review, time: Duration) -> Rounds {
        // Shorter than a time slice of the scheduler, so that most batches are not interrupted.
        const BATCH: u32 = 10;
        let body = Bytes::from(review.body.clone());
        let batch = |router| {
            let started = Instant::now();
            for _ in 0..BATCH {
                self.post(router, review.path, body.clone());
            }
            started.elapsed().as_secs_f64() * 1e6 / f64::from(BATCH)
        };
        let mut rounds = Rounds::default();
        let started = Instant::now();
        while started.elapsed() < time {
            rounds.push(Round { constant: batch(&self.constant), ours: batch(&self.ours) });
        }
        rounds
    }

    /// Has our router answer the review so many times.
    pub(crate) fn repeat(&self, review: &Review, times: u32) {
        let body = Bytes::from(review.body.clone());
        for _ in 0..times {
            self.post(&self.ours, review.path, body.clone());
        }
    }

    fn post(&self, router: &Router, path: &str, body: Bytes) -> Bytes {
        let request = Request::post(path).header(CONTENT_TYPE, "application/json");
        let request = request.body(Body::from(body)).expect("a valid request");
        self.runtime.block_on(async {
            let Ok(response) = router.clone().call(request).await;
            assert_eq!(response.status(), StatusCode::OK);
            response.into_body().collect().await.expect("a body in memory").to_bytes()
        })
    }
}

/// The router of `callgate serve --standalone`, counting but not logging: that
/// is part of the command.
fn ours() -> Router {
    let policy = Builtin::named("restricted").expect("it is built in").policy();
    let policies = PolicyIndex::of_one(policy, Mode::Enforce);
    let snapshot = Snapshot::without_nodes(policies, Catalog::default());
    let metrics = Metrics::new("0.0.0");
    admission::router(App {
        find_namespace: None,
        ask: None,
        snapshot: Arc::new(ArcSwap::from_pointee(snapshot)),
        today: || Timestamp::now().to_zoned(TimeZone::UTC).date(),
        observe: Arc::new(move |it| {
            let (webhook, operation) = (it.webhook.as_str(), it.operation.as_str());
            metrics.review(webhook, operation, it.outcome.as_str(), it.elapsed);
        }),
        max_body: MAX_BODY,
    })
}
