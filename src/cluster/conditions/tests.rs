//! Conditions on simulated objects, and the requests to an API server.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    sync::{Arc, Mutex},
};

use http::{Request, Response, StatusCode};
use jiff::Timestamp;
use kube::client::Body;
use rstest::rstest;
use tower::service_fn;

use super::{plan::Plan, *};

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

/// Policies on a simulated API server that accepts a write only over the version that was read, and
/// replicas that watch them. Each replica sees a change one step later.
struct World {
    objects: BTreeMap<String, It>,
    /// Each replica, and its verdict.
    replicas: Vec<(Plan, Makes)>,
    start: std::time::Instant,
    elapsed: Duration,
    /// When each write happened, and by which replica.
    written: Vec<(Duration, usize)>,
    lost: usize,
}

#[derive(Clone, Default)]
struct It {
    generation: i64,
    version: u32,
    condition: Option<Condition>,
    /// Whether the replicas have seen its current version.
    is_seen: bool,
}

/// A replica's verdict on a generation.
type Makes = fn(i64) -> Verdict;

const STEP: Duration = Duration::from_millis(50);

fn yes(_: i64) -> Verdict {
    Verdict { status: "True", reason: "Valid", message: "namespaces can obey it".to_owned() }
}

fn no(_: i64) -> Verdict {
    Verdict { status: "False", reason: "Invalid", message: "there is no rule \"new\"".to_owned() }
}

/// For an object that changes from valid to invalid and back.
fn by_turns(generation: i64) -> Verdict {
    if generation % 2 == 0 { yes(generation) } else { no(generation) }
}

impl World {
    /// One policy, and a replica for each word.
    fn new(replicas: &str) -> Self {
        let mut world = Self::of(replicas, 0);
        world.change_spec("web");
        world
    }

    /// `count` policies.
    fn of(replicas: &str, count: usize) -> Self {
        let replicas = (0..).zip(replicas.split(' ')).map(|(seed, it)| {
            let makes: Makes = match it {
                "yes" => yes,
                "no" => no,
                _ => by_turns,
            };
            (Plan::new(Topic::Accepted, seed), makes)
        });
        let replicas = replicas.collect();
        let start = std::time::Instant::now();
        let (objects, written, lost) = (BTreeMap::new(), Vec::new(), 0);
        let elapsed = Duration::ZERO;
        let mut world = Self { objects, replicas, start, elapsed, written, lost };
        for at in 0..count {
            world.change_spec(&format!("policy-{at}"));
        }
        world
    }

    fn change_spec(&mut self, name: &str) {
        let object = self.objects.entry(name.to_owned()).or_default();
        object.generation += 1;
        object.version += 1;
        object.is_seen = false;
    }

    /// Every watch reports what has changed.
    fn deliver(&mut self) {
        let now = self.now().monotonic;
        for (name, object) in self.objects.iter_mut().filter(|(_, it)| !it.is_seen) {
            object.is_seen = true;
            let It { generation, version, condition, .. } = object.clone();
            for (plan, verdict) in &mut self.replicas {
                let (condition, wanted) = (condition.clone(), Wanted::Is(verdict(generation)));
                let version = version.to_string();
                let stored = Stored { generation, version, condition, wanted };
                plan.saw(ObjectType::Policy, name.clone(), stored, now);
            }
        }
    }

    fn now(&self) -> ClockReading {
        let wall = "2026-11-24T10:00:00Z".parse::<Timestamp>().unwrap() + self.elapsed;
        ClockReading { wall, monotonic: self.start + self.elapsed }
    }

    fn pass(&mut self, time: Duration) {
        let until = self.elapsed + time;
        while self.elapsed < until {
            self.deliver();
            let now = self.now();
            for replica in 0..self.replicas.len() {
                while let Some(write) = self.replicas[replica].0.next(now) {
                    let object = self.objects.get_mut(&write.name).expect("it is there");
                    if write.version == object.version.to_string() {
                        self.written.push((self.elapsed, replica));
                        object.condition = write.condition;
                        object.version += 1;
                        object.is_seen = false;
                    } else {
                        self.lost += 1;
                        self.replicas[replica].0.lost(&write, now.monotonic);
                    }
                }
            }
            self.elapsed += STEP;
        }
    }

    fn web(&self) -> &It {
        &self.objects["web"]
    }

    fn condition(&self) -> &Condition {
        self.web().condition.as_ref().expect("there is one")
    }

    fn is_reported(&self) -> bool {
        let is_one = |it: &It| {
            it.condition.as_ref().and_then(|it| it.observed_generation) == Some(it.generation)
        };
        self.objects.values().all(is_one)
    }
}

const MINUTE: Duration = Duration::from_mins(1);

#[test]
fn replicas_write_a_condition_once_for_each_spec() {
    let mut world = World::new("yes yes yes");
    world.pass(Duration::from_secs(2));
    let first = world.condition().clone();
    assert_eq!(first.observed_generation, Some(1));
    assert_eq!((&*first.type_, &*first.status), ("Accepted", "True"));
    for _ in 1..100 {
        world.pass(MINUTE);
        world.change_spec("web");
        world.pass(Duration::from_secs(2));
        assert!(world.is_reported(), "whoever changes the spec waits for a word");
    }
    assert_eq!(world.written.len(), 100);
    assert!(world.lost < 20, "{} conflicts", world.lost);
    let last = world.condition();
    assert_eq!(*last, Condition { observed_generation: Some(100), ..first });
}

