//! Files whose profile is deleted are kept for a while, independent of the system clock.

use std::{fs, time::Duration};

use callgate::agent::Wanted;

use crate::node::{KEEP, NEW, NOTHING, Node, OLD, lines, name, wanted};

const HALF: Duration = Duration::from_secs(50);

#[test]
fn a_released_file_is_kept_reported_and_then_removed() {
    let mut node = Node::new();
    node.pass(&wanted([("db", OLD), ("web", OLD)]));
    let fewer = wanted([("db", OLD)]);
    let found = node.pass(&fewer);
    let released = ["callgate/db.json callgate sound", "callgate/web.json released sound"];
    assert_eq!(lines(&found), released);
    assert!(!found.usable.contains_key(&name("web")), "its label goes at once");
    let almost = KEEP.saturating_sub(Duration::from_secs(1));
    assert_eq!(lines(&node.reconciler.pass(Some(&fewer), almost)), released);
    let found = node.reconciler.pass(Some(&fewer), Duration::from_secs(1));
    assert_eq!(found.removed, [name("web")]);
    assert_eq!(lines(&found), ["callgate/db.json callgate sound"]);
    assert_eq!(node.names(), [".kept", "db.json"]);
}

#[test]
fn a_new_agent_remembers_for_how_long_a_file_has_been_kept() {
    let mut node = Node::new();
    node.pass(&wanted([("web", OLD)]));
    let nothing = Wanted::new();
    node.pass(&nothing);
    node.reconciler.pass(Some(&nothing), HALF);
    node.restart();
    // The time between two runs of the agent does not count.
    assert_eq!(node.pass(&nothing).removed, []);
    assert_eq!(node.reconciler.pass(Some(&nothing), HALF).removed, [name("web")]);
}

#[test]
fn a_deletion_that_the_agent_missed_counts_from_when_it_learns_of_it() {
    let mut node = Node::new();
    node.pass(&wanted([("web", OLD)]));
    let file = fs::File::options().write(true).open(node.file("web")).unwrap();
    file.set_modified(std::time::UNIX_EPOCH).unwrap();
    node.restart();
    assert_eq!(node.pass(&Wanted::new()).removed, []);
    assert_eq!(node.names(), [".kept", "web.json"]);
}

#[test]
fn a_profile_that_is_recreated_is_kept_for_the_full_time_again() {
    let mut node = Node::new();
    let (some, nothing) = (wanted([("web", OLD)]), Wanted::new());
    node.pass(&some);
    node.pass(&nothing);
    node.reconciler.pass(Some(&nothing), HALF);
    assert_eq!(node.pass(&some).written, []);
    node.pass(&nothing);
    node.reconciler.pass(Some(&nothing), HALF);
    assert_eq!(node.text("web"), OLD);
    assert_eq!(node.reconciler.pass(Some(&nothing), HALF).removed, [name("web")]);
}

#[test]
fn an_invalid_state_file_keeps_files_longer() {
    let head = "callgate: seconds for which files of deleted profiles have been kept\n";
    let lines = ["-1 web", "long web", "100 ../web", "100", "100 db", "\0"];
    let lines = lines.map(|it| (".kept", format!("{head}{it}\n")));
    let bare = [(".kept", "100 web\n".to_owned()), (".kept", String::new())];
    let old = ["", "{", "[]", r#"{"web": -1}"#, r#"{"web": "long"}"#, r#"{"../web": 100}"#];
    let old = old.map(|it| (".released", it.to_owned()));
    for (file, note) in lines.into_iter().chain(bare).chain(old) {
        let mut node = Node::new();
        fs::write(node.file("web"), OLD).unwrap();
        fs::write(node.own().join(file), &note).unwrap();
        assert_eq!(node.pass(&Wanted::new()).removed, [], "{file}: {note}");
    }
    let last = u64::MAX;
    for (file, note) in
        [(".kept", format!("{head}{last} web\n")), (".released", format!(r#"{{"web": {last}}}"#))]
    {
        let mut node = Node::new();
        fs::write(node.file("web"), OLD).unwrap();
        fs::write(node.own().join(file), note).unwrap();
        let found = node.reconciler.pass(Some(&Wanted::new()), HALF);
        assert_eq!(found.removed, [name("web")], "no number is too large");
    }
}

#[test]
fn a_file_that_is_altered_after_its_release_is_reported_as_it_is() {
    let mut node = Node::new();
    node.pass(&wanted([("web", OLD)]));
    node.pass(&Wanted::new());
    fs::write(node.file("web"), "{}").unwrap();
    let found = node.reconciler.pass(Some(&Wanted::new()), NOTHING);
    assert_eq!(lines(&found), ["callgate/web.json released hollow"]);
}

#[test]
fn files_that_the_agent_did_not_write_are_never_removed() {
    let mut node = Node::new();
    fs::write(node.root().join("old.json"), NEW).unwrap();
    fs::create_dir(node.file("directory")).unwrap();
    std::os::unix::fs::symlink("../old.json", node.file("link")).unwrap();
    fs::write(node.own().join("README"), "").unwrap();
    for _ in 0..3 {
        assert_eq!(node.reconciler.pass(Some(&Wanted::new()), KEEP).removed, []);
    }
    assert_eq!(node.names(), ["README", "directory.json", "link.json"]);
    assert!(node.root().join("old.json").exists());
}
