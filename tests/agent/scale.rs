//! Limits, and large amounts.

use std::{fs, time::Instant};

use callgate::agent::{Published, Source, Wanted, Write, writes};
use rstest::rstest;
use serde_json::Value;

use crate::node::{KEEP, NEW, Node, install, name, say, wanted};

#[test]
fn ten_thousand_files_are_read_and_a_thousand_reported_ours_first() {
    let mut node = Node::new();
    fs::create_dir(node.root().join("a")).unwrap();
    for number in 0..10_000 {
        fs::write(node.root().join(format!("a/{number:05}.json")), NEW).unwrap();
    }
    let found = node.pass(&wanted([("web", NEW)]));
    assert_eq!(found.entries.len(), 1000);
    assert_eq!(found.entries[0].path, "callgate/web.json");
    assert_eq!(found.entries[999].path, "a/00998.json");
    assert_eq!(found.unlisted, 9001);
}

/// As if CI created profiles with the hash of a commit in their names.
#[test]
fn profiles_are_listed_before_released_files_and_those_before_foreign_files() {
    let mut node = Node::new();
    let some = |from: usize, to: usize| -> Wanted {
        (from..to).map(|it| (name(&format!("p{it:05}")), install(NEW))).collect()
    };
    fs::write(node.root().join("a.json"), NEW).unwrap();
    node.pass(&some(0, 3000));
    let found = node.pass(&some(3000, 6000));
    assert_eq!((found.entries.len(), found.unlisted), (1000, 5001));
    assert!(found.entries.iter().all(|it| it.source == Source::Callgate));
    assert_eq!(found.usable.len(), 3000);
    let report = writes(&found, &Published::default(), true);
    let Some(Write::Status(status)) = report.get(1) else { panic!("{report:?}") };
    assert_eq!(status["unlisted"], 5001);
    let Some(Write::Labels(labels)) = report.last() else { panic!("{report:?}") };
    assert_eq!(labels.len(), 3000, "which say of all what the list has no room for");

    let found = node.pass(&some(5998, 6000));
    let sources: Vec<_> = found.entries.iter().map(|it| it.source).collect();
    assert_eq!(sources[..2], [Source::Callgate; 2]);
    assert_eq!(sources[2..], [Source::Released; 998]);
    node.reconciler.pass(Some(&some(5998, 6000)), KEEP);
    let found = node.pass(&some(5998, 6000));
    let sources: Vec<_> = found.entries.iter().map(|it| it.source).collect();
    assert_eq!(sources, [Source::Callgate, Source::Callgate, Source::Node]);
    assert_eq!(found.unlisted, 0);
}

#[test]
fn a_directory_of_very_many_files_is_not_read_to_the_end() {
    let mut node = Node::new();
    for number in 0..20_010 {
        fs::write(node.root().join(format!("{number}")), "").unwrap();
    }
    let found = node.pass(&wanted([("web", NEW)]));
    assert_eq!(found.entries.len(), 1000);
    assert!(found.unlisted > 18_000, "{}", found.unlisted);
}

/// etcd accepts 1.5 MiB, and for every entry the API server also stores its field
/// manager, with the path once more.
#[rstest]
#[case::plain("d", 100)]
#[case::escaped_for_html("<", 10)]
// A path that begins or ends with one is none that a pod can name.
#[case::separators("d\u{2028}d", 10)]
#[case::quotes("\"", 10)]
#[case::backslashes("\\", 10)]
fn a_report_of_the_longest_paths_fits_into_etcd(#[case] character: &str, #[case] least: usize) {
    let mut node = Node::new();
    let mut deep = node.root();
    let long = |length: usize| character.repeat(length / character.len());
    for _ in 0..3 {
        deep = deep.join(long(250));
    }
    fs::create_dir_all(&deep).unwrap();
    for number in 0..1000 {
        fs::write(deep.join(format!("{number}{}", long(200))), "{}").unwrap();
    }
    let found = node.pass(&wanted([("web", NEW)]));
    assert!(found.entries.len() > least, "{}", found.entries.len());
    assert_eq!(found.entries.len() + found.unlisted, 1001);
    let report = writes(&found, &Published::default(), true);
    let Some(Write::Status(status)) = report.get(1) else { panic!("{report:?}") };
    let size = stored(&status.to_string());
    let text = |it: String| stored(&Value::from(it).to_string());
    let key = |path: &str| text(text(path.to_owned())).len() + 100;
    let paths: usize = found.entries.iter().map(|it| key(&it.path)).sum();
    assert!(size.len() + paths < 768 * 1024, "{} + {paths}", size.len());
}

/// As Go's `encoding/json` writes it.
fn stored(text: &str) -> String {
    let escaped = |it: char| match it {
        '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => format!("\\u{:04x}", it as u32),
        it => it.to_string(),
    };
    text.chars().map(escaped).collect()
}

#[test]
fn two_hundred_profiles_are_in_place_after_one_pass() {
    // As large as the default profile of the Docker engine.
    let rest = " ".repeat(20_000);
    let all: Wanted =
        (0..200).map(|it| (name(&format!("p{it}")), install(&format!("{NEW}{rest}")))).collect();
    let mut node = Node::new();
    let start = Instant::now();
    let found = node.pass(&all);
    say(&format!("200 profiles are in place after {:?}", start.elapsed()));
    assert_eq!(found.written.len(), 200);
}
