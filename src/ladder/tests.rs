//! The steps of one namespace, by all that is known of it.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use rstest::rstest;
use serde_json::{Value, json};

use super::*;
use crate::{
    api::{EvidenceFinding, EvidenceOwner, SeccompEvidenceStatus},
    pod::Kind,
    policy::{Builtin, Labels, Mode, PolicyIndex},
    scan::{NamespaceOverview, Scan, SeenDenial, World},
    watch::ManagedField,
};

const WEEK: (SignedDuration, &str) = (SignedDuration::from_hours(7 * 24), "7d");

fn time(text: &str) -> Timestamp {
    format!("2026-11-{text}:00Z").parse().expect("a time")
}

fn now() -> Timestamp {
    time("24T10:00")
}

/// What a scan says of namespace `shop`, with this pod in it.
fn scanned(pod: Option<&Value>) -> NamespaceOverview {
    let restricted = Builtin::named("restricted").expect("it is built in").policy();
    let labels = Labels { policy: Some("restricted".to_owned()), mode: Some("audit".to_owned()) };
    let namespaces = std::collections::BTreeMap::from([("shop".to_owned(), labels)]);
    let world = World {
        policy: None,
        fallback: restricted,
        index: PolicyIndex::of_cluster([], namespaces.clone(), None),
        namespaces,
        catalog: crate::profile::Catalog::default(),
        nodes: crate::placement::Nodes::default(),
        classes: crate::policy::RuntimeClasses::default(),
        today: jiff::civil::date(2026, 11, 24),
        unread: Vec::new(),
        seen: crate::scan::Seen::default(),
        is_selected: false,
    };
    let mut scan = Scan::new(&world);
    if let Some(pod) = pod {
        scan.take(Kind::Pod, &pod.to_string());
    }
    scan.finish(None, Vec::new()).namespaces.remove(0)
}

fn privileged() -> Value {
    json!({
        "metadata": { "name": "web-1", "namespace": "shop" },
        "spec": { "containers": [{ "name": "app", "securityContext": { "privileged": true } }] },
    })
}

fn found(owner: &str, last: Timestamp) -> EvidenceFinding {
    EvidenceFinding {
        policy: "restricted".to_owned(),
        rule: "privileged".to_owned(),
        owner: EvidenceOwner {
            api_version: "apps/v1".to_owned(),
            kind: "Deployment".to_owned(),
            name: owner.to_owned(),
        },
        field: "spec.containers[0] \"app\"".to_owned(),
        message: "privileged turns seccomp off".to_owned(),
        count: 3,
        first: Time(time("10T08:00")),
        last: Time(last),
    }
}

fn evidence(findings: Vec<EvidenceFinding>) -> SeccompEvidenceStatus {
    let last = findings.iter().map(|it| it.last.clone()).max();
    let pods = findings.iter().map(|it| it.count).sum();
    SeccompEvidenceStatus { pods, last, findings, unlisted: None }
}

/// What is known of a namespace in mode audit in which nothing was found.
fn known<'a>(status: &'a SeccompEvidenceStatus, scanned: &'a NamespaceOverview) -> Known<'a> {
    Known {
        name: "shop",
        policy: "restricted",
        mode: Mode::Audit,
        labelled: Some(time("10T08:00")),
        policy_changed: Ok(None),
        evidence: Some((time("10T08:01"), status)),
        scanned,
    }
}

#[test]
fn what_profiles_denied_is_shown_and_forbids_no_step() {
    let denied = |name: &str, last: &str, action: &str| {
        json!({
            "namespace": "shop", "pod": name, "uid": "u", "container": "app",
            "declared": "RuntimeDefault", "syscall": "mkdir", "architecture": "SCMP_ARCH_X86_64",
            "action": action, "count": 20, "last": format!("2026-11-{last}:00Z"),
        })
    };
    let calls = json!([
        denied("a", "23T10:00", "SCMP_ACT_ERRNO"),
        denied("b", "22T10:00", "SCMP_ACT_KILL"),
        denied("logged", "24T09:00", "SCMP_ACT_LOG"),
        denied("long ago", "17T09:59", "SCMP_ACT_ERRNO"),
    ]);
    let status = evidence(Vec::new());
    let mut scanned = scanned(None);
    scanned.denials = calls
        .as_array()
        .expect("a list")
        .iter()
        .map(|it| SeenDenial {
            node: "node-a".to_owned(),
            call: serde_json::from_value(it.clone()).expect("a call"),
        })
        .collect();
    let ladder = Ladder::new("7d".to_owned(), vec![climb(&known(&status, &scanned), WEEK, now())]);
    let text = text(&ladder);
    let lines: Vec<_> = text.lines().skip(1).filter(|it| !it.starts_with("    ")).collect();
    assert_eq!(
        lines,
        [
            "  by audit records, denied by profiles: 40 calls, the last one at 2026-11-23T10:00:00Z",
            "  warn: safe",
            "  enforce: safe",
            "",
        ]
    );
    let written = serde_json::to_value(&ladder).expect("it can be written");
    let denied = &written["namespaces"][0]["deniedCalls"];
    assert_eq!(*denied, json!({ "calls": 40, "last": "2026-11-23T10:00:00Z" }));
}

