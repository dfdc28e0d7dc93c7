//! The port for operators.

use std::{net::SocketAddr, sync::Arc};

use callgate::{
    server::{Admin, Order, Readiness},
    telemetry::Metrics,
};
use support::{client::Client, wait::until};
use tokio::net::{TcpListener, TcpStream};

use crate::rig::{Rig, echo, limits};

async fn admin(readiness: &Readiness, metrics: Metrics, flags: &[&str]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let address = listener.local_addr().expect("a listener has an address");
    let admin = Admin {
        listener,
        limits: limits(flags),
        readiness: readiness.clone(),
        metrics: Arc::new(move || metrics.render()),
    };
    tokio::spawn(admin.run());
    address
}

async fn asking(readiness: &Readiness) -> Client<TcpStream> {
    Client::plain(admin(readiness, Metrics::new("1.2.3"), &[]).await).await
}

#[tokio::test]
async fn readyz_names_what_is_missing() {
    let readiness = Readiness::new();
    let certificate = readiness.condition("certificate");
    let policies = readiness.condition("policies");
    let mut client = asking(&readiness).await;
    let answer = client.get("/readyz").await;
    assert_eq!((answer.status, answer.body.as_str()), (503, "certificate\npolicies\n"));
    certificate.met();
    let answer = client.get("/readyz").await;
    assert_eq!((answer.status, answer.body.as_str()), (503, "policies\n"));
    policies.met();
    let answer = client.get("/readyz").await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "ok\n"));
}

#[tokio::test]
async fn livez_answers_200_while_readiness_conditions_are_unmet() {
    let readiness = Readiness::new();
    let _unmet = readiness.condition("certificate");
    assert_eq!(asking(&readiness).await.get("/livez").await.status, 200);
}

#[tokio::test]
async fn metrics_are_rendered_on_request() {
    let metrics = Metrics::new("1.2.3");
    metrics.review("validate", "create", "deny", std::time::Duration::from_micros(20));
    let address = admin(&Readiness::new(), metrics, &[]).await;
    let answer = Client::plain(address).await.get("/metrics").await;
    assert_eq!(answer.status, 200);
    assert!(answer.head.contains("\r\ncontent-type: application/openmetrics-text; version=1.0.0;"));
    assert!(answer.body.contains("callgate_build_info{version=\"1.2.3\"} 1\n"));
    assert!(answer.body.contains("verdict=\"deny\"} 1\n"));
    assert!(answer.body.ends_with("# EOF\n"));
}

#[tokio::test]
async fn nothing_else_is_there() {
    let mut client = asking(&Readiness::new()).await;
    assert_eq!(client.get("/validate").await.status, 404);
    assert_eq!(client.post("/livez", "").await.status, 405);
}

#[tokio::test]
async fn a_slow_head_is_cut_off_on_the_admin_port_too() {
    let address = admin(&Readiness::new(), Metrics::new("1.2.3"), &["--header-timeout=50ms"]).await;
    let mut client = Client::plain(address).await;
    client.write("GET /live").await.unwrap();
    client.closed().await;
}

#[tokio::test]
async fn while_the_server_drains_it_is_live_and_not_ready() {
    let rig = Rig::start(echo(), &["--drain-delay=1000h"]).await;
    let mut client = asking(&rig.readiness).await;
    assert_eq!(client.get("/readyz").await.status, 200);
    rig.orders.send_replace(Order::Drain);
    until(async || client.get("/readyz").await.status == 503).await;
    assert_eq!(client.get("/readyz").await.body, "draining\n");
    assert_eq!(client.get("/livez").await.status, 200);
    assert_eq!(client.get("/metrics").await.status, 200);
}
