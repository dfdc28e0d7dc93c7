//! Tests that need answers which a real API server does not give on demand.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
    time::Duration,
};

use http::{Method, Request, Response, StatusCode, header::DATE};
use kube::{Client, client::Body};
use serde_json::{Value, json};
use tokio::{sync::mpsc::unbounded_channel, time::timeout};
use tower::service_fn;

use super::{
    reconcile::reconcile,
    signer::{Observed, Write},
    stored::SecretData,
    *,
};

/// A request to the API server, other than a watch.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Call {
    method: Method,
    kind: String,
    is_dry_run: bool,
    /// The preconditions of a deletion.
    preconditions: Value,
}

/// The answer of the API server; `None` if it never answers. Status 418 stands for a correct answer
/// without a `Date`.
type Answer = fn(usize, &Call) -> Option<(StatusCode, Value)>;

/// Runs a replica for an hour of paused time, against an API server that gives `answer` to its nth
/// call. Returns the calls, the events, and for each decision whether the API server had answered.
async fn an_hour_with(answer: Answer) -> (Vec<Call>, Vec<CaEvent>, Vec<bool>) {
    a_while_with(Duration::from_hours(1), answer).await
}

async fn a_while_with(time: Duration, answer: Answer) -> (Vec<Call>, Vec<CaEvent>, Vec<bool>) {
    let calls = Arc::<Mutex<Vec<Call>>>::default();
    let seen = Arc::clone(&calls);
    let service = service_fn(move |request: Request<Body>| {
        let calls = Arc::clone(&seen);
        async move {
            if request.uri().query().is_some_and(|it| it.contains("fieldSelector")) {
                return std::future::pending().await;
            }
            let kind = request.uri().path().split('/').find_map(|it| match it {
                "secrets" => Some("Secret"),
                "mutatingwebhookconfigurations" => Some("MutatingWebhookConfiguration"),
                "validatingwebhookconfigurations" => Some("ValidatingWebhookConfiguration"),
                _ => None,
            });
            let kind = kind.expect("nothing else is asked for").to_owned();
            let method = request.method().clone();
            let is_dry_run = request.uri().query().is_some_and(|it| it.contains("dryRun=All"));
            let sent = request.into_body().collect_bytes().await.unwrap();
            let mut sent: Value = serde_json::from_slice(&sent).unwrap_or_default();
            let preconditions = sent["preconditions"].take();
            let call = Call { method, kind, is_dry_run, preconditions };
            let number = calls.lock().unwrap().len();
            calls.lock().unwrap().push(call.clone());
            let Some((status, body)) = answer(number, &call) else {
                return std::future::pending().await;
            };
            let response = Response::builder().status(status);
            let response = match status {
                StatusCode::IM_A_TEAPOT => response.status(StatusCode::OK),
                _ => response.header(DATE, "Thu, 26 Nov 2026 19:41:54 GMT"),
            };
            Ok::<_, Infallible>(response.body(Body::from(body.to_string().into_bytes())).unwrap())
        }
    });
    let objects = CaObjects {
        ca_secret: "callgate-ca".to_owned(),
        ca_secret_namespace: None,
        mutating_configuration: "callgate".to_owned(),
        validating_configuration: "callgate".to_owned(),
    };
    let (kept, mut news) = unbounded_channel();
    let asked = Arc::<Mutex<Vec<bool>>>::default();
    let asking = Arc::clone(&asked);
    let decide = move |seen: Option<Observed<'_>>| {
        asking.lock().unwrap().push(seen.is_some());
        Ok(seen.map(|it| Write {
            store: it
                .secret
                .is_none_or(|it| !it.contains_key("ca.crt"))
                .then(|| ("create", SecretData::from([("ca.crt".into(), b"CA".into())]))),
            bundle: "CA".to_owned(),
        }))
    };
    let client = Client::new(service, "callgate-system");
    let reconciling = reconcile(client, &objects, Duration::from_mins(1), decide, move |it| {
        kept.send(it).unwrap();
    });
    assert!(timeout(time, Box::pin(reconciling)).await.is_err(), "it ends");
    news.close();
    let mut kept = Vec::new();
    while let Some(it) = news.recv().await {
        kept.push(it);
    }
    let calls = calls.lock().unwrap().clone();
    let asked = asked.lock().unwrap().clone();
    (calls, kept, asked)
}

fn status(code: StatusCode, reason: &str) -> (StatusCode, Value) {
    let body = json!({
        "apiVersion": "v1", "kind": "Status", "status": "Failure",
        "reason": reason, "message": reason, "code": code.as_u16(),
    });
    (code, body)
}

fn secret() -> (StatusCode, Value) {
    let metadata = json!({ "name": "callgate-ca", "resourceVersion": "7" });
    let body = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": { "ca.crt": "Q0E=" },
    });
    (StatusCode::OK, body)
}

/// A Secret without our data, in which nothing can be changed.
fn immutable_secret() -> (StatusCode, Value) {
    let metadata = json!({ "name": "callgate-ca", "resourceVersion": "5", "uid": "old" });
    let body =
        json!({ "apiVersion": "v1", "kind": "Secret", "metadata": metadata, "immutable": true });
    (StatusCode::OK, body)
}

