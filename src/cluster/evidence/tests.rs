//! Evidence with simulated clocks, and with an API server that refuses.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    time::{Duration, Instant},
};

use http::{Method, Response, StatusCode};
use jiff::Timestamp;
use kube::client::Body;
use proptest::prelude::*;
use serde_json::{Value, json};
use tower::service_fn;

use super::{tally::Tally, *};
use crate::api::{EvidenceOwner, SeccompEvidenceStatus};

fn pod(namespace: &str, owner: &str) -> Refused {
    let [api_version, kind] = ["apps/v1", "Deployment"].map(str::to_owned);
    let finding =
        ("privileged", "spec.containers[0] \"app\"".to_owned(), "is privileged".to_owned());
    Refused {
        namespace: namespace.to_owned(),
        policy: "restricted".to_owned(),
        owner: EvidenceOwner { api_version, kind, name: owner.to_owned() },
        findings: vec![finding],
    }
}

/// A reading of both clocks, that long after the start.
struct Clock(Instant);

impl Clock {
    fn new() -> Self {
        Self(Instant::now())
    }

    fn at(&self, after: Duration) -> ClockReading {
        let wall = "2026-11-24T10:00:00Z".parse::<Timestamp>().unwrap() + after;
        ClockReading { wall, monotonic: self.0 + after }
    }
}

/// The counts of a tally, as the object has them.
fn counts(tally: Tally) -> (i64, i64, usize) {
    let status = SeccompEvidenceStatus::from(tally);
    let listed: i64 = status.findings.iter().map(|it| it.count).sum();
    (listed, status.unlisted.unwrap_or_default(), status.findings.len())
}

