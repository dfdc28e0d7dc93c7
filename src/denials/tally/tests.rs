//! Records and processes that the tests write.

use super::*;
use crate::witness::{
    Declared,
    fixture::{self, id},
};

const START: i64 = 1_795_835_000;
const DAY: i64 = 86_400;
const MKDIR: u32 = 83;
const ERRNO: u32 = 0x5_0000;
const X86_64: u32 = 0xc000_003e;

fn tally() -> Tally {
    Tally::new(Architecture::of_node("amd64"), START)
}

/// A node with so many pods, each of one container under the same profile.
fn node(count: usize) -> Pods {
    fixture::node(&vec![Declared::Localhost("callgate/web.json".to_owned()); count])
}

fn record(after: i64, architecture: u32, call: u32, action: u32) -> Record {
    Record { at: START + after, process: 1, command: Vec::new(), architecture, call, action }
}

fn mkdir(after: i64) -> Record {
    record(after, X86_64, MKDIR, ERRNO)
}

/// Pod, architecture, call, action and count.
fn listed(tally: &Tally) -> Vec<(String, String, String, String, u64)> {
    let all = tally.report().calls.into_iter();
    all.map(|it| (it.place.pod, it.architecture, it.syscall, it.action, it.count)).collect()
}

fn entry(
    pod: &str,
    architecture: &str,
    call: &str,
    action: &str,
    count: u64,
) -> (String, String, String, String, u64) {
    let [pod, architecture, call, action] =
        [pod, &format!("SCMP_ARCH_{architecture}"), call, &format!("SCMP_ACT_{action}")]
            .map(str::to_owned);
    (pod, architecture, call, action, count)
}

#[test]
fn calls_are_counted_by_container_call_architecture_and_action() {
    let mut tally = tally();
    for (container, architecture, call, action, times) in [
        (1, X86_64, MKDIR, ERRNO, 3),
        (0, X86_64, MKDIR, ERRNO, 2),
        (0, X86_64, MKDIR, 0x7ffc_0000, 1),
        (0, X86_64, MKDIR, 0x8000_0000, 1),
        (0, X86_64, MKDIR, 0, 1),
        (0, X86_64, MKDIR, 0x3_0000, 1),
        (0, X86_64, MKDIR, 0x7ff0_0000, 1),
        (0, X86_64, MKDIR, 0x7fc0_0000, 1),
        // i386, x32 and a call that no table has.
        (0, 0x4000_0003, 39, ERRNO, 1),
        (0, X86_64, 0x4000_0053, ERRNO, 1),
        (0, X86_64, 9999, ERRNO, 1),
    ] {
        for _ in 0..times {
            tally.note(&record(0, architecture, call, action), Some(vec![id(container)]));
        }
    }
    assert_eq!(tally.settle(&node(2), START).len(), 11);
    assert_eq!(
        listed(&tally),
        [
            entry("pod-000", "X86", "mkdir", "ERRNO", 1),
            entry("pod-000", "X86_64", "mkdir", "KILL_THREAD", 1),
            entry("pod-000", "X86_64", "mkdir", "TRAP", 1),
            entry("pod-000", "X86_64", "mkdir", "ERRNO", 2),
            entry("pod-000", "X86_64", "mkdir", "NOTIFY", 1),
            entry("pod-000", "X86_64", "mkdir", "TRACE", 1),
            entry("pod-000", "X86_64", "mkdir", "LOG", 1),
            entry("pod-000", "X86_64", "mkdir", "KILL_PROCESS", 1),
            entry("pod-000", "X86_64", "9999", "ERRNO", 1),
            entry("pod-000", "X32", "mkdir", "ERRNO", 1),
            entry("pod-001", "X86_64", "mkdir", "ERRNO", 3),
        ]
    );
    assert_eq!(tally.totals().by_action["SCMP_ACT_ERRNO"], 8);
    assert_eq!(tally.totals().by_action["SCMP_ACT_LOG"], 1);
}

#[test]
fn an_architecture_of_other_machines_is_written_as_a_number() {
    let mut tally = tally();
    tally.note(&record(0, 0xc000_00b7, 34, ERRNO), Some(vec![id(0)]));
    tally.settle(&node(1), START);
    let call = tally.report().calls.remove(0);
    assert_eq!((&*call.architecture, &*call.syscall), ("0xc00000b7", "34"));
}

#[test]
fn what_processes_of_the_node_were_denied_is_only_counted() {
    let mut tally = tally();
    tally.note(&mkdir(0), Some(vec![]));
    tally.note(&mkdir(0), Some(vec![id(7)]));
    for _ in 0..=PATIENCE {
        assert_eq!(tally.totals().others, 1, "a container may still appear");
        assert_eq!(tally.settle(&node(1), START), []);
    }
    assert_eq!(tally.totals(), &Totals { others: 2, ..Totals::default() });
    assert_eq!(listed(&tally), []);
}

