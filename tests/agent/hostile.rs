//! Obstacles in place of our files are reported, and nothing outside of our
//! directory is changed.

use std::{
    fs::{self, Permissions},
    os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink},
    path::Path,
    process::Command,
};

use callgate::agent::{PassResult, host};

use crate::node::{NEW, NOTHING, Node, OLD, mount, name, names, wanted};

fn told(found: &PassResult) -> Vec<(&'static str, String)> {
    assert!(!found.is_ready());
    found.failures.iter().map(|it| (it.kind, it.why.clone())).collect()
}

#[test]
fn a_link_in_place_of_a_file_is_replaced_and_not_followed() {
    let mut node = Node::new();
    let victim = node.directory.path().join("passwd");
    fs::write(&victim, "root").unwrap();
    for target in ["../../passwd", "/nonexistent", ".."] {
        symlink(target, node.file("web")).unwrap();
        node.pass(&wanted([("web", OLD)]));
        assert!(fs::symlink_metadata(node.file("web")).unwrap().is_file());
        assert_eq!(fs::read_to_string(&victim).unwrap(), "root");
        fs::remove_file(node.file("web")).unwrap();
    }
}

#[test]
fn a_file_with_another_hard_link_is_not_written_to() {
    let mut node = Node::new();
    let victim = node.directory.path().join("passwd");
    fs::write(&victim, "root").unwrap();
    fs::hard_link(&victim, node.file("web")).unwrap();
    node.pass(&wanted([("web", OLD)]));
    assert_eq!(fs::read_to_string(&victim).unwrap(), "root");
    assert_eq!(node.text("web"), OLD);
    assert_eq!(fs::metadata(&victim).unwrap().nlink(), 1);
}

#[test]
fn a_link_in_place_of_a_temporary_file_is_not_written_through() {
    let mut node = Node::new();
    let victim = node.directory.path().join("passwd");
    fs::write(&victim, "root").unwrap();
    for name in [".kept", ".new-0", ".new-1", ".released"] {
        symlink("../../passwd", node.own().join(name)).unwrap();
    }
    node.pass(&wanted([("db", OLD), ("web", OLD)]));
    node.pass(&wanted([]));
    assert_eq!(fs::read_to_string(&victim).unwrap(), "root");
    assert_eq!(node.names(), [".kept", "db.json", "web.json"]);
}

#[test]
fn a_link_in_place_of_our_directory_is_an_error_and_leads_nowhere() {
    let mut node = Node::unprepared();
    let elsewhere = node.directory.path().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    fs::write(elsewhere.join("web.json"), "theirs").unwrap();
    symlink(&elsewhere, node.own()).unwrap();
    let found = node.reconciler.pass(Some(&wanted([("web", OLD)])), NOTHING);
    assert_eq!(
        told(&found),
        [(
            "in-the-way",
            "cannot open \"callgate\" in the seccomp directory, which has to be a directory and \
             no link: Not a directory (os error 20)"
                .to_owned()
        )]
    );
    assert_eq!(names(&elsewhere), ["web.json"]);
    assert_eq!(fs::read_to_string(elsewhere.join("web.json")).unwrap(), "theirs");
    assert_eq!(found.usable.len(), 0);
    // Once it is removed, the file is written.
    fs::remove_file(node.own()).unwrap();
    fs::create_dir(node.own()).unwrap();
    node.pass(&wanted([("web", OLD)]));
}

#[test]
fn a_directory_that_is_swapped_under_a_running_agent_is_not_followed() {
    let mut node = Node::new();
    node.pass(&wanted([("web", OLD)]));
    let elsewhere = node.directory.path().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    fs::rename(node.own(), node.root().join("old")).unwrap();
    symlink(&elsewhere, node.own()).unwrap();
    let found = node.reconciler.pass(Some(&wanted([("web", NEW)])), NOTHING);
    assert_eq!(told(&found)[0].0, "in-the-way");
    assert_eq!(names(&elsewhere), [""; 0]);
    assert_eq!(fs::read_to_string(node.root().join("old/web.json")).unwrap(), OLD);
}

#[test]
fn a_directory_in_place_of_a_file_is_reported_and_other_files_are_written() {
    let mut node = Node::new();
    fs::create_dir(node.file("web")).unwrap();
    let found = node.reconciler.pass(Some(&wanted([("db", OLD), ("web", OLD)])), NOTHING);
    assert_eq!(
        told(&found),
        [(
            "in-the-way",
            "cannot move profile \"web\" into place: Is a directory (os error 21)".to_owned()
        )]
    );
    assert_eq!(node.text("db"), OLD);
    assert_eq!(found.lacking(), 1);
    assert_eq!(node.names(), ["db.json", "web.json"], "nothing is left behind");
}

#[test]
fn a_missing_directory_is_named() {
    let mut node = Node::unprepared();
    let wanted = wanted([("web", OLD)]);
    let (kind, why) = told(&node.reconciler.pass(Some(&wanted), NOTHING)).remove(0);
    assert_eq!(kind, "missing");
    assert!(why.starts_with("cannot open \"callgate\" in the seccomp directory"), "{why}");
    fs::remove_dir(node.root()).unwrap();
    let (kind, why) = told(&node.reconciler.pass(Some(&wanted), NOTHING)).remove(0);
    assert_eq!(kind, "missing");
    assert!(why.starts_with("cannot open the seccomp directory \"/"), "{why}");
}