/// When each namespace is written, and with how many pods, for pods that are denied at these times.
fn simulated(pods: &[(Duration, &'static str)]) -> BTreeMap<String, Vec<(Duration, i64)>> {
    let clock = Clock::new();
    let (mut ledger, mut written) = (Ledger::default(), BTreeMap::<_, Vec<_>>::new());
    let mut now = Duration::ZERO;
    let end = Duration::from_hours(3);
    for (until, namespace) in pods.iter().map(|(at, it)| (*at, Some(*it))).chain([(end, None)]) {
        while let Some(wake) = ledger.wake().filter(|it| it.duration_since(clock.0) < until) {
            now = now.max(wake.duration_since(clock.0));
            let write = ledger.next(clock.at(now).monotonic).expect("it wakes too early");
            ledger.written(&write.namespace);
            written.entry(write.namespace).or_default().push((now, write.tally.pods));
        }
        now = now.max(until);
        if let Some(it) = namespace {
            ledger.note(pod(it, "web"), clock.at(until));
        }
    }
    written
}

proptest! {
    #[test]
    fn a_namespace_is_written_once_a_minute_at_most_and_no_pod_is_lost(
        mut pods in prop::collection::vec(
            (0..7200_u64, prop::sample::select(vec!["shop", "bank"])), 0..200,
        ),
    ) {
        pods.sort_unstable();
        let pods: Vec<_> = pods.iter().map(|(at, it)| (Duration::from_secs(*at), *it)).collect();
        let written = simulated(&pods);
        for namespace in ["shop", "bank"] {
            let writes = written.get(namespace).cloned().unwrap_or_default();
            for pair in writes.windows(2) {
                prop_assert!(pair[1].0 >= pair[0].0 + Duration::from_mins(1), "{writes:?}");
            }
            let of_it: Vec<_> = pods.iter().filter(|it| it.1 == namespace).collect();
            let counted: i64 = writes.iter().map(|it| it.1).sum();
            prop_assert_eq!(usize::try_from(counted), Ok(of_it.len()));
            for (at, _) in of_it {
                let next = writes.iter().map(|it| it.0).find(|it| it >= at);
                let next = next.expect("it is written");
                prop_assert!(next <= *at + Duration::from_mins(1), "{at:?} {next:?}");
            }
        }
    }
}

#[test]
fn what_was_not_written_is_written_later_with_what_came_since() {
    let clock = Clock::new();
    let mut ledger = Ledger::default();
    let at = |seconds| clock.at(Duration::from_secs(seconds));
    ledger.note(pod("shop", "web"), at(0));
    let first = ledger.next(at(2).monotonic).unwrap();
    ledger.note(pod("shop", "web"), at(3));
    ledger.failed(first, at(3).monotonic);
    assert_eq!(ledger.next(at(62).monotonic), None);
    let second = ledger.next(at(63).monotonic).unwrap();
    assert_eq!(counts(second.tally.clone()), (2, 0, 1));
    // A second failure: twice the pause.
    ledger.failed(second, at(63).monotonic);
    assert_eq!(ledger.wake(), Some(at(183).monotonic));
    let third = ledger.next(at(183).monotonic).unwrap();
    ledger.conflicted(third, at(183).monotonic);
    assert_eq!(ledger.wake(), Some(at(187).monotonic));
    assert_eq!(counts(ledger.next(at(187).monotonic).unwrap().tally), (2, 0, 1));
    ledger.written("shop");
    assert_eq!(ledger.wake(), None);
}

#[test]
fn a_namespace_that_is_to_have_an_object_and_has_none_gets_one() {
    let clock = Clock::new();
    let mut ledger = Ledger::default();
    let now = clock.at(Duration::ZERO).monotonic;
    let names = |all: &[&str]| all.iter().map(|it| (*it).to_owned()).collect();
    ledger.wants(names(&["bank", "shop"]), now);
    assert_eq!(ledger.wake(), None, "what exists is not known yet");
    ledger.listed(names(&["bank", "old"]), now);
    let write = ledger.next(now).unwrap();
    assert_eq!((write.namespace.as_str(), write.tally.is_empty()), ("shop", true));
    assert_eq!(ledger.next(now), None);
    ledger.failed(write, now);
    assert_eq!(ledger.wake(), Some(now + Duration::from_mins(1)));
    ledger.gone("shop");
    assert_eq!(ledger.wake(), None);
    // It was deleted, and the next list shows it.
    ledger.listed(BTreeSet::new(), now);
    assert_eq!(ledger.next(now).unwrap().namespace, "bank");
}

#[test]
fn lists_are_bounded_and_what_was_found_last_stays() {
    let clock = Clock::new();
    let mut ledger = Ledger::default();
    for second in 0..10_000_u64 {
        ledger.note(pod("shop", &format!("web-{second}")), clock.at(Duration::from_secs(second)));
    }
    let tally = ledger.next(clock.at(Duration::from_hours(3)).monotonic).unwrap().tally;
    assert_eq!(counts(tally.clone()), (100, 9_900, 100));
    let mut status = SeccompEvidenceStatus::from(tally);
    status.findings.sort_by_key(|it| it.last.clone());
    let ends = [0, 99].map(|it: usize| status.findings[it].owner.name.clone());
    assert_eq!(ends, ["web-9900", "web-9999"]);
}

#[test]
fn all_namespaces_together_are_bounded_and_each_keeps_what_it_found() {
    let clock = Clock::new();
    let mut ledger = Ledger::default();
    let now = clock.at(Duration::ZERO);
    for namespace in 0..300 {
        for owner in 0..100 {
            ledger.note(pod(&format!("shop-{namespace}"), &format!("web-{owner}")), now);
        }
    }
    let (mut listed, mut found) = (0, 0);
    for second in 2..400 {
        let later = clock.at(Duration::from_secs(second)).monotonic;
        while let Some(it) = ledger.next(later) {
            let (all, unlisted, kept) = counts(it.tally);
            assert!(kept > 0, "{} has nothing", it.namespace);
            (listed, found) = (listed + kept, found + all + unlisted);
        }
    }
    assert_eq!(found, 30_000);
    assert_eq!(listed, 5_000 + 250);
}

#[test]
fn texts_that_are_too_long_for_the_object_are_cut() {
    let long = "ü".repeat(5_000);
    let mut pod = pod("shop", &long);
    pod.findings[0].1.clone_from(&long);
    pod.findings[0].2 = long;
    let pod = pod.shortened();
    let (_, field, message) = &pod.findings[0];
    assert_eq!([pod.owner.name.len(), field.len(), message.len()], [252, 512, 512]);
}

/// An API server that has this object, or none, and returns that status to writes; and the methods
/// and bodies of the requests that came.
async fn with_server(
    object: Option<Value>,
    status: StatusCode,
    work: impl AsyncFnOnce(Evidence),
) -> Vec<(Method, Value)> {
    let requests = Arc::<Mutex<Vec<(Method, Value)>>>::default();
    let seen = Arc::clone(&requests);
    let service = service_fn(move |request: http::Request<Body>| {
        let (seen, object) = (Arc::clone(&seen), object.clone());
        async move {
            let (parts, body) = request.into_parts();
            let body = body.collect_bytes().await.unwrap();
            let is_list = parts.uri.query().is_some_and(|it| it.contains("fieldSelector"));
            let not_found = json!({ "kind": "Status", "status": "Failure", "code": 404,
                "reason": "NotFound", "message": "there is none" });
            let (code, answer) = match (&parts.method, object) {
                (&Method::GET, _) if is_list => {
                    (StatusCode::OK, json!({ "metadata": {}, "items": [] }))
                }
                (&Method::GET, None) => (StatusCode::NOT_FOUND, not_found),
                (&Method::GET, Some(it)) => (StatusCode::OK, it),
                _ => (status, json!({ "metadata": { "name": NAME, "resourceVersion": "7" } })),
            };
            if !is_list {
                let body = serde_json::from_slice(&body).unwrap_or_default();
                seen.lock().unwrap().push((parts.method, body));
            }
            let answer =
                Response::builder().status(code).body(Body::from(answer.to_string().into_bytes()));
            Ok::<_, Infallible>(answer.unwrap())
        }
    });
    let (evidence, run) = keeper(Client::new(service, "callgate-system"), false, |_| {});
    let running = tokio::spawn(run);
    work(evidence).await;
    running.abort();
    Arc::try_unwrap(requests)
        .map_or_else(|it| it.lock().unwrap().clone(), |it| it.into_inner().unwrap())
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_stops_adds_what_it_has_to_what_is_stored() {
    let stored = json!({
        "metadata": { "name": NAME, "resourceVersion": "6" },
        "status": { "pods": 4, "last": "2026-11-24T10:00:00Z", "findings": [{
            "policy": "restricted", "rule": "privileged",
            "owner": { "apiVersion": "apps/v1", "kind": "Deployment", "name": "web" },
            "field": "spec.containers[0] \"app\"", "message": "was privileged", "count": 3,
            "first": "2026-11-24T09:00:00Z", "last": "2026-11-24T10:00:00Z",
        }] },
    });
    let requests = with_server(Some(stored), StatusCode::OK, async |evidence| {
        evidence.note(pod("shop", "web"));
        evidence.stop().await;
    });
    let requests = requests.await;
    let [(get, _), (patch, body)] = requests.as_slice() else { panic!("{requests:?}") };
    assert_eq!([get, patch], [Method::GET, Method::PATCH]);
    let status = &body["status"];
    assert_eq!([&body["metadata"]["resourceVersion"], &status["pods"]], [&json!("6"), &json!(5)]);
    let finding = &status["findings"][0];
    let expected = [&json!(4), &json!("2026-11-24T09:00:00Z"), &json!("is privileged")];
    assert_eq!([&finding["count"], &finding["first"], &finding["message"]], expected);
}

#[tokio::test(start_paused = true)]
async fn an_object_that_is_missing_is_created_and_one_that_cannot_be_read_is_replaced() {
    let strange = json!({
        "metadata": { "name": NAME, "resourceVersion": "6" }, "status": { "pods": "many" },
    });
    for (object, expected) in [
        (None, vec![Method::GET, Method::POST, Method::PATCH]),
        (Some(strange), vec![Method::GET, Method::PATCH]),
    ] {
        let requests = with_server(object, StatusCode::OK, async |evidence| {
            evidence.note(pod("shop", "web"));
            evidence.stop().await;
        });
        let requests = requests.await;
        let methods: Vec<_> = requests.iter().map(|it| it.0.clone()).collect();
        assert_eq!(methods, expected);
        let (_, last) = requests.last().unwrap();
        assert_eq!(last["status"]["pods"], 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_cannot_write_stops_after_a_few_seconds() {
    let began = tokio::time::Instant::now();
    let requests = with_server(None, StatusCode::FORBIDDEN, async |evidence| {
        evidence.note(pod("shop", "web"));
        evidence.stop().await;
    });
    assert!(!requests.await.is_empty());
    assert!(began.elapsed() >= LAST && began.elapsed() < 2 * LAST);
}
