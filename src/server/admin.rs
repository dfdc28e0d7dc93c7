//! The admin port: /livez, /readyz and /metrics.

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    response::{IntoResponse, Response},
    routing::get,
};
use http::{StatusCode, header::CONTENT_TYPE};
use tokio::{net::TcpListener, sync::watch};

use super::{
    Limits, Readiness, Stage, accept::Intake, connection, connections::Connections,
    exchange::Exchange,
};

/// Kubelet and Prometheus need two or three.
const MAX_CONNECTIONS: usize = 64;

/// The timeout of reading a request's head and of writing an answer. It is short, since probes come
/// from the same node.
const AT_WORK: Duration = Duration::from_secs(2);

/// The timeout of an idle connection; Prometheus reconnects.
const SILENT: Duration = Duration::from_secs(15);

/// The content type of `Metrics::render`.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Serves plain HTTP on its own listener, also while the webhook server drains.
pub struct Admin {
    pub listener: TcpListener,
    pub limits: Limits,
    pub readiness: Readiness,
    /// Renders `/metrics`.
    pub metrics: Arc<dyn Fn() -> String + Send + Sync>,
}

impl Admin {
    /// Serves until the future is dropped.
    pub async fn run(self) {
        let Self { listener, mut limits, readiness, metrics } = self;
        limits.header_timeout = limits.header_timeout.min(AT_WORK);
        limits.body_timeout = limits.body_timeout.min(AT_WORK);
        limits.idle_timeout = limits.idle_timeout.min(SILENT);
        // No request has a body.
        limits.max_body_bytes = 0;
        let router = Router::new()
            .route("/livez", get(|| async { "ok\n" }))
            .route("/readyz", get(move || async move { readyz(&readiness) }))
            .route(
                "/metrics",
                get(move || async move { ([(CONTENT_TYPE, OPEN_METRICS)], metrics()) }),
            );
        let (_stage, stage) = watch::channel(Stage::Serving);
        let connections = Arc::<Connections>::default();
        let exchange =
            Arc::new(Exchange::new(router, limits, &connections, Arc::new(|_| {}), stage));
        let open = move |stream, state| connection::serve(stream, Arc::clone(&exchange), state);
        Intake::new(listener, MAX_CONNECTIONS, connections, Arc::new(|_| {}), open)
            .accept_until(std::future::pending::<()>())
            .await;
    }
}

fn readyz(readiness: &Readiness) -> Response {
    let missing = readiness.missing();
    if missing.is_empty() {
        return "ok\n".into_response();
    }
    let lines: String = missing.iter().flat_map(|it| [it, "\n"]).collect();
    (StatusCode::SERVICE_UNAVAILABLE, lines).into_response()
}
