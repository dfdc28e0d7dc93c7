//! Profiles are written, and restored when their files change.

use std::{
    fs::{self, Permissions},
    io::{BufRead, BufReader, Lines, Write},
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
    thread::sleep,
    time::Duration,
};

use callgate::{
    agent::{Want, Wanted},
    profile::Digest,
};

use crate::node::{KEEP, NEW, NOTHING, Node, OLD, install, name, say, wanted};

#[test]
fn wanted_profiles_are_written_and_world_readable() {
    let mut node = Node::new();
    let found = node.pass(&wanted([("db", NEW), ("web", OLD)]));
    assert_eq!(found.written, [name("db"), name("web")]);
    assert_eq!(node.names(), ["db.json", "web.json"], "nothing else is left");
    assert_eq!(node.text("web"), OLD);
    assert_eq!(fs::metadata(node.file("web")).unwrap().mode() & 0o7777, 0o644);
    let digests =
        [("db", NEW), ("web", OLD)].map(|(it, text)| (name(it), Digest::of(text.as_bytes())));
    assert_eq!(found.usable, digests.into());
}

#[test]
fn a_correct_file_is_not_written_again_even_by_a_new_agent() {
    let mut node = Node::new();
    let wanted = wanted([("web", OLD)]);
    node.pass(&wanted);
    let inode = fs::metadata(node.file("web")).unwrap().ino();
    assert_eq!(node.pass(&wanted).written, []);
    node.restart();
    assert_eq!(node.pass(&wanted).written, []);
    assert_eq!(fs::metadata(node.file("web")).unwrap().ino(), inode);
}

#[test]
fn a_changed_profile_is_written_again() {
    let mut node = Node::new();
    node.pass(&wanted([("web", OLD)]));
    let found = node.pass(&wanted([("web", NEW)]));
    assert_eq!(found.usable[&name("web")], Digest::of(NEW.as_bytes()));
    assert_eq!(node.text("web"), NEW);
}

#[test]
fn every_change_of_a_file_is_undone() {
    let mut node = Node::new();
    let wanted = wanted([("web", OLD)]);
    node.pass(&wanted);
    let file = node.file("web");
    let deeds: [(&str, &dyn Fn()); 6] = [
        ("deleted", &|| fs::remove_file(&file).unwrap()),
        ("edited", &|| fs::write(&file, NEW).unwrap()),
        ("emptied", &|| fs::write(&file, "").unwrap()),
        ("grown", &|| {
            fs::File::options().write(true).open(&file).unwrap().set_len(1 << 30).unwrap();
        }),
        ("hidden", &|| fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap()),
        ("replaced", &|| {
            fs::write(file.with_extension("other"), NEW).unwrap();
            fs::rename(file.with_extension("other"), &file).unwrap();
        }),
    ];
    for (what, deed) in deeds {
        deed();
        let found = node.pass(&wanted);
        assert_eq!(found.written, [name("web")], "{what}");
        assert_eq!(node.text("web"), OLD, "{what}");
        assert_eq!(fs::metadata(&file).unwrap().mode() & 0o7777, 0o644, "{what}");
    }
    assert_eq!(node.pass(&wanted).written, []);
}

#[test]
fn an_edit_with_a_restored_mtime_is_seen() {
    let mut node = Node::new();
    let wanted = wanted([("web", OLD)]);
    node.pass(&wanted);
    let file = node.file("web");
    let modified = fs::metadata(&file).unwrap().modified().unwrap();
    // The same length and the same mtime as the old text.
    fs::write(&file, NEW).unwrap();
    fs::File::options().write(true).open(&file).unwrap().set_modified(modified).unwrap();
    assert_eq!(OLD.len(), NEW.len());
    assert_eq!(node.pass(&wanted).written, [name("web")]);
}

/// After this time without a change of profiles an agent makes a pass.
const SCAN: Duration = Duration::from_secs(10);

/// Maps a file into its memory and changes it there, which changes the file's times once; then, for
/// a line, has it be another text.
const MAPS: &str = r#"
import mmap, sys
path, text = sys.argv[1:]
with open(path, "r+b") as file, mmap.mmap(file.fileno(), 0) as mapped:
    mapped[0:1] = mapped[0:1]
    print("mapped", flush=True)
    sys.stdin.readline()
    mapped[:] = text.encode()
    print("changed", flush=True)
    sys.stdin.readline()
"#;

#[test]
fn an_edit_that_changes_no_time_is_seen() {
    if !Command::new("python3").arg("--version").output().is_ok_and(|it| it.status.success()) {
        return say("skipped: there is no python3");
    }
    assert!((0..10).any(|_| is_an_edit_without_a_time_seen()), "each edit changed the times");
}