#[test]
fn a_full_disk_keeps_the_old_file_and_is_reported() {
    let mut node = Node::new();
    let Some(_mount) = mount("size=16k", &node.own()) else { return };
    node.pass(&wanted([("web", OLD)]));
    let filler = node.own().join("filler");
    assert!(fs::write(&filler, vec![b'x'; 64 * 1024]).is_err(), "it fits");
    let found = node.reconciler.pass(Some(&wanted([("db", OLD), ("web", NEW)])), NOTHING);
    let full = |name| {
        let why = format!("cannot write profile {name:?}: No space left on device (os error 28)");
        ("disk-full", why)
    };
    assert_eq!(told(&found), [full("db"), full("web")]);
    assert_eq!(node.text("web"), OLD, "the old one is whole");
    assert_eq!(found.usable.keys().collect::<Vec<_>>(), [&name("web")], "and still there");
    assert_eq!(node.names(), ["filler", "web.json"], "nothing is left behind");
    fs::remove_file(filler).unwrap();
    node.pass(&wanted([("db", OLD), ("web", NEW)]));
}

#[test]
fn a_read_only_directory_is_reported() {
    let mut node = Node::new();
    let Some(mount) = mount("size=64k", &node.own()) else { return };
    node.pass(&wanted([("web", OLD)]));
    mount.remount("ro");
    let found = node.reconciler.pass(Some(&wanted([("web", NEW)])), NOTHING);
    let why = "cannot write profile \"web\": Read-only file system (os error 30)".to_owned();
    assert_eq!(told(&found), [("read-only", why)]);
    let found = node.reconciler.pass(Some(&wanted([])), NOTHING);
    assert_eq!(found.troubles[0].kind, "read-only", "what is kept cannot be noted");
    mount.remount("rw");
    node.pass(&wanted([("web", NEW)]));
}

#[test]
fn pipes_are_never_opened() {
    let mut node = Node::new();
    for path in [node.file("web"), node.file("db"), node.root().join("pipe.json")] {
        let status = Command::new("mkfifo").arg(path).status();
        assert!(status.expect("there is a mkfifo").success());
    }
    let found = node.pass(&wanted([("web", OLD)]));
    assert_eq!(crate::node::lines(&found), ["callgate/web.json callgate sound"]);
}

#[test]
fn the_directory_is_created_and_owned_by_the_agent_and_its_files_stay() {
    let node = Node::unprepared();
    if fs::metadata(node.root()).unwrap().uid() != 0 {
        return crate::node::say("skipped: giving files away needs root");
    }
    for _ in 0..2 {
        host::prepare(&node.root()).unwrap();
        let metadata = fs::metadata(node.own()).unwrap();
        assert_eq!(metadata.mode() & 0o7777, 0o755);
        assert_eq!((metadata.uid(), metadata.gid()), (host::OWNER, host::OWNER));
        fs::write(node.file("web"), OLD).unwrap();
    }
    assert_eq!(node.text("web"), OLD);
}

/// Users who may write in the seccomp directory can create `callgate` before the agent is prepared.
#[test]
fn a_directory_that_everybody_may_write_is_closed() {
    let node = Node::new();
    if fs::metadata(node.root()).unwrap().uid() != 0 {
        return crate::node::say("skipped: giving files away needs root");
    }
    for owner in [1000, host::FORMER_OWNER, host::OWNER] {
        fs::set_permissions(node.own(), Permissions::from_mode(0o1777)).unwrap();
        chown(node.own(), Some(owner), Some(owner)).unwrap();
        host::prepare(&node.root()).unwrap();
        let metadata = fs::metadata(node.own()).unwrap();
        assert_eq!(metadata.mode() & 0o7777, 0o755, "of {owner}");
        assert_eq!((metadata.uid(), metadata.gid()), (host::OWNER, host::OWNER), "of {owner}");
    }
}

#[test]
fn only_files_of_the_former_user_change_their_owner() {
    let node = Node::unprepared();
    if fs::metadata(node.root()).unwrap().uid() != 0 {
        return crate::node::say("skipped: giving files away needs root");
    }
    host::prepare(&node.root()).unwrap();
    let former = Some(host::FORMER_OWNER);
    let victim = node.directory.path().join("passwd");
    for path in [&node.file("web"), &victim] {
        fs::write(path, OLD).unwrap();
        chown(path, former, former).unwrap();
    }
    chown(node.own(), former, former).unwrap();
    fs::write(node.file("root"), OLD).unwrap();
    fs::hard_link(&victim, node.file("elsewhere")).unwrap();
    symlink("../../passwd", node.file("link")).unwrap();
    host::prepare(&node.root()).unwrap();
    let owner = |it: &Path| fs::metadata(it).unwrap().uid();
    assert_eq!(owner(&node.own()), host::OWNER);
    assert_eq!(owner(&node.file("web")), host::OWNER);
    assert_eq!(owner(&node.file("root")), 0);
    assert_eq!(owner(&victim), host::FORMER_OWNER, "it has a name elsewhere");
}

#[test]
fn a_file_of_another_owner_is_written_again() {
    let mut node = Node::new();
    let wanted = wanted([("web", OLD)]);
    node.pass(&wanted);
    if fs::metadata(node.root()).unwrap().uid() != 0 {
        return crate::node::say("skipped: giving files away needs root");
    }
    chown(node.file("web"), Some(host::FORMER_OWNER), None).unwrap();
    assert_eq!(node.pass(&wanted).written, [name("web")]);
    assert_eq!(fs::metadata(node.file("web")).unwrap().uid(), 0, "as whom the test runs");
}

#[test]
fn a_link_in_place_of_our_directory_keeps_its_owner() {
    let node = Node::unprepared();
    let elsewhere = node.directory.path().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    symlink(&elsewhere, node.own()).unwrap();
    let before = fs::metadata(&elsewhere).unwrap().uid();
    let error = host::prepare(&node.root()).unwrap_err().to_string();
    assert_eq!(
        error,
        "cannot open \"callgate\" in the seccomp directory, which has to be a directory and no link"
    );
    assert_eq!(fs::metadata(&elsewhere).unwrap().uid(), before);
}