#[test]
fn a_status_that_turns_says_since_when_and_what_was_said_before_is_written_over() {
    let mut world = World::new("by_turns");
    world.pass(MINUTE);
    let before = world.condition().last_transition_time.clone();
    world.change_spec("web");
    world.pass(MINUTE);
    assert_eq!(world.written.len(), 2);
    let since = &world.condition().last_transition_time;
    assert!((59..62).contains(&since.0.duration_since(before.0).as_secs()), "{since:?}");
    assert_eq!(world.condition().message, "namespaces can obey it");
}

#[test]
fn versions_that_disagree_write_once_a_minute_each() {
    let mut world = World::new("yes no");
    world.pass(60 * MINUTE);
    for replica in 0..2 {
        let of_one = world.written.iter().filter(|(_, it)| *it == replica);
        assert!((10..=61).contains(&of_one.count()), "{:?}", world.written);
    }
    world.change_spec("web");
    world.pass(Duration::from_secs(2));
    assert_eq!(world.condition().observed_generation, Some(2));
}

#[rstest]
#[case::three_replicas("yes yes yes", 20)]
#[case::as_fast_as_it_can_be_written("yes yes", 1)]
#[case::one_is_alone("yes", 20)]
#[case::the_condition_is_another_each_time("by_turns by_turns by_turns", 20)]
#[case::seldom_enough_to_be_left_alone_between("by_turns by_turns", 400)]
#[case::five_replicas_and_slow_updates("yes yes yes yes yes", 2000)]
#[case::versions_that_disagree("yes no", 20)]
fn a_storm_of_updates_is_answered_by_few_conditions_and_the_last_one_is_reported(
    #[case] replicas: &str,
    #[case] every_milliseconds: u64,
) {
    let mut world = World::new(replicas);
    let replicas = world.replicas.len();
    world.pass(MINUTE);
    let before = world.written.len() + world.lost;
    let every = Duration::from_millis(every_milliseconds);
    let mut next = world.elapsed;
    for _ in 0..1000 {
        world.change_spec("web");
        next += every;
        world.pass(next.saturating_sub(world.elapsed));
    }
    let minutes = usize::try_from(every_milliseconds * 1000 / 60_000).unwrap();
    let tried = world.written.len() + world.lost - before;
    // A few at the beginning, then one a minute for each replica, or with longer and longer pauses.
    let most = replicas * 8 + minutes * 7;
    assert!(tried <= most, "{tried} writes of {replicas} replicas in {minutes} minutes");
    world.pass(Duration::from_secs(15));
    assert!(world.is_reported(), "{:?}", world.condition());
    let generation = world.web().generation;
    let is_one =
        |(_, verdict): &(Plan, Makes)| verdict(generation).status == world.condition().status;
    assert!(world.replicas.iter().any(is_one), "{:?}", world.condition());
}

#[test]
fn many_objects_that_change_at_once_are_written_at_a_pace_and_once() {
    const COUNT: usize = 2000;
    let mut world = World::of("yes yes yes", COUNT);
    world.pass(Duration::from_secs(10));
    // A burst for each replica, then twenty a second.
    let tried = world.written.len() + world.lost;
    assert!(tried <= 3 * (50 + 10 * 20), "{tried} in ten seconds");
    world.pass(MINUTE);
    assert!(world.is_reported(), "{} of {COUNT}", world.written.len());
    assert_eq!(world.written.len(), COUNT);
    assert!(world.lost < COUNT / 10, "{} conflicts", world.lost);
}

#[test]
fn what_is_gone_is_not_written() {
    let mut world = World::new("yes");
    world.deliver();
    let later = |world: &World| {
        let now = world.now();
        ClockReading { monotonic: now.monotonic + MINUTE, ..now }
    };
    let now = later(&world);
    let (plan, _) = &mut world.replicas[0];
    assert!(plan.wake().is_some_and(|it| it <= now.monotonic));
    plan.gone(ObjectType::Policy, "web".to_owned());
    assert_eq!((plan.wake(), plan.next(now)), (None, None));
    world.change_spec("web");
    world.deliver();
    let (plan, _) = &mut world.replicas[0];
    plan.begins(ObjectType::Profile);
    assert!(plan.wake().is_some(), "a list of another type");
    plan.begins(ObjectType::Policy);
    assert_eq!(plan.wake(), None);
}

/// The outcome of a write that gets that status, and the request.
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
    let mut world = World::new("no");
    world.deliver();
    let mut now = world.now();
    now.monotonic += MINUTE;
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
async fn a_conflict_is_no_failure() {
    assert_eq!(written(StatusCode::CONFLICT).await.0, None);
    assert_eq!(written(StatusCode::UNPROCESSABLE_ENTITY).await.0, Some(Report::Failed));
}
