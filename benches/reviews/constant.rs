//! The comparison: a handler that reads the body and answers a constant.

use std::{net::Ipv4Addr, sync::Arc, time::SystemTime};

use axum::{
    Router,
    body::Body,
    response::{IntoResponse, Response},
    routing::post,
};
use callgate::{
    server::{Limits, Readiness, Server, signals},
    tls::Tls,
};
use clap::Args;
use http::{Request, StatusCode, header::CONTENT_TYPE};
use http_body_util::{BodyExt, Limited};
use support::bench::server::announce;
use tokio::{net::TcpListener, runtime};

/// An answer as short as they get.
pub(crate) const ANSWER: &str = concat!(
    r#"{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","response":"#,
    r#"{"uid":"ab4d0a65-8aef-644a-039b-90c2067b45c0","allowed":true}}"#
);

/// The flags of a server that answers the constant.
#[derive(Args, Debug)]
pub(crate) struct Serve {
    #[command(flatten)]
    tls: Tls,

    #[command(flatten)]
    limits: Limits,
}

impl Serve {
    /// Serves as `callgate serve` does, except for the router.
    pub(crate) fn run(self) {
        let Self { tls, limits } = self;
        let tls = tls.open(SystemTime::now()).expect("a certificate of its own").config;
        let runtime = runtime::Builder::new_multi_thread().enable_all().build();
        runtime.expect("a runtime").block_on(async {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
            announce(listener.local_addr().expect("a bound listener"));
            let server = Server {
                listener,
                tls,
                router: router(limits.max_body_bytes),
                limits,
                readiness: Readiness::new(),
                observer: Arc::new(|_| {}),
            };
            server.run(signals().expect("signals")).await;
        });
    }
}

/// The routes of callgate, without their handlers.
pub(crate) fn router(max_body: usize) -> Router {
    let answer = post(move |request| answer(request, max_body));
    Router::new().route("/mutate", answer.clone()).route("/validate", answer)
}

async fn answer(request: Request<Body>, max_body: usize) -> Response {
    match Limited::new(request.into_body(), max_body).collect().await {
        Ok(_) => ([(CONTENT_TYPE, "application/json")], ANSWER).into_response(),
        Err(_) => StatusCode::BAD_REQUEST.into_response(),
    }
}
