//! Events with simulated clocks, and an API server that does not answer.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use http::{Method, Request, Response, StatusCode};
use kube::{Client, client::Body};
use proptest::prelude::*;
use rstest::rstest;
use serde_json::{Value, json};
use tokio::time::timeout;
use tower::service_fn;

use super::*;

fn denial(namespace: &str, uid: &str, why: &str) -> Denial {
    let owner = Owner {
        api_version: "apps/v1".to_owned(),
        kind: "ReplicaSet".to_owned(),
        name: "web-5d".to_owned(),
        uid: uid.to_owned(),
    };
    Denial { namespace: namespace.to_owned(), owner, why: why.to_owned(), times: 1 }
}

/// A reading of both clocks, that long after the start.
struct Clock(Instant);

impl Clock {
    fn at(&self, after: Duration) -> ClockReading {
        let wall = "2026-11-24T10:00:00.123456789Z".parse::<Timestamp>().unwrap() + after;
        ClockReading { wall, monotonic: self.0 + after }
    }
}

/// The Events written, and when, for these denials at these times, followed by an hour without any.
/// Also returns how many denials were dropped.
fn simulated(denials: &[(Duration, Denial)]) -> (Vec<(Duration, Occurrence)>, usize) {
    let clock = Clock(Instant::now());
    let (mut ledger, mut written, mut lost) = (Ledger::default(), Vec::new(), 0);
    let mut now = Duration::ZERO;
    let end = denials.last().map_or(Duration::ZERO, |it| it.0) + Duration::from_hours(1);
    let all = denials.iter().map(|(at, it)| (*at, Some(it)));
    for (until, denial) in all.chain([(end, None)]) {
        while let Some(wake) = ledger.wake() {
            let wake = wake.saturating_duration_since(clock.0);
            if wake >= until {
                break;
            }
            if wake > now {
                let just_before = clock.at(wake.saturating_sub(Duration::from_nanos(1)));
                assert_eq!(ledger.next(just_before), None, "it wakes too late");
                now = wake;
            }
            written.push((now, ledger.next(clock.at(now)).expect("it wakes too early")));
        }
        now = until;
        if let Some(denial) = denial {
            lost += usize::from(!ledger.note(denial.clone(), clock.at(now)));
        }
    }
    (written, lost)
}

#[test]
fn a_replica_set_denied_for_an_hour_leads_to_a_dozen_writes_of_one_event() {
    // Once a second: far more often than its controller retries.
    let all = (0..3600).map(|it| (Duration::from_secs(it), denial("shop", "u", "why")));
    let all: Vec<_> = all.collect();
    let (written, lost) = simulated(&all);
    let told: Vec<_> = written.iter().map(|(at, it)| (at.as_secs(), it.count)).collect();
    assert_eq!(
        told,
        [
            (0, 1),
            (5, 6),
            (15, 16),
            (35, 36),
            (75, 76),
            (155, 156),
            (315, 316),
            (635, 636),
            (1235, 1236),
            (1835, 1836),
            (2435, 2436),
            (3035, 3036),
            (3635, 3600),
        ]
    );
    assert!(written[0].1.is_new && written[1..].iter().all(|(_, it)| !it.is_new));
    let Occurrence { first, last, .. } = written[12].1;
    assert_eq!(last.duration_since(first).as_secs(), 3599);
    assert_eq!(lost, 0);
}

#[test]
fn a_burst_that_is_noted_at_once_is_one_event_with_its_count() {
    let burst = |times| Denial { times, ..denial("shop", "u", "why") };
    let all = [(Duration::ZERO, burst(20_000)), (Duration::from_secs(1), burst(17))];
    let (written, lost) = simulated(&all);
    let told: Vec<_> = written.iter().map(|(at, it)| (at.as_secs(), it.count)).collect();
    assert_eq!((told, lost), (vec![(0, 20_000), (5, 20_017)], 0));
}

