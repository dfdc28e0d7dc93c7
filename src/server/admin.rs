//! The port for operators: is it alive, is it ready, what has it counted.

use std::sync::Arc;

use axum::{
    Router,
    response::{IntoResponse, Response},
    routing::get,
};
use http::{StatusCode, header::CONTENT_TYPE};
use tokio::{net::TcpListener, sync::watch};

use super::{Limits, Readiness, Stage, accept::Intake, connection, exchange::Exchange};

/// Kubelet and Prometheus need two or three.
const MAX_CONNECTIONS: usize = 64;

/// What `Metrics::render` writes, as Prometheus asks for it.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Plain HTTP on its own listener; it answers to the last, while draining too.
pub struct Admin {
    pub listener: TcpListener,
    pub limits: Limits,
    pub readiness: Readiness,
    /// Renders `/metrics`.
    pub metrics: Arc<dyn Fn() -> String + Send + Sync>,
}

impl Admin {
    /// Serves for ever: drop it to end it.
    pub async fn run(self) {
        let Self { listener, limits, readiness, metrics } = self;
        let router = Router::new()
            .route("/livez", get(|| async { "ok\n" }))
            .route("/readyz", get(move || async move { readyz(&readiness) }))
            .route(
                "/metrics",
                get(move || async move { ([(CONTENT_TYPE, OPEN_METRICS)], metrics()) }),
            );
        let (_stage, stage) = watch::channel(Stage::Serving);
        let exchange = Arc::new(Exchange::new(router, limits, Arc::new(|_| {}), stage));
        let open = move |stream| connection::serve(stream, Arc::clone(&exchange));
        Intake::new(listener, MAX_CONNECTIONS, Arc::new(|_| {}), open)
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