fn configuration(call: &Call, bundle: &str) -> (StatusCode, Value) {
    let client = json!({ "caBundle": bundle });
    let body = json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": call.kind,
        "metadata": { "name": "callgate", "resourceVersion": "3" },
        "webhooks": [{ "name": "it.callgate.dev", "clientConfig": client }],
    });
    (StatusCode::OK, body)
}

/// The answer of an API server on which everything is correct.
fn well(call: &Call) -> (StatusCode, Value) {
    if call.kind == "Secret" { secret() } else { configuration(call, "Q0E=") }
}

fn of(calls: &[Call]) -> Vec<String> {
    let name = |it: &Call| {
        let dry_run = if it.is_dry_run { " (dry run)" } else { "" };
        format!("{} {}{dry_run}", it.method, it.kind)
    };
    calls.iter().map(name).collect()
}

/// Whether these are the reads of one round, the configurations in any order.
fn is_look(calls: &[String]) -> bool {
    let [one, two, last] = calls else { return false };
    let mut both = [one, two];
    both.sort();
    both == ["GET MutatingWebhookConfiguration", "GET ValidatingWebhookConfiguration"]
        && last == "GET Secret"
}

#[tokio::test(start_paused = true)]
async fn the_secret_is_read_after_the_configurations_and_nothing_is_written_without_need() {
    let (calls, kept, asked) = an_hour_with(|_, call| Some(well(call))).await;
    assert!(of(&calls).chunks(3).all(is_look));
    assert_eq!((kept, calls.len(), asked.len()), (vec![], 180, 60));
}

#[tokio::test(start_paused = true)]
async fn the_second_creator_reads_the_secret_of_the_first() {
    let (calls, kept, _) = an_hour_with(|number, call| {
        Some(match (number, &call.method) {
            (2, _) => status(StatusCode::NOT_FOUND, "NotFound"),
            (3, &Method::POST) => status(StatusCode::CONFLICT, "AlreadyExists"),
            _ => well(call),
        })
    })
    .await;
    let calls = of(&calls);
    assert!(is_look(&calls[..3]));
    assert_eq!(calls[3], "POST Secret");
    assert!(is_look(&calls[4..7]), "it looks again at once");
    assert_eq!(kept, []);
}

#[tokio::test(start_paused = true)]
async fn only_a_ca_bundle_that_differs_is_replaced_and_a_conflict_is_no_failure() {
    let (calls, kept, _) = an_hour_with(|number, call| {
        Some(match (number, &call.method) {
            (0..=6, &Method::GET) if call.kind.starts_with("Mutating") => configuration(call, ""),
            (3, &Method::PATCH) => status(StatusCode::CONFLICT, "Conflict"),
            _ => well(call),
        })
    })
    .await;
    let calls = of(&calls);
    assert_eq!(calls[3], "PATCH MutatingWebhookConfiguration");
    assert!(is_look(&calls[4..7]), "it looks again at once");
    assert_eq!(calls[7], "PATCH MutatingWebhookConfiguration");
    assert_eq!(calls.iter().filter(|it| it.starts_with("PATCH")).count(), 2);
    assert_eq!(kept, [CaEvent::Published]);
}

#[tokio::test(start_paused = true)]
async fn an_api_server_that_does_not_answer_is_waited_for() {
    let (calls, kept, asked) = an_hour_with(|_, _| None).await;
    // Both configurations at once and then the Secret, with ten seconds each, and then a pause of
    // thirty seconds, scaled by this replica's jitter.
    assert!((62..92).contains(&kept.len()), "{} attempts in an hour", kept.len());
    assert!(kept.iter().all(|it| *it == CaEvent::Failed));
    // The hour may end within an attempt, depending on this replica's jitter.
    let ended = asked.len().max(kept.len());
    assert!((ended..=ended + 1).contains(&calls.len().div_ceil(3)), "{} calls", calls.len());
    assert!(asked.iter().all(|it| !it), "the leaf can be renewed from memory");
}

#[tokio::test(start_paused = true)]
async fn an_api_server_that_comes_back_is_heard() {
    let (calls, kept, asked) = an_hour_with(|number, call| {
        Some(match number {
            0..9 => status(StatusCode::INTERNAL_SERVER_ERROR, "InternalError"),
            _ => well(call),
        })
    })
    .await;
    assert_eq!(kept, [CaEvent::Failed; 3]);
    assert_eq!(asked[..4], [false, false, false, true]);
    assert!(is_look(&of(&calls[9..12])));
}

/// A round has three calls here and takes no time; a write starts another round.
#[tokio::test(start_paused = true)]
async fn a_ca_bundle_overwritten_endlessly_is_restored_four_times_a_second_and_the_leaf_renewed() {
    let (calls, kept, asked) = a_while_with(Duration::from_mins(1), |_, call| {
        Some(if call.kind == "Secret" { secret() } else { configuration(call, "") })
    })
    .await;
    let writes = of(&calls).iter().filter(|it| it.starts_with("PATCH")).count();
    // Two configurations, each with ten writes at first, and then one every 200 to 300 ms.
    assert!((2 * (10 + 180)..=2 * (10 + 302)).contains(&writes), "{writes} writes");
    assert!(asked.len() > writes / 2 && asked.iter().all(|it| *it));
    assert!(!kept.contains(&CaEvent::Failed));
}

