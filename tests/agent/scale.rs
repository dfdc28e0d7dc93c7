//! Limits, and the times that are promised.

use std::{
    fs,
    time::{Duration, Instant},
};

use callgate::agent::{Seen, Wanted, Write, writes};

use crate::node::{NEW, Node, install, name, wanted};

#[test]
fn ten_thousand_files_are_looked_at_and_a_thousand_reported_ours_first() {
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

#[test]
fn a_directory_without_end_is_left_at_some_point() {
    let mut node = Node::new();
    for number in 0..20_010 {
        fs::write(node.root().join(format!("{number}")), "").unwrap();
    }
    let found = node.pass(&wanted([("web", NEW)]));
    assert_eq!(found.entries.len(), 1000);
    assert!(found.unlisted > 18_000, "{}", found.unlisted);
}

/// etcd takes 1.5 MiB, and the API server writes down beside every entry who
/// set it, under its path once more.
#[test]
fn a_report_of_the_longest_paths_fits_into_etcd() {
    let mut node = Node::new();
    let mut deep = node.root();
    for _ in 0..3 {
        deep = deep.join("d".repeat(250));
    }
    fs::create_dir_all(&deep).unwrap();
    for number in 0..1000 {
        fs::write(deep.join(format!("{number:0>200}")), "{}").unwrap();
    }
    let found = node.pass(&wanted([("web", NEW)]));
    assert!(found.entries.len() > 100, "{}", found.entries.len());
    assert_eq!(found.entries.len() + found.unlisted, 1001);
    let report = writes(&found, &Seen::default(), true);
    let Some(Write::Status(profiles)) = report.get(1) else { panic!("{report:?}") };
    let size = profiles.to_string().len();
    let paths: usize = found.entries.iter().map(|it| it.path.len() + 100).sum();
    assert!(size + paths < 768 * 1024, "{size} + {paths}");
}

/// As issue 5 demands of a fresh node; of three, the one that was held up least
/// by whatever else runs here.
#[test]
fn two_hundred_profiles_are_in_place_within_two_seconds() {
    // As large as the default profile of the Docker engine.
    let rest = " ".repeat(20_000);
    let all: Wanted =
        (0..200).map(|it| (name(&format!("p{it}")), install(&format!("{NEW}{rest}")))).collect();
    let install_all = || {
        let mut node = Node::new();
        let start = Instant::now();
        let found = node.pass(&all);
        let took = start.elapsed();
        assert_eq!(found.written.len(), 200);
        took
    };
    let took = (0..3).map(|_| install_all()).min().expect("there are three");
    assert!(took < Duration::from_secs(2), "{took:?}");
}