#[test]
fn a_call_waits_for_its_container_to_be_reported() {
    let mut tally = tally();
    tally.note(&mkdir(0), Some(vec![id(0)]));
    for _ in 0..PATIENCE {
        assert_eq!(tally.settle(&Pods::default(), START), []);
    }
    tally.note(&mkdir(9), Some(vec![id(0)]));
    let denied = tally.settle(&node(1), START);
    assert_eq!(denied.len(), 1);
    let call = &denied[0].call;
    assert_eq!(
        (&*call.place.namespace, &*call.place.uid, &*call.place.container),
        ("shop", "uid-0", "app")
    );
    assert_eq!(call.place.declared, Declared::Localhost("callgate/web.json".to_owned()));
    assert_eq!((call.count, call.last.as_second()), (2, START + 9));
    assert_eq!(tally.settle(&node(1), START), [], "it is found once");
}

#[test]
fn the_outermost_container_of_the_node_counts() {
    let mut tally = tally();
    // The node is a container itself, as in kind, and the container has one inside.
    tally.note(&mkdir(0), Some(vec![id(900), id(1), id(0)]));
    tally.settle(&node(2), START);
    assert_eq!(listed(&tally), [entry("pod-001", "X86_64", "mkdir", "ERRNO", 1)]);
}

#[test]
fn a_count_that_may_be_too_low_says_so() {
    type Harm = fn(&mut Tally);
    let harms: [Harm; 2] = [|it| it.note(&mkdir(0), None), |it| it.lost(1)];
    for harm in harms {
        let mut tally = tally();
        tally.note(&mkdir(0), Some(vec![id(0)]));
        tally.settle(&node(1), START);
        assert!(!tally.report().is_lower_bound());
        harm(&mut tally);
        assert!(tally.report().is_lower_bound());
    }
}

#[test]
fn calls_that_are_not_made_again_are_dropped_after_a_day() {
    let mut tally = tally();
    tally.note(&mkdir(0), Some(vec![id(0)]));
    tally.note(&mkdir(1), Some(vec![id(1)]));
    tally.settle(&node(2), START + DAY - 1);
    assert_eq!(listed(&tally).len(), 2);
    tally.settle(&node(2), START + DAY);
    assert_eq!(listed(&tally), [entry("pod-001", "X86_64", "mkdir", "ERRNO", 1)]);
    assert_eq!(tally.report().unlisted, None);
}

#[test]
fn a_container_does_not_take_the_room_of_others() {
    let mut tally = tally();
    for call in 0..300 {
        tally.note(&record(0, X86_64, call, ERRNO), Some(vec![id(0)]));
    }
    tally.settle(&node(2), START);
    tally.note(&mkdir(1), Some(vec![id(1)]));
    tally.settle(&node(2), START);
    let report = tally.report();
    let of = |pod: &str| report.calls.iter().filter(|it| it.place.pod == pod).count();
    assert_eq!((of("pod-000"), of("pod-001")), (MOST_OF_ONE, 1));
    assert_eq!(report.unlisted, Some(250));
    assert_eq!(tally.totals().by_action["SCMP_ACT_ERRNO"], 301);
}

#[test]
fn what_is_kept_and_listed_is_bounded_and_the_latest_is_listed() {
    let mut tally = tally();
    let pods = node(200);
    for number in 0..200 {
        for call in 0..10 {
            let record = record(i64::try_from(number).unwrap(), X86_64, call, ERRNO);
            tally.note(&record, Some(vec![id(number)]));
        }
        tally.settle(&pods, START);
    }
    let kept: usize = tally.calls.values().map(BTreeMap::len).sum();
    assert_eq!((kept, tally.dropped), (MOST, 1000));
    let report = tally.report();
    assert_eq!((report.calls.len(), report.unlisted), (MOST_LISTED, Some(1900)));
    assert_eq!((&*report.calls[0].place.pod, &*report.calls[99].place.pod), ("pod-090", "pod-099"));

    for number in 0..2000 {
        tally.note(&mkdir(0), Some(vec![id(number)]));
    }
    assert_eq!(tally.waiting.len(), MOST_WAITING);
    assert_eq!(tally.totals().unknown, 1000);
}

#[test]
fn a_report_is_read_as_it_was_written() {
    let mut tally = tally();
    tally.note(&mkdir(60), Some(vec![id(0)]));
    tally.settle(&node(1), START);
    tally.note(&mkdir(0), None);
    let report = tally.report();
    let written = serde_json::to_value(&report).unwrap();
    assert_eq!(
        written,
        serde_json::json!({
            "since": "2026-11-28T03:03:20Z",
            "calls": [{
                "namespace": "shop", "pod": "pod-000", "uid": "uid-0", "container": "app",
                "declared": "Localhost", "localhostProfile": "callgate/web.json",
                "syscall": "mkdir", "architecture": "SCMP_ARCH_X86_64",
                "action": "SCMP_ACT_ERRNO", "count": 1, "last": "2026-11-28T03:04:20Z",
            }],
            "unknown": 1, "lost": 0,
        })
    );
    assert_eq!(serde_json::from_value::<Denials>(written).unwrap(), report);
}