#[test]
fn owners_reasons_and_namespaces_have_separate_events() {
    let all = [("shop", "u", "a"), ("shop", "u", "b"), ("shop", "v", "a"), ("bank", "u", "a")];
    let all = all.map(|(namespace, uid, why)| (Duration::ZERO, denial(namespace, uid, why)));
    let (written, _) = simulated(&all);
    let mut told: Vec<_> = written.into_iter().map(|(_, it)| (it.denial, it.count)).collect();
    told.sort_by_key(|(it, _)| format!("{it:?}"));
    let mut expected = all.map(|(_, it)| (it, 1));
    expected.sort_by_key(|(it, _)| format!("{it:?}"));
    assert_eq!(told, expected);
}

#[test]
fn after_half_an_hour_of_silence_another_series_begins() {
    let again = |minutes| (Duration::from_mins(minutes), denial("shop", "u", "why"));
    let (written, _) = simulated(&[again(0), again(29), again(59)]);
    let told: Vec<_> = written.iter().map(|(_, it)| (it.is_new, it.count)).collect();
    assert_eq!(told, [(true, 1), (false, 2), (true, 1)]);
    assert_ne!(written[0].1.first, written[2].1.first);
}

#[test]
fn one_namespace_does_not_take_the_room_of_another() {
    let mut all = vec![(Duration::ZERO, denial("shop", "u", "why"))];
    let soon = Duration::from_secs(1);
    all.extend((0..10_000).map(|it| (soon, denial("flood", &it.to_string(), "why"))));
    all.push((2 * soon, denial("shop", "u", "why")));
    let (written, lost) = simulated(&all);
    assert_eq!((lost, written.len()), (10_000 - 32, 34));
    let mut shop = written.iter().filter(|(_, it)| it.denial.namespace == "shop");
    assert_eq!(shop.next_back().unwrap().1.count, 2);
}

#[test]
fn all_together_have_room_for_512_and_are_written_one_by_one() {
    let denials = (0..600).map(|it| (Duration::ZERO, denial(&format!("n-{it}"), "u", "why")));
    let (written, lost) = simulated(&denials.collect::<Vec<_>>());
    assert_eq!((lost, written.len()), (600 - 512, 512));
    let seconds: Vec<_> = written.iter().map(|(at, _)| at.as_secs()).collect();
    let expected = std::iter::repeat_n(0, 50).chain(1..=462);
    assert_eq!(seconds, expected.collect::<Vec<_>>());
}

/// Denials of few enough owners for the ledger to keep all, close together and far apart.
fn denials() -> impl Strategy<Value = Vec<(Duration, Denial)>> {
    let pause = prop_oneof![20 => 0_u64..20, 60 => 0_u64..20_000, 1 => 0_u64..4_000_000];
    let step = (pause, 0_usize..3, 0_usize..32);
    proptest::collection::vec(step, 1..400).prop_map(|steps| {
        let mut at = Duration::ZERO;
        let step = |(pause, namespace, uid): (u64, usize, usize)| {
            at += Duration::from_millis(pause);
            (at, denial(["a", "b", "c"][namespace], &uid.to_string(), "why"))
        };
        steps.into_iter().map(step).collect()
    })
}

proptest! {
    #[test]
    fn every_denial_is_counted_once(all in denials()) {
        let (written, lost) = simulated(&all);
        let told: u32 = counts(&written).into_iter().sum();
        prop_assert_eq!((usize::try_from(told).unwrap(), lost), (all.len(), 0));
    }

    #[test]
    fn writes_are_few_for_any_number_of_denials(all in denials()) {
        let (written, _) = simulated(&all);
        for (from, (start, _)) in written.iter().enumerate() {
            for (more, (end, _)) in written[from..].iter().enumerate() {
                let seconds = usize::try_from(end.saturating_sub(*start).as_secs()).unwrap();
                prop_assert!(more <= 50 + seconds, "{more} writes after the one at {start:?}");
            }
        }
        let mut last = BTreeMap::new();
        for (at, it) in &written {
            let key = (&it.denial.namespace, &it.denial.owner.uid, it.first);
            let before = last.insert(key, *at);
            prop_assert_eq!(before.is_none(), it.is_new);
            prop_assert!(before.is_none_or(|it| *at >= it + Duration::from_secs(5)));
        }
    }
}