/// False if the edit has changed the times after all, as it does when the kernel has written the page
/// to the disk since it was mapped.
fn is_an_edit_without_a_time_seen() -> bool {
    let mut node = Node::new();
    let wanted = wanted([("web", OLD)]);
    node.pass(&wanted);
    let theirs = node.root().join("theirs.json");
    fs::write(&theirs, OLD).expect("the folder is ours");
    let mut editors: Vec<_> = [&*node.file("web"), &*theirs].map(Editor::of).into();
    // By now the agent takes the times for settled.
    let age = |it: &Path| {
        fs::metadata(it)
            .expect("it is there")
            .modified()
            .expect("it has a time")
            .elapsed()
            .unwrap_or_default()
    };
    while age(&theirs) < Duration::from_secs(4) {
        sleep(Duration::from_millis(100));
    }
    let found = node.pass(&wanted);
    assert_eq!(found.written, []);
    let times = |it: &Path| {
        let it = fs::metadata(it).expect("it is there");
        [it.mtime(), it.mtime_nsec(), it.ctime(), it.ctime_nsec()]
    };
    let all = |node: &Node| [times(&node.file("web")), times(&theirs)];
    let before = all(&node);
    for editor in &mut editors {
        editor.goes_on("changed");
    }
    assert_eq!(node.text("web"), NEW);
    if all(&node) != before {
        return false;
    }
    // Passes that follow one another closely, as profiles change, do not read all files each time.
    assert_eq!(node.pass(&wanted).written, []);
    let found = node.reconciler.pass(Some(&wanted), SCAN);
    assert_eq!(found.written, [name("web")]);
    assert_eq!(node.text("web"), OLD);
    assert_eq!(found.entries[1].path, "theirs.json");
    assert_eq!(found.entries[1].digest, Some(Digest::of(NEW.as_bytes())));
    true
}

struct Editor {
    process: Child,
    says: Lines<BufReader<ChildStdout>>,
}

impl Editor {
    fn of(file: &Path) -> Self {
        let mut process = Command::new("python3")
            .args(["-c", MAPS])
            .args([file.as_os_str(), NEW.as_ref()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3 starts");
        let says = BufReader::new(process.stdout.take().expect("it is piped")).lines();
        let mut editor = Self { process, says };
        editor.says("mapped");
        editor
    }

    fn goes_on(&mut self, until: &str) {
        let stdin = self.process.stdin.as_mut().expect("it is piped");
        stdin.write_all(b"\n").expect("it reads");
        self.says(until);
    }

    fn says(&mut self, word: &str) {
        let line = self.says.next().expect("it goes on").expect("it is text");
        assert_eq!(line, word);
    }
}

impl Drop for Editor {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn temporary_files_of_a_killed_agent_are_removed() {
    let mut node = Node::new();
    for number in [0, 7] {
        fs::write(node.own().join(format!(".new-{number}")), "half").unwrap();
    }
    node.pass(&wanted([("web", OLD)]));
    assert_eq!(node.names(), ["web.json"]);
}

#[test]
fn a_profile_with_a_lint_error_does_not_replace_its_file_and_is_reported() {
    let mut node = Node::new();
    node.pass(&wanted([("web", OLD)]));
    let refused = Wanted::from([
        (name("db"), install(NEW)),
        (name("web"), Want::Refused("it is no good [some-lint]".to_owned())),
    ]);
    let found = node.reconciler.pass(Some(&refused), KEEP);
    assert_eq!(node.text("web"), OLD);
    assert_eq!(node.text("db"), NEW, "other files are written");
    let why: Vec<_> = found.failures.iter().map(|it| (it.kind, it.why.as_str())).collect();
    assert_eq!(why, [("lint", "profile \"web\" is not installed: it is no good [some-lint]")]);
    assert!(!found.is_ready());
    assert_eq!(node.reconciler.pass(Some(&refused), KEEP).removed, []);
}

#[test]
fn until_the_profiles_are_known_no_file_is_changed() {
    let mut node = Node::new();
    fs::write(node.file("web"), OLD).unwrap();
    fs::set_permissions(node.file("web"), Permissions::from_mode(0o600)).unwrap();
    for elapsed in [NOTHING, KEEP, KEEP] {
        let found = node.reconciler.pass(None, elapsed);
        assert!(!found.is_ready());
        assert_eq!((found.written, found.removed), (vec![], vec![]));
    }
    assert_eq!(node.names(), ["web.json"]);
    assert_eq!(fs::metadata(node.file("web")).unwrap().mode() & 0o7777, 0o600);
}
