use serde_json::json;

use super::*;
use crate::{
    agent::pass_result::{Entry, Failure, REFUSED, Source},
    profile::{Doubt, Problem},
    witness::Containers,
};

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

fn digest() -> Digest {
    Digest::of(b"abc")
}

const SHORT: &str = "ba7816bf8f01";

/// A node on which `web` is wanted and installed.
fn found() -> PassResult {
    PassResult {
        is_decided: true,
        wanted: 1,
        entries: vec![Entry {
            path: "callgate/web.json".to_owned(),
            digest: Some(digest()),
            size: 3,
            source: Source::Callgate,
            problem: None,
            doubt: None,
        }],
        usable: [(name("web"), digest())].into(),
        ..PassResult::default()
    }
}

fn lacking(why: &str) -> PassResult {
    let failure = Failure { name: Some(name("web")), kind: "disk-full", why: why.to_owned() };
    PassResult { failures: vec![failure], entries: Vec::new(), usable: BTreeMap::new(), ..found() }
}

fn true_of_one() -> Condition {
    let message = "the only profile is in place".to_owned();
    Condition { status: "True".into(), reason: "Installed".into(), message }
}

/// What the API server holds after everything was reported.
fn reported() -> Published {
    Published {
        node_uid: "n-1".to_owned(),
        labels: [("profile.callgate.dev/web".to_owned(), SHORT.to_owned())].into(),
        condition: Some(true_of_one()),
        condition_since: None,
        is_tainted: false,
        object: Some((vec!["n-1".to_owned()], status(&found()))),
    }
}