/// The last count that was written of each series.
fn counts(written: &[(Duration, Occurrence)]) -> Vec<u32> {
    let mut last = BTreeMap::new();
    for (_, it) in written {
        let Denial { namespace, owner, why, .. } = &it.denial;
        last.insert((namespace, &owner.uid, why, it.first), it.count);
    }
    last.into_values().collect()
}

fn occurrence(count: u32) -> Occurrence {
    let clock = Clock(Instant::now());
    let (first, last) = (clock.at(Duration::ZERO).wall, clock.at(Duration::from_secs(90)).wall);
    let denial = denial("shop", "4f1c", "policy \"restricted\" denies pod");
    Occurrence { denial, first, last, count, is_new: count == 1 }
}

#[test]
fn an_event_is_what_the_api_server_takes_and_kubectl_shows() {
    let written =
        |count| serde_json::to_value(event("callgate-7c", What::POD, &occurrence(count))).unwrap();
    let mut expected = json!({
        "apiVersion": "events.k8s.io/v1", "kind": "Event",
        "metadata": { "name": "web-5d.18eaf2d578750d15", "namespace": "shop" },
        "eventTime": "2026-11-24T10:00:00.123456Z",
        "type": "Warning", "reason": "SeccompRefused", "action": "CreatePod",
        "note": "policy \"restricted\" denies pod",
        "regarding": {
            "apiVersion": "apps/v1", "kind": "ReplicaSet", "namespace": "shop",
            "name": "web-5d", "uid": "4f1c",
        },
        "reportingController": "callgate", "reportingInstance": "callgate-7c",
    });
    assert_eq!(written(1), expected);
    expected["series"] = json!({ "count": 7, "lastObservedTime": "2026-11-24T10:01:30.123456Z" });
    assert_eq!(written(7), expected);
}

#[test]
fn an_event_about_a_call_has_a_reason_of_its_own() {
    let event = event("node-a", What::CALL, &occurrence(1));
    assert_eq!(event.reason.as_deref(), Some("SeccompDenied"));
    assert_eq!(event.action.as_deref(), Some("SystemCall"));
}

#[test]
fn a_long_name_is_cut_where_a_name_may_end() {
    let first = "2026-11-24T10:00:00Z".parse().unwrap();
    let long = format!("{}-.{}", "a".repeat(234), "b".repeat(17));
    assert_eq!(long.len(), 253);
    assert_eq!(name_of(&long, first), format!("{}.18eaf2d571194000", "a".repeat(234)));
}

#[test]
fn what_is_too_long_is_cut_and_what_cannot_be_is_left_out() {
    let all = denial("shop", "u", &"ä".repeat(600)).shortened().unwrap();
    assert_eq!((all.why.len(), all.why.chars().last()), (1023, Some('…')));
    let exact = "a".repeat(1024);
    assert_eq!(denial("shop", "u", &exact).shortened().unwrap().why, exact);
    assert_eq!(denial("shop", &"u".repeat(254), "why").shortened(), None);
}

/// The name of an Event begins with that of its owner, and is part of the path by which the Event
/// is patched.
#[rstest]
#[case::another_event("victim.18eaf2d571194000?x=")]
#[case::what_stands_beside_events("../configmaps/victim")]
#[case::a_part_of_one("victim/status")]
#[case::the_end_of_a_path("victim#")]
#[case::written_otherwise("victim%2fstatus")]
#[case::letters_of_no_event("Web")]
#[case::none_at_all("")]
fn an_owner_whose_name_would_change_the_path_gets_no_event(#[case] name: &str) {
    let mut all = denial("shop", "u", "why");
    assert!(all.clone().shortened().is_some());
    all.owner.name = name.to_owned();
    assert_eq!(all.shortened(), None);
}

