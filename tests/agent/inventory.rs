//! Every file under the seccomp directory is reported as the runtime sees it.

use std::{
    fs::{self, File},
    os::unix::fs::symlink,
};

use callgate::profile::{Digest, Doubt};

use crate::node::{NEW, NOTHING, Node, OLD, lines, wanted};

#[test]
fn files_of_other_programs_are_reported_with_their_problems() {
    let mut node = Node::new();
    let root = node.root();
    fs::create_dir(root.join("apps")).unwrap();
    fs::write(root.join("apps/web.json"), NEW).unwrap();
    fs::write(root.join("empty.json"), "{}").unwrap();
    fs::write(root.join("notes.txt"), "dear diary").unwrap();
    fs::write(root.join(".hidden.json"), NEW).unwrap();
    File::create(root.join("large.json")).unwrap().set_len(1 << 30).unwrap();
    let found = node.pass(&wanted([("web", OLD)]));
    assert_eq!(
        lines(&found),
        [
            "callgate/web.json callgate sound",
            ".hidden.json node sound",
            "apps/web.json node sound",
            "empty.json node hollow",
            "large.json node too-large",
            "notes.txt node not-json",
        ]
    );
    assert_eq!(found.entries[2].digest, Some(Digest::of(NEW.as_bytes())));
    assert_eq!(found.entries[2].size, NEW.len() as u64);
    assert_eq!((found.entries[4].digest, found.entries[4].size), (None, 1 << 30));
    // A second pass reports the same.
    assert_eq!(node.pass(&wanted([("web", OLD)])).entries, found.entries);
}

#[test]
fn a_doubtful_profile_on_a_node_leads_to_a_warning() {
    const DENY_ALL: &str = r#"{ "defaultAction": "SCMP_ACT_ERRNO" }"#;
    const OF_DOCKER: &str = r#"{ "defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
        { "names": ["mount"], "action": "SCMP_ACT_ERRNO", "excludes": { "caps": ["CAP_SYS_ADMIN"] } }] }"#;
    let mut node = Node::new();
    let root = node.root();
    fs::write(root.join("deny-all.json"), DENY_ALL).unwrap();
    fs::write(root.join("docker.json"), OF_DOCKER).unwrap();
    fs::write(root.join("empty.json"), "{}").unwrap();
    fs::write(root.join("sound.json"), NEW).unwrap();
    let found = node.pass(&wanted([]));
    let doubts: Vec<_> = found.entries.iter().map(|it| (&*it.path, it.doubt)).collect();
    assert_eq!(
        doubts,
        [
            ("deny-all.json", Some(Doubt::NoStart)),
            ("docker.json", Some(Doubt::DockerKeys)),
            ("empty.json", None),
            ("sound.json", None),
        ]
    );
}

#[test]
fn a_link_counts_as_its_target_if_that_is_in_the_directory() {
    let mut node = Node::new();
    let root = node.root();
    fs::create_dir(root.join("apps")).unwrap();
    fs::write(root.join("apps/real.json"), NEW).unwrap();
    fs::write(node.directory.path().join("outside.json"), NEW).unwrap();
    symlink("apps/real.json", root.join("inside.json")).unwrap();
    symlink("../outside.json", root.join("outside.json")).unwrap();
    symlink(root.join("apps/real.json"), root.join("absolute.json")).unwrap();
    symlink("gone.json", root.join("dangling.json")).unwrap();
    symlink("circle.json", root.join("circle.json")).unwrap();
    symlink("/dev/zero", root.join("device.json")).unwrap();
    let found = node.pass(&wanted([]));
    assert_eq!(
        lines(&found),
        [
            "absolute.json node unreadable",
            "apps/real.json node sound",
            "device.json node unreadable",
            "inside.json node sound",
            "outside.json node unreadable",
        ]
    );
    assert_eq!(found.entries[4].digest, None);
}

#[test]
fn a_mounted_volume_shows_each_file_once_and_a_link_to_above_ends() {
    let mut node = Node::new();
    let root = node.root();
    fs::create_dir_all(root.join("volume/..2026_11_24")).unwrap();
    fs::write(root.join("volume/..2026_11_24/a.json"), NEW).unwrap();
    symlink("..2026_11_24", root.join("volume/..data")).unwrap();
    symlink("..data/a.json", root.join("volume/a.json")).unwrap();
    symlink("volume", root.join("alias")).unwrap();
    symlink("..", root.join("volume/up")).unwrap();
    let found = node.pass(&wanted([]));
    assert_eq!(lines(&found), ["alias/a.json node sound", "volume/a.json node sound"]);
}

#[test]
fn files_that_no_pod_can_name_are_left_out() {
    let mut node = Node::new();
    let deep = node.root().join("1/2/3/4/5/6/7");
    fs::create_dir_all(deep.join("8")).unwrap();
    fs::write(deep.join("a.json"), NEW).unwrap();
    fs::write(deep.join("8/too-deep.json"), NEW).unwrap();
    fs::write(node.root().join("line\nfeed.json"), NEW).unwrap();
    fs::write(node.root().join(" space.json"), NEW).unwrap();
    assert_eq!(lines(&node.pass(&wanted([]))), ["1/2/3/4/5/6/7/a.json node sound"]);
}

#[test]
fn foreign_files_in_our_directory_are_reported_as_foreign() {
    let mut node = Node::new();
    fs::write(node.own().join("notes.txt"), "").unwrap();
    symlink("web.json", node.file("link")).unwrap();
    fs::create_dir(node.own().join("old")).unwrap();
    fs::write(node.own().join("old/a.json"), NEW).unwrap();
    let found = node.pass(&wanted([("web", OLD)]));
    assert_eq!(
        lines(&found),
        [
            "callgate/web.json callgate sound",
            "callgate/link.json node sound",
            "callgate/notes.txt node not-json",
            "callgate/old/a.json node sound",
        ]
    );
}

#[test]
fn a_file_with_another_content_does_not_count_as_installed() {
    let mut node = Node::new();
    fs::create_dir(node.file("web")).unwrap();
    node.reconciler.pass(Some(&wanted([("web", OLD)])), NOTHING);
    fs::remove_dir(node.file("web")).unwrap();
    fs::write(node.file("web"), "{}").unwrap();
    let before = node.reconciler.pass(None, NOTHING);
    assert_eq!(lines(&before), ["callgate/web.json callgate hollow"], "the catalog is unknown");
    assert!(before.usable.is_empty(), "a hollow one is of no use");
}
