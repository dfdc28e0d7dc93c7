//! Conditions on simulated objects, and what is asked of an API server.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
};

use http::{Request, Response, StatusCode};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::client::Body;
use rstest::rstest;
use tower::service_fn;

use super::*;

#[rstest]
#[case::it_can_be_obeyed("web", json!({}), "True", "Valid", "namespaces can obey it")]
#[case::a_level_that_is_none(
    "web",
    json!({ "rules": { "unset": "Loud" } }),
    "False",
    "Invalid",
    "unknown variant `Loud`, expected one of `Off`, `Audit`, `Warn`, `Deny`"
)]
#[case::of_a_newer_version(
    "web",
    json!({ "rules": { "no-such-rule": "Warn" }, "extra": 1 }),
    "True",
    "UnknownFields",
    "namespaces can obey it, without what this version does not know: spec.extra; spec.rules.no-such-rule"
)]
#[case::a_reserved_name(
    "restricted",
    json!({}),
    "False",
    "Invalid",
    "the name is that of a built-in policy, which is obeyed instead"
)]
fn of_a_policy(
    #[case] name: &str,
    #[case] spec: Value,
    #[case] status: &str,
    #[case] reason: &str,
    #[case] message: &str,
) {
    let policy = json!({
        "apiVersion": "callgate.dev/v1alpha1", "kind": "SeccompPolicy",
        "metadata": { "name": name }, "spec": spec,
    });
    let verdict = Verdict::of_policy(&policy);
    assert_eq!((verdict.status, verdict.reason, &*verdict.message), (status, reason, message));
}

#[rstest]
#[case::it_can_be_named(
    json!({
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{ "names": ["mkdir"], "action": "SCMP_ACT_ERRNO" }],
    }),
    "True",
    "Valid",
    "pods can name it \"callgate/web.json\""
)]
#[case::it_stops_nothing(
    json!({ "defaultAction": "SCMP_ACT_LOG" }),
    "True",
    "Hollow",
    "\"callgate/web.json\" stops nothing: its defaultAction is SCMP_ACT_LOG and no rule denies anything"
)]
#[case::nothing_could_start(
    json!({ "defaultAction": "SCMP_ACT_EXPLODE" }),
    "False",
    "Invalid",
    "it is not one to run under:\n  spec.defaultAction: \"SCMP_ACT_EXPLODE\" is no action that the runtime knows, so no container starts [unknown-action]"
)]
fn of_a_profile(
    #[case] spec: Value,
    #[case] status: &str,
    #[case] reason: &str,
    #[case] message: &str,
) {
    let verdict = Verdict::of_profile(&json!({ "spec": spec }), "web");
    assert_eq!((verdict.status, verdict.reason, &*verdict.message), (status, reason, message));
}

/// One policy on an API server that takes what is written over what was read,
/// and replicas who watch it.
struct World {
    generation: i64,
    version: u32,
    condition: Option<Condition>,
    /// What each makes of it.
    replicas: Vec<(Plan, Verdict)>,
    start: std::time::Instant,
    seconds: u64,
    /// When who wrote.
    written: Vec<(u64, usize)>,
    lost: usize,
}

fn yes() -> Verdict {
    Verdict { status: "True", reason: "Valid", message: "namespaces can obey it".to_owned() }
}

fn no() -> Verdict {
    Verdict { status: "False", reason: "Invalid", message: "there is no rule \"new\"".to_owned() }
}

impl World {
    fn new(verdicts: &[Verdict]) -> Self {
        let replicas = verdicts.iter().map(|it| (Plan::default(), it.clone())).collect();
        let start = std::time::Instant::now();
        let (written, seconds, lost) = (Vec::new(), 0, 0);
        let mut world = Self {
            generation: 0,
            version: 0,
            condition: None,
            replicas,
            start,
            seconds,
            written,
            lost,
        };
        world.change_spec();
        world
    }

    fn change_spec(&mut self) {
        self.generation += 1;
        self.version += 1;
        self.tell();
    }

    /// Every watch tells of the object as it is.
    fn tell(&mut self) {
        let (generation, version) = (self.generation, self.version.to_string());
        for (plan, verdict) in &mut self.replicas {
            let (condition, verdict) = (self.condition.clone(), verdict.clone());
            let stored = Stored { generation, version: version.clone(), condition, verdict };
            plan.saw(Kind::Policy, "web".to_owned(), stored);
        }
    }

    fn now(&self) -> ClockReading {
        let after = Duration::from_secs(self.seconds);
        let wall = "2026-11-24T10:00:00Z".parse::<Timestamp>().unwrap() + after;
        ClockReading { wall, monotonic: self.start + after }
    }

    /// Each second all replicas decide before any of them hears of the others.
    fn pass(&mut self, seconds: u64) {
        for _ in 0..seconds {
            let now = self.now();
            let writes = self.replicas.iter_mut().map(|(plan, _)| plan.next(now));
            for (replica, write) in writes.collect::<Vec<_>>().into_iter().enumerate() {
                let Some(write) = write else { continue };
                if write.version == self.version.to_string() {
                    self.written.push((self.seconds, replica));
                    self.condition = Some(write.condition);
                    self.version += 1;
                } else {
                    self.lost += 1;
                }
            }
            self.tell();
            self.seconds += 1;
        }
    }