#[test]
fn after_a_week_without_a_finding_every_step_is_safe() {
    let (status, scanned) = (evidence(Vec::new()), scanned(None));
    let step = climb(&known(&status, &scanned), WEEK, now());
    let ladder = Ladder::new("7d".to_owned(), vec![step]);
    let expected = "\
shop: mode audit under policy \"restricted\", observed since 2026-11-10T08:01:00Z
  warn: safe
    kubectl label namespace shop callgate.dev/policy=restricted callgate.dev/mode=warn --overwrite
  enforce: safe
    kubectl label namespace shop callgate.dev/policy=restricted callgate.dev/mode=enforce --overwrite

";
    assert_eq!(text(&ladder), expected);
}

#[test]
fn a_finding_within_the_time_forbids_to_enforce_and_nothing_forbids_to_warn() {
    let status = evidence(vec![found("web", time("18T10:00")), found("api", time("11T10:00"))]);
    let scanned = scanned(Some(&privileged()));
    let step = climb(&known(&status, &scanned), WEEK, now());
    let ladder = Ladder::new("7d".to_owned(), vec![step]);
    let expected = "\
shop: mode audit under policy \"restricted\", observed since 2026-11-10T08:01:00Z
  6 pods denied, or would have been, the last one at 2026-11-18T10:00:00Z
  deployment \"web\": spec.containers[0] \"app\": privileged turns seccomp off [privileged], 3 times, last at 2026-11-18T10:00:00Z
  deployment \"api\": spec.containers[0] \"app\": privileged turns seccomp off [privileged], 3 times, last at 2026-11-11T10:00:00Z
  warn: safe
    kubectl label namespace shop callgate.dev/policy=restricted callgate.dev/mode=warn --overwrite
  enforce: not safe: pods of 1 of 1 workload would be denied (privileged); within the last 7d pods would have been denied: those of deployment \"web\" (privileged)

";
    assert_eq!(text(&ladder), expected);
}

/// The steps to mode enforce, after a change to what is known.
fn to_enforce(change: impl FnOnce(&mut Known<'_>)) -> Next {
    let (status, scanned) = (evidence(Vec::new()), scanned(None));
    let mut known = known(&status, &scanned);
    change(&mut known);
    climb(&known, WEEK, now()).next.pop().expect("there is a step")
}

#[rstest]
#[case::without_evidence(|it: &mut Known<'_>| it.evidence = None,
    "there is no evidence: the component \"evidence\" keeps it, in the namespaces that name a policy")]
#[case::young_evidence(|it: &mut Known<'_>| it.evidence = it.evidence.map(|(_, it)| (time("17T10:01"), it)),
    "observed since 2026-11-17T10:01:00Z, which is less than 7d")]
#[case::young_labels(|it: &mut Known<'_>| it.labelled = Some(time("24T09:00")),
    "observed since 2026-11-24T09:00:00Z, which is less than 7d")]
#[case::a_young_policy(|it: &mut Known<'_>| it.policy_changed = Ok(Some(time("20T09:00"))),
    "observed since 2026-11-20T09:00:00Z, which is less than 7d")]
#[case::labels_of_unknown_age(|it: &mut Known<'_>| it.labelled = None,
    "when the labels of the namespace were changed is not known: its managedFields do not say")]
#[case::a_policy_of_unknown_age(|it: &mut Known<'_>| it.policy_changed = Err("why".to_owned()), "why")]
fn what_is_not_known_is_not_safe(#[case] change: fn(&mut Known<'_>), #[case] reason: &str) {
    let next = to_enforce(change);
    assert_eq!(next.reasons, [reason]);
    assert_eq!((next.safe, next.command), (crate::scan::Safety::Unknown, None));
}