/// The requests to an API server.
type Asked = Arc<Mutex<Vec<(String, Value)>>>;

/// An API server that gives that answer; `None` if it never answers.
fn api(answer: fn(&Method) -> Option<StatusCode>) -> (Client, Asked) {
    let asked = Asked::default();
    let seen = Arc::clone(&asked);
    let service = service_fn(move |request: Request<Body>| {
        let seen = Arc::clone(&seen);
        async move {
            let (head, body) = request.into_parts();
            let body: Value = serde_json::from_slice(&body.collect_bytes().await.unwrap()).unwrap();
            seen.lock().unwrap().push((format!("{} {}", head.method, head.uri.path()), body));
            let Some(status) = answer(&head.method) else {
                return std::future::pending().await;
            };
            let body = if status.is_success() {
                json!({ "metadata": {} })
            } else {
                json!({
                    "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
                    "message": "no", "reason": "NotFound", "code": status.as_u16(),
                })
            };
            let response = Response::builder().status(status);
            Ok::<_, Infallible>(response.body(Body::from(body.to_string().into_bytes())).unwrap())
        }
    });
    (Client::new(service, "callgate-system"), asked)
}

const EVENTS: &str = "/apis/events.k8s.io/v1/namespaces/shop/events";

#[tokio::test]
async fn of_an_event_that_is_there_only_the_series_is_written() {
    let (client, asked) = api(|_| Some(StatusCode::OK));
    assert_eq!(write(&client, "callgate-7c", What::POD, &occurrence(1)).await, Report::Written);
    assert_eq!(write(&client, "callgate-7c", What::POD, &occurrence(7)).await, Report::Written);
    let asked = asked.lock().unwrap();
    let whole = serde_json::to_value(event("callgate-7c", What::POD, &occurrence(1))).unwrap();
    assert_eq!(asked[0], (format!("POST {EVENTS}"), whole.clone()));
    let name = whole["metadata"]["name"].as_str().unwrap();
    let series = json!({ "count": 7, "lastObservedTime": "2026-11-24T10:01:30.123456Z" });
    assert_eq!(asked[1], (format!("PATCH {EVENTS}/{name}"), json!({ "series": series })));
}

#[tokio::test]
async fn an_event_that_has_ended_is_written_whole() {
    let (client, asked) = api(|method| {
        Some(if method == Method::PATCH { StatusCode::NOT_FOUND } else { StatusCode::CREATED })
    });
    assert_eq!(write(&client, "callgate-7c", What::POD, &occurrence(7)).await, Report::Written);
    let whole = serde_json::to_value(event("callgate-7c", What::POD, &occurrence(7))).unwrap();
    assert_eq!(asked.lock().unwrap()[1], (format!("POST {EVENTS}"), whole));
}

#[tokio::test(start_paused = true)]
async fn while_the_api_server_does_not_answer_the_queue_is_bounded_and_no_request_waits() {
    let (client, asked) = api(|_| None);
    let reports = Arc::<Mutex<Vec<Report>>>::default();
    let heard = Arc::clone(&reports);
    let told = move |it| heard.lock().unwrap().push(it);
    let (tell, write) = reporter(client, "callgate-7c".to_owned(), What::POD, told);
    let of = |report| reports.lock().unwrap().iter().filter(|it| **it == report).count();
    for uid in 0..1000 {
        tell(denial("shop", &uid.to_string(), "why"));
    }
    assert_eq!(of(Report::Dropped), 1000 - 256, "told at once, before anything was awaited");
    assert!(timeout(Duration::from_hours(1), write).await.is_err(), "it ends");
    assert_eq!(of(Report::Written), 0);
    // Each was tried once at most.
    assert_eq!(of(Report::Dropped) + of(Report::Failed), 1000);
    assert_eq!(asked.lock().unwrap().len(), of(Report::Failed));
}
