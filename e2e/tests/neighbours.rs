//! Other webhooks and admission plugins for pods, beside callgate.

use std::{fs, sync::Arc, time::SystemTime};

use axum::{
    Router,
    body::Bytes,
    response::{IntoResponse, Response},
    routing::post,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use callgate::{
    server::{Limits, Order, Readiness, Server},
    tls::Tls,
};
use clap::Parser;
use serde_json::{Value, json};
use support::wait::eventually;
use tokio::{net::TcpListener, sync::watch, task::AbortHandle};

use crate::trial::{Test, container, pod, profile_of, trials};

trials![
    a_sidecar_that_another_webhook_adds_after_ours_has_a_profile,
    a_profile_that_another_webhook_removes_after_ours_is_set_again,
    pod_security_restricted_accepts_a_pod_with_the_profile_that_callgate_set,
];

async fn a_sidecar_that_another_webhook_adds_after_ours_has_a_profile(it: Test) {
    let sidecar = json!({ "name": "mesh", "image": "mesh" });
    let change = json!([{ "op": "add", "path": "/spec/containers/-", "value": sidecar }]);
    let _injector = Injector::start(&it, change).await;
    let stored = eventually("the injector is called", async || {
        let path = format!("{}?dryRun=All", it.pods());
        let would = it.api().post(&path, &pod("web", &bare())).await.expect_ok("a dry run");
        would["spec"]["containers"][1].is_object().then_some(would)
    })
    .await;
    assert_eq!(stored["spec"]["containers"][1]["name"], "mesh");
    assert_eq!(profile_of(&stored, "/spec").as_deref(), Some("RuntimeDefault"));
}

async fn a_profile_that_another_webhook_removes_after_ours_is_set_again(it: Test) {
    let wiped = json!({ "runAsUser": 1000 });
    let change = json!([{ "op": "add", "path": "/spec/securityContext", "value": wiped }]);
    let _injector = Injector::start(&it, change).await;
    let stored = eventually("the injector is called", async || {
        let path = format!("{}?dryRun=All", it.pods());
        let reply = it.api().post(&path, &pod("web", &bare())).await;
        let would = reply.expect_ok("we are called once more");
        (would["spec"]["securityContext"]["runAsUser"] == 1000).then_some(would)
    })
    .await;
    assert_eq!(profile_of(&stored, "/spec").as_deref(), Some("RuntimeDefault"));
}

async fn pod_security_restricted_accepts_a_pod_with_the_profile_that_callgate_set(it: Test) {
    let label =
        json!({ "metadata": { "labels": { "pod-security.kubernetes.io/enforce": "restricted" } } });
    let own = format!("/api/v1/namespaces/{}", it.namespace);
    it.api().merge(&own, &label).await.expect_ok("the label");
    let path = format!("{}?dryRun=All", it.pods());
    eventually("Pod Security is in force", async || {
        let reply = it.api().post(&path, &pod("probe", &bare())).await;
        reply.message().contains("violates PodSecurity").then_some(())
    })
    .await;
    let context = json!({
        "allowPrivilegeEscalation": false,
        "capabilities": { "drop": ["ALL"] },
        "runAsNonRoot": true,
    });
    let spec = json!({ "containers": [container("app", &context)] });
    let stored = it.accepts(&pod("web", &spec)).await;
    assert_eq!(profile_of(&stored, "/spec").as_deref(), Some("RuntimeDefault"));
}

fn bare() -> Value {
    json!({ "containers": [{ "name": "app", "image": "app" }] })
}

/// A mutating webhook that is called after callgate's and always answers with
/// the same patch. It ends when dropped.
struct Injector(AbortHandle);

#[derive(Parser)]
struct Flags {
    #[command(flatten)]
    limits: Limits,
    #[command(flatten)]
    tls: Tls,
}

impl Injector {
    async fn start(it: &Test, patch: Value) -> Self {
        let address = it.world.site.address;
        let directory = tempfile::tempdir().expect("there is room for temporary files");
        let ca = directory.path().join("ca.crt");
        let san = format!("--tls-san={address}");
        let ca_out = format!("--ca-out={}", ca.display());
        let Flags { limits, tls } = Flags::parse_from(["injector", &san, &ca_out]);
        let tls = tls.open(SystemTime::now()).expect("a certificate can be made").config;
        let ca = fs::read_to_string(ca).expect("it was written");
        let listener = TcpListener::bind((address, 0)).await.expect("the address is ours");
        let port = listener.local_addr().expect("it is bound").port();
        let server = Server {
            listener,
            tls,
            router: Router::new()
                .route("/", post(move |review| async move { answer(&review, &patch) })),
            limits,
            readiness: Readiness::new(),
            observer: Arc::new(|_| {}),
        };
        let task = tokio::spawn(async move {
            let (_order, orders) = watch::channel(Order::Serve);
            server.run(orders).await;
        });
        register(it, &format!("https://{address}:{port}/"), &ca).await;
        Self(task.abort_handle())
    }
}

impl Drop for Injector {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn register(it: &Test, url: &str, ca: &str) {
    // Configurations are called in the order of their names: after "callgate".
    let name = format!("zz-{}", it.namespace);
    let webhook = json!({
        "name": "injector.example.com",
        "clientConfig": { "url": url, "caBundle": STANDARD.encode(ca) },
        "rules": [{
            "apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"],
        }],
        "namespaceSelector": { "matchLabels": { "kubernetes.io/metadata.name": it.namespace } },
        "sideEffects": "None",
        "failurePolicy": "Ignore",
        "admissionReviewVersions": ["v1"],
    });
    let configuration = json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingWebhookConfiguration",
        "metadata": { "name": name }, "webhooks": [webhook],
    });
    let path = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations";
    it.api().post(path, &configuration).await.expect_ok("the injector's configuration");
}

fn answer(review: &Bytes, patch: &Value) -> Response {
    let review: Value = serde_json::from_slice(review).expect("the API server sends reviews");
    let response = json!({
        "uid": review["request"]["uid"], "allowed": true, "patchType": "JSONPatch",
        "patch": STANDARD.encode(patch.to_string()),
    });
    let review = json!({
        "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response,
    });
    ([("content-type", "application/json")], review.to_string()).into_response()
}