#[rstest]
#[case::exactly_a_week(|it: &mut Known<'_>| it.evidence = it.evidence.map(|(_, it)| (time("17T10:00"), it)))]
#[case::an_old_policy(|it: &mut Known<'_>| it.policy_changed = Ok(Some(time("02T10:00"))))]
#[case::mode_warn(|it: &mut Known<'_>| it.mode = Mode::Warn)]
fn what_is_old_enough_is_safe(#[case] change: fn(&mut Known<'_>)) {
    assert_eq!(to_enforce(change).safe, crate::scan::Safety::Yes);
}

#[test]
fn a_clock_that_is_behind_never_makes_a_step_safe() {
    // A replica's clock was ahead, so that its last finding is in the future.
    let status = evidence(vec![found("web", time("24T10:05"))]);
    let scanned = scanned(None);
    let step = climb(&known(&status, &scanned), WEEK, now());
    assert_eq!(step.next.last().map(|it| it.safe), Some(crate::scan::Safety::No));
}

#[test]
fn only_the_first_owners_are_named() {
    let all = ["a", "b", "c", "d", "e"].map(|it| found(it, time("23T10:00")));
    let (status, scanned) = (evidence(all.into()), scanned(None));
    let step = climb(&known(&status, &scanned), WEEK, now());
    let expected = "within the last 7d pods would have been denied: those of deployment \"a\" \
        (privileged), deployment \"b\" (privileged), deployment \"c\" (privileged) and of 2 other \
        owners";
    assert_eq!(step.next[1].reasons, [expected]);
}

#[test]
fn there_is_no_step_beyond_enforce() {
    let (status, scanned) = (evidence(Vec::new()), scanned(None));
    let known = Known { mode: Mode::Enforce, ..known(&status, &scanned) };
    assert_eq!(climb(&known, WEEK, now()).next, []);
}

fn entry(at: Option<&str>, fields: impl Into<Option<Value>>) -> ManagedField {
    ManagedField { time: at.map(time), fields: fields.into() }
}

fn labels(keys: &[&str]) -> Value {
    let keys = keys.iter().map(|it| (format!("f:callgate.dev/{it}"), json!({})));
    json!({ "f:metadata": { "f:labels": keys.collect::<serde_json::Map<_, _>>() } })
}

#[rstest]
#[case::one_manager(vec![entry(Some("10T08:00"), labels(&["policy", "mode"]))], Some("10T08:00"))]
#[case::the_later_of_two(
    vec![entry(Some("10T08:00"), labels(&["policy"])), entry(Some("12T08:00"), labels(&["mode"]))],
    Some("12T08:00")
)]
#[case::two_that_share_a_label(
    vec![entry(Some("12T08:00"), labels(&["policy", "mode"])), entry(Some("10T08:00"), labels(&["mode"]))],
    Some("12T08:00")
)]
#[case::others_do_not_count(
    vec![entry(Some("10T08:00"), labels(&["policy", "mode"])), entry(Some("12T08:00"), labels(&["team"]))],
    Some("10T08:00")
)]
#[case::an_entry_that_cannot_be_read_may_own_all(
    vec![entry(Some("10T08:00"), labels(&["policy", "mode"])), entry(Some("12T08:00"), None)],
    Some("12T08:00")
)]
#[case::a_label_without_an_owner(vec![entry(Some("10T08:00"), labels(&["policy"]))], None)]
#[case::an_owner_without_a_time(vec![entry(None, labels(&["policy", "mode"]))], None)]
#[case::none(vec![], None)]
fn the_last_change_of_labels_is_that_of_their_owners(
    #[case] entries: Vec<ManagedField>,
    #[case] expected: Option<&str>,
) {
    let changed = last_change(&entries, ["callgate.dev/policy", "callgate.dev/mode"]);
    assert_eq!(changed, expected.map(time));
}

#[test]
fn the_last_change_of_a_spec_is_not_that_of_the_status() {
    let spec = entry(Some("10T08:00"), json!({ "f:spec": { "f:rules": {} } }));
    let status = entry(Some("12T08:00"), json!({ "f:status": {} }));
    assert_eq!(last_change_of_spec(&[spec, status.clone()]), Some(time("10T08:00")));
    assert_eq!(last_change_of_spec(&[status]), None);
}