#[tokio::test(start_paused = true)]
async fn a_write_that_conflicts_again_and_again_is_a_failure() {
    let (calls, kept, _) = a_while_with(Duration::from_mins(1), |_, call| {
        Some(match (&*call.kind, &call.method) {
            ("Secret", &Method::GET) => status(StatusCode::NOT_FOUND, "NotFound"),
            ("Secret", _) => status(StatusCode::CONFLICT, "AlreadyExists"),
            _ => well(call),
        })
    })
    .await;
    assert!(kept.contains(&CaEvent::Failed) && !kept.contains(&CaEvent::Stored("create")));
    assert!(calls.len() < 4 * 40, "{} calls", calls.len());
}

#[tokio::test(start_paused = true)]
async fn an_api_server_without_a_clock_is_not_listened_to() {
    let (calls, kept, asked) = an_hour_with(|_, call| {
        let (_, body) = well(call);
        Some((StatusCode::IM_A_TEAPOT, body))
    })
    .await;
    assert!(kept.len() > 60 && kept.iter().all(|it| *it == CaEvent::Failed));
    assert!(asked.iter().all(|it| !it), "the leaf can be renewed from memory");
    assert!(of(&calls).chunks(3).all(is_look), "nothing is written");
}

#[tokio::test(start_paused = true)]
async fn a_secret_that_we_may_not_write_does_not_make_us_hurry() {
    let (calls, kept, _) = an_hour_with(|_, call| {
        Some(match (&*call.kind, &call.method) {
            ("Secret", &Method::GET) => status(StatusCode::NOT_FOUND, "NotFound"),
            ("Secret", _) => status(StatusCode::FORBIDDEN, "Forbidden"),
            _ => well(call),
        })
    })
    .await;
    assert!((98..160).contains(&kept.len()), "{} attempts in an hour", kept.len());
    assert!(!of(&calls).iter().any(|it| it.starts_with("PATCH")), "nothing to publish");
}

#[tokio::test(start_paused = true)]
async fn a_missing_configuration_does_not_prevent_the_ca_bundle_of_the_other() {
    let (calls, kept, _) = an_hour_with(|_, call| {
        Some(match (&*call.kind, &call.method) {
            ("MutatingWebhookConfiguration", _) => status(StatusCode::NOT_FOUND, "NotFound"),
            ("ValidatingWebhookConfiguration", _) => configuration(call, ""),
            _ => well(call),
        })
    })
    .await;
    assert_eq!(of(&calls)[3], "PATCH ValidatingWebhookConfiguration");
    assert_eq!(kept[..2], [CaEvent::Published, CaEvent::Failed]);
    assert!(!of(&calls).contains(&"PATCH MutatingWebhookConfiguration".to_owned()));
}

/// How an API server answers to writes of an immutable Secret that exists.
fn keeps(call: &Call) -> (StatusCode, Value) {
    match (&*call.kind, &call.method) {
        ("Secret", &Method::GET) => immutable_secret(),
        ("Secret", &Method::POST) => status(StatusCode::CONFLICT, "AlreadyExists"),
        ("Secret", &Method::PUT) => status(StatusCode::UNPROCESSABLE_ENTITY, "Invalid"),
        ("Secret", &Method::DELETE) => {
            (StatusCode::OK, json!({ "apiVersion": "v1", "kind": "Status", "status": "Success" }))
        }
        _ => well(call),
    }
}

#[tokio::test(start_paused = true)]
async fn an_immutable_secret_is_recreated() {
    let (calls, kept, _) = an_hour_with(|number, call| {
        // The third write comes after the deletion.
        Some(if number < 5 { keeps(call) } else { well(call) })
    })
    .await;
    let writes = ["POST Secret (dry run)", "DELETE Secret", "POST Secret"];
    assert_eq!(of(&calls[3..6]), writes);
    assert_eq!(calls[4].preconditions, json!({ "resourceVersion": "5", "uid": "old" }));
    assert!(of(&calls[6..]).chunks(3).all(is_look), "nothing else is written");
    assert_eq!(kept, [CaEvent::Stored("create")]);
}

#[tokio::test(start_paused = true)]
async fn an_immutable_secret_is_not_deleted_if_no_other_may_be_created() {
    let (calls, kept, _) = an_hour_with(|_, call| {
        Some(match (&*call.kind, &call.method) {
            ("Secret", &Method::POST) => status(StatusCode::FORBIDDEN, "Forbidden"),
            _ => keeps(call),
        })
    })
    .await;
    let writes = of(&calls).into_iter().filter(|it| !it.starts_with("GET"));
    assert!(kept.len() > 60 && kept.iter().all(|it| *it == CaEvent::Failed));
    assert!(
        writes.clone().count() > 60 && writes.into_iter().all(|it| it == "POST Secret (dry run)")
    );
}