#[test]
fn reports_are_written_in_the_order_in_which_others_rely_on_them() {
    let seen = Published { node_uid: "n-1".to_owned(), is_tainted: true, ..Published::default() };
    let profiles = json!([{
        "path": "callgate/web.json", "size": 3, "source": "callgate",
        "digest": "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    }]);
    let status = json!({ "profiles": profiles, "unlisted": null, "containers": null });
    let labels = [("profile.callgate.dev/web".to_owned(), Some(SHORT.to_owned()))].into();
    assert_eq!(
        writes(&found(), &seen, true),
        [
            Write::Create("n-1".to_owned()),
            Write::Status(status),
            Write::Condition(true_of_one()),
            Write::Labels(labels),
            Write::Untaint,
        ]
    );
}

#[test]
fn a_report_is_not_repeated() {
    assert_eq!(writes(&found(), &reported(), false), []);
    assert_eq!(writes(&found(), &reported(), true), [Write::Condition(true_of_one())]);
}

#[test]
fn a_node_that_was_made_anew_owns_the_object() {
    for owners in [&["n-0"][..], &[], &["n-0", "n-1"]] {
        let owners = owners.iter().map(|it| (*it).to_owned()).collect();
        let seen = Published { object: Some((owners, status(&found()))), ..reported() };
        assert_eq!(writes(&found(), &seen, false), [Write::Own("n-1".to_owned())]);
    }
}

#[test]
fn the_start_up_taint_stays_until_all_profiles_are_in_place() {
    let found = lacking("cannot write profile \"web\": no space left on device");
    let seen = Published { is_tainted: true, ..reported() };
    let condition =
        Condition::not("NotInstalled", "cannot write profile \"web\": no space left on device");
    assert_eq!(
        writes(&found, &seen, false),
        [
            Write::Status(json!({ "profiles": [], "unlisted": null, "containers": null })),
            Write::Condition(condition),
            Write::Labels([("profile.callgate.dev/web".to_owned(), None)].into()),
        ]
    );
}

#[test]
fn a_profile_with_a_lint_error_sets_the_condition_to_false_and_keeps_no_taint() {
    let mut refused = found();
    refused.wanted = 2;
    let why = "profile \"db\" is not installed: it is no good [some-lint]".to_owned();
    refused.failures = vec![Failure { name: Some(name("db")), kind: REFUSED, why: why.clone() }];
    let seen = Published { is_tainted: true, ..reported() };
    let expected = [Write::Condition(Condition::not("NotInstalled", &why)), Write::Untaint];
    assert_eq!(writes(&refused, &seen, false), expected);
    // But if another profile is not installed either, the taint stays.
    refused.failures.push(lacking("disk full").failures.remove(0));
    assert!(!writes(&refused, &seen, false).contains(&Write::Untaint));
    let undecided = PassResult { is_decided: false, ..found() };
    assert!(!writes(&undecided, &seen, false).contains(&Write::Untaint));
}

#[test]
fn a_replaced_directory_withdraws_all_labels_and_keeps_the_start_up_taint() {
    for is_decided in [true, false] {
        let mut replaced = lacking("the seccomp directory is not the one that the kubelet reads");
        (replaced.is_decided, replaced.is_replaced) = (is_decided, true);
        replaced.failures[0].name = None;
        let seen = Published { is_tainted: true, ..reported() };
        let why = "the seccomp directory is not the one that the kubelet reads";
        let expected = [
            Write::Status(status(&replaced)),
            Write::Condition(Condition::not("NotInstalled", why)),
            Write::Labels([("profile.callgate.dev/web".to_owned(), None)].into()),
        ];
        assert_eq!(writes(&replaced, &seen, false), expected);
    }
}

#[test]
fn a_message_names_three_and_counts_the_rest() {
    let mut found = lacking("a");
    for why in ["b", "c", "d", "e"] {
        found.failures.push(Failure { why: why.to_owned(), ..found.failures[0].clone() });
    }
    assert_eq!(condition(&found).message, "a; b; c; and 2 more");
    found.failures.truncate(1);
    found.failures[0].why = "ä".repeat(400);
    assert_eq!(condition(&found).message, format!("{}…", "ä".repeat(256)));
}

#[test]
fn before_the_profiles_are_known_an_earlier_report_stays_if_it_still_holds() {
    let start = PassResult { is_decided: false, wanted: 0, ..found() };
    assert_eq!(writes(&start, &reported(), true), []);
    let tainted = Published { is_tainted: true, ..reported() };
    assert_eq!(writes(&start, &tainted, true), [], "nobody is let in yet");
    // The files of others are another matter.
    let mut other = start.clone();
    other.entries.push(Entry { path: "old.json".to_owned(), ..start.entries[0].clone() });
    assert_eq!(writes(&other, &reported(), true), [Write::Status(status(&other))]);
}

#[test]
fn a_replaced_disk_invalidates_the_earlier_report() {
    let wiped = PassResult::default();
    let starting = Condition::not("Starting", "the files are not those that were reported last");
    assert_eq!(
        writes(&wiped, &reported(), true),
        [
            Write::Status(json!({ "profiles": [], "unlisted": null, "containers": null })),
            Write::Condition(starting.clone()),
            Write::Labels([("profile.callgate.dev/web".to_owned(), None)].into()),
        ]
    );
    let mut changed = PassResult { is_decided: false, ..found() };
    changed.entries[0].digest = Some(Digest::of(b"other"));
    changed.usable = [(name("web"), Digest::of(b"other"))].into();
    assert!(writes(&changed, &reported(), true).contains(&Write::Condition(starting)));
}

#[test]
fn before_the_profiles_are_known_no_label_is_added() {
    let start = PassResult { is_decided: false, ..found() };
    let seen = Published { labels: BTreeMap::new(), ..reported() };
    assert_eq!(writes(&start, &seen, false), []);
}

#[test]
fn the_files_of_a_new_node_are_reported_at_once() {
    let start = PassResult { is_decided: false, ..found() };
    let seen = Published { node_uid: "n-1".to_owned(), is_tainted: true, ..Published::default() };
    assert_eq!(
        writes(&start, &seen, true),
        [Write::Create("n-1".to_owned()), Write::Status(status(&start))]
    );
}

#[test]
fn a_label_follows_its_file_and_goes_with_its_profile() {
    let key = |it: &str| format!("{PROFILE_LABEL_PREFIX}{it}");
    let seen = [(key("gone"), SHORT.to_owned()), (key("web"), "000000000000".to_owned())].into();
    let expected = [(key("gone"), None), (key("web"), Some(SHORT.to_owned()))];
    assert_eq!(labels(&found(), &seen), expected.into());
    let mut long = found();
    long.usable = [(name(&"a".repeat(64)), digest())].into();
    assert_eq!(labels(&long, &BTreeMap::new()), BTreeMap::new(), "no key can be so long");
}

#[test]
fn only_our_fields_of_a_node_are_read() {
    let node = json!({
        "metadata": { "uid": "n-1", "labels": { "a": "b", "profile.callgate.dev/web": "1" } },
        "spec": { "taints": [
            { "key": "other", "effect": "NoSchedule" },
            { "key": "callgate.dev/agent-not-ready", "effect": "NoSchedule" },
        ] },
        "status": { "conditions": [
            { "type": "Ready", "status": "True" },
            {
                "type": "SeccompProfilesReady", "status": "False", "reason": "R", "message": "m",
                "lastTransitionTime": "2026-11-24T10:00:00Z",
            },
        ] },
    })
    .to_string();
    let owner = json!({ "apiVersion": "v1", "kind": "Node", "name": "node-a", "uid": "n-0" });
    let object = json!({
        "metadata": { "ownerReferences": [owner] },
        "status": { "profiles": [], "unlisted": 7, "containers": { "filter": 3 }, "other": 1 },
    })
    .to_string();
    let (node, object) = (Object::read(&node).unwrap(), Object::read(&object).unwrap());
    let seen = Published::of(&node, Some(&object));
    let expected = Published {
        node_uid: "n-1".to_owned(),
        labels: [("profile.callgate.dev/web".to_owned(), "1".to_owned())].into(),
        condition: Some(Condition::not("R", "m")),
        condition_since: Some("2026-11-24T10:00:00Z".parse().unwrap()),
        is_tainted: true,
        object: Some((
            vec!["n-0".to_owned()],
            json!({ "profiles": [], "unlisted": 7, "containers": { "filter": 3 } }),
        )),
    };
    assert_eq!(seen, Ok(expected));
    let bare = Object::read("{\"metadata\":{}}").unwrap();
    assert_eq!(Published::of(&bare, None), Ok(Published::default()));
}

#[test]
fn a_list_that_is_cut_says_so() {
    let cut = PassResult { unlisted: 7, ..found() };
    assert_eq!(writes(&cut, &reported(), false), [Write::Status(status(&cut))]);
    assert_eq!(status(&cut)["unlisted"], 7);
}

#[test]
fn containers_are_reported_while_they_are_looked_at() {
    let looked = |filter| {
        let containers = Some(Containers { filter, ..Containers::default() });
        PassResult { containers, ..found() }
    };
    let written = writes(&looked(3), &reported(), false);
    assert_eq!(written, [Write::Status(status(&looked(3)))]);
    let expected = json!({ "filter": 3, "none": 0, "strict": 0, "unknown": 0, "unfiltered": [] });
    assert_eq!(status(&looked(3))["containers"], expected);
    let seen =
        Published { object: Some((vec!["n-1".to_owned()], status(&looked(3)))), ..reported() };
    assert_eq!(writes(&looked(3), &seen, false), []);
    // Without `--witness` what was reported before is removed.
    assert_eq!(writes(&found(), &seen, false), [Write::Status(status(&found()))]);
}

#[test]
fn a_problem_is_reported_as_one_word() {
    let mut found = found();
    found.entries[0].problem = Some(Problem::TooLarge);
    found.entries[0].digest = None;
    let expected = json!([{
        "path": "callgate/web.json", "size": 3, "source": "callgate", "problem": "too-large",
    }]);
    assert_eq!(status(&found)["profiles"], expected);
}

#[test]
fn a_doubt_is_reported_as_one_word() {
    let mut found = found();
    found.entries[0].doubt = Some(Doubt::NoStart);
    assert_eq!(status(&found)["profiles"][0]["doubt"], "no-start");
}