    fn since(&self) -> &Time {
        &self.condition.as_ref().expect("there is one").last_transition_time
    }
}

#[test]
fn replicas_write_a_condition_once_for_each_spec() {
    let mut world = World::new(&[yes(), yes(), yes()]);
    world.pass(3600);
    assert_eq!((world.written.len(), world.lost), (1, 2));
    let first = world.condition.clone().unwrap();
    assert_eq!(first.observed_generation, Some(1));
    assert_eq!((&*first.type_, &*first.status), ("Accepted", "True"));
    world.change_spec();
    world.pass(3600);
    assert_eq!(world.written, [(0, 0), (3600, 0)]);
    let second = world.condition.clone().unwrap();
    assert_eq!(second, Condition { observed_generation: Some(2), ..first });
}

#[test]
fn a_status_that_turns_says_since_when_and_what_was_said_before_is_written_over() {
    let mut world = World::new(&[no()]);
    world.pass(100);
    let before = world.since().clone();
    world.replicas[0].1 = yes();
    world.change_spec();
    world.pass(100);
    assert_eq!(world.written, [(0, 0), (100, 0)]);
    assert_eq!(world.since().0.duration_since(before.0).as_secs(), 100);
    assert_eq!(world.condition.unwrap().message, "namespaces can obey it");
}

#[test]
fn versions_that_disagree_write_once_a_minute_each() {
    let mut world = World::new(&[yes(), no()]);
    world.pass(3600);
    for replica in 0..2 {
        let of_one = world.written.iter().filter(|(_, it)| *it == replica);
        assert!(of_one.count() <= 60, "{:?}", world.written);
    }
    // Whoever changes the spec meanwhile has an answer at once.
    world.pass(7);
    world.change_spec();
    world.pass(1);
    assert_eq!(world.condition.unwrap().observed_generation, Some(2));
}

#[test]
fn what_is_gone_is_not_written() {
    let mut world = World::new(&[yes()]);
    let now = world.now();
    let (plan, _) = &mut world.replicas[0];
    assert_eq!(plan.wake(now.monotonic), Some(now.monotonic));
    plan.gone(Kind::Policy, "web".to_owned());
    assert_eq!((plan.wake(now.monotonic), plan.next(now)), (None, None));
    world.tell();
    let (plan, _) = &mut world.replicas[0];
    plan.begins(Kind::Profile);
    assert!(plan.wake(now.monotonic).is_some(), "a list of another type");
    plan.begins(Kind::Policy);
    assert_eq!(plan.wake(now.monotonic), None);
}

/// What becomes of a write that is answered so, and what was asked.
async fn written(status: StatusCode) -> (Option<Report>, String, Value) {
    let asked = Arc::<Mutex<Option<(String, Value)>>>::default();
    let seen = Arc::clone(&asked);
    let service = service_fn(move |request: Request<Body>| {
        let seen = Arc::clone(&seen);
        async move {
            let (head, body) = request.into_parts();
            let body = serde_json::from_slice(&body.collect_bytes().await.unwrap()).unwrap();
            *seen.lock().unwrap() = Some((format!("{} {}", head.method, head.uri), body));
            let body = if status.is_success() {
                json!({ "apiVersion": "v1", "kind": "It", "metadata": {} })
            } else {
                let reason = if status == StatusCode::CONFLICT { "Conflict" } else { "Invalid" };
                json!({
                    "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
                    "message": "no", "reason": reason, "code": status.as_u16(),
                })
            };
            let response = Response::builder().status(status);
            Ok::<_, Infallible>(response.body(Body::from(body.to_string().into_bytes())).unwrap())
        }
    });
    let mut world = World::new(&[no()]);
    let now = world.now();
    let it = world.replicas[0].0.next(now).unwrap();
    let report = write(&Client::new(service, "callgate-system"), &it).await;
    let (asked, body) = asked.lock().unwrap().take().unwrap();
    (report, asked, body)
}

#[tokio::test]
async fn only_our_condition_is_written_over_what_was_read() {
    let (report, asked, body) = written(StatusCode::OK).await;
    assert_eq!(report, Some(Report::Written));
    assert_eq!(
        asked,
        "PATCH /apis/callgate.dev/v1alpha1/seccomppolicies/web/status?&force=true&fieldManager=callgate"
    );
    let condition = json!({
        "type": "Accepted", "status": "False", "reason": "Invalid", "observedGeneration": 1,
        "message": "there is no rule \"new\"", "lastTransitionTime": "2026-11-24T10:00:00Z",
    });
    assert_eq!(
        body,
        json!({
            "apiVersion": "callgate.dev/v1alpha1", "kind": "SeccompPolicy",
            "metadata": { "name": "web", "resourceVersion": "1" },
            "status": { "conditions": [condition] },
        })
    );
}

#[tokio::test]
async fn a_lost_race_is_no_failure() {
    assert_eq!(written(StatusCode::CONFLICT).await.0, None);
    assert_eq!(written(StatusCode::UNPROCESSABLE_ENTITY).await.0, Some(Report::Failed));
}
