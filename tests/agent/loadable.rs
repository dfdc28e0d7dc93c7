//! A pod can name every file under the seccomp directory as its profile.

use std::{
    fs,
    path::Path,
    process::{Command, Output},
    time::Duration,
};

use callgate::{agent::Wanted, profile::Document};
use serde_json::json;
use support::program::install;
use tempfile::TempDir;

use crate::node::{KEEP, NOTHING, Node, OLD, names, say, wanted};

const HALF: Duration = Duration::from_secs(50);

/// The placeholder for the profile in the configuration of a container.
const HERE: &str = "\"the bytes of the file\"";

/// A container that says whether it is filtered; none, where there is no runc.
struct Container {
    folder: TempDir,
    config: String,
}

impl Container {
    fn new() -> Option<Self> {
        let folder = tempfile::tempdir().expect("there is room for temporary files");
        let root = folder.path().join("rootfs");
        fs::create_dir_all(root.join("proc")).expect("it is not there yet");
        let has_runc = Command::new("runc").arg("--version").output().is_ok();
        let is_root = fs::write("/proc/self/oom_score_adj", "0").is_ok()
            && Command::new("id").arg("-u").output().is_ok_and(|it| it.stdout == b"0\n");
        let busybox = Path::new("/usr/bin/busybox");
        if !has_runc || !is_root || !busybox.exists() {
            say("skipped: it takes root, runc and busybox");
            return None;
        }
        install(busybox, &root.join("busybox"));
        let namespaces = ["pid", "mount", "ipc", "uts"].map(|it| json!({ "type": it }));
        let config = json!({
            "ociVersion": "1.0.2",
            "process": {
                "user": { "uid": 0, "gid": 0 }, "cwd": "/", "noNewPrivileges": true,
                "args": ["/busybox", "grep", "Seccomp:", "/proc/self/status"],
            },
            "root": { "path": "rootfs", "readonly": true },
            "mounts": [{ "destination": "/proc", "type": "proc", "source": "proc" }],
            "linux": { "namespaces": namespaces, "seccomp": "the bytes of the file" },
        });
        Some(Self { folder, config: config.to_string() })
    }

    /// Runs a container whose profile is that file, parsed as JSON as containerd does.
    fn run_under(&self, file: &[u8]) -> Output {
        let text = String::from_utf8_lossy(file);
        let folder = self.folder.path();
        fs::write(folder.join("config.json"), self.config.replace(HERE, &text)).expect("it fits");
        let name = folder.file_name().expect("it has one").to_string_lossy().into_owned();
        let state = folder.join("state");
        let mut command = Command::new("runc");
        command.arg("--root").arg(&state).args(["run", "--bundle"]).arg(folder).arg(&name);
        command.output().expect("runc starts")
    }
}

/// The contents of all files in our directory that are no profiles.
fn others(own: &Path) -> Vec<(String, Vec<u8>)> {
    let all = names(own).into_iter().filter(|it| it.starts_with('.'));
    all.map(|it| (it.clone(), fs::read(own.join(it)).expect("it can be read"))).collect()
}

#[test]
fn no_container_starts_under_a_state_file_of_the_agent() {
    let Some(container) = Container::new() else { return };
    let run = container.run_under(OLD.as_bytes());
    assert_eq!(String::from_utf8_lossy(&run.stdout), "Seccomp:\t2\n", "{run:?}");
    let run = container.run_under(br#"{"web": 0}"#);
    assert_eq!(String::from_utf8_lossy(&run.stdout), "Seccomp:\t0\n", "any object will do");

    let mut node = Node::new();
    node.pass(&wanted([("db", OLD), ("web", OLD)]));
    node.pass(&wanted([("db", OLD)]));
    let others = others(&node.own());
    assert_eq!(others.len(), 1, "there is a note: {:?}", node.names());
    for (name, text) in others {
        let run = container.run_under(&text);
        assert!(!run.status.success() && run.stdout.is_empty(), "{name}: {run:?}");
    }
}

/// A killed agent leaves such a truncated file behind.
#[test]
fn no_truncated_state_file_or_profile_loads_as_a_profile() {
    let mut node = Node::new();
    node.pass(&wanted([("db", OLD), ("web", OLD)]));
    node.pass(&wanted([("db", OLD)]));
    for (name, text) in others(&node.own()) {
        for end in 0..=text.len() {
            assert!(Document::parse(&text[..end]).is_err(), "{name}: {end} bytes of it");
        }
    }
    let profile = OLD.trim_end();
    for end in 0..profile.len() {
        assert!(Document::parse(&profile.as_bytes()[..end]).is_err(), "{end} bytes");
    }
    assert!(Document::parse(profile.as_bytes()).is_ok(), "the whole of it is the profile itself");
}

#[test]
fn the_old_state_file_is_read_once_and_removed() {
    let mut node = Node::new();
    fs::write(node.file("web"), OLD).unwrap();
    fs::write(node.own().join(".released"), r#"{"web": 50}"#).unwrap();
    // It does not wait until the wanted profiles are known.
    node.reconciler.pass(None, NOTHING);
    assert_eq!(node.names(), [".kept", "web.json"]);
    node.restart();
    assert_eq!(node.pass(&Wanted::new()).removed, []);
    assert_eq!(node.reconciler.pass(Some(&Wanted::new()), HALF).removed.len(), 1);
    // And a file of an agent of that version that ran in between.
    fs::write(node.own().join(".released"), r#"{"web": 50}"#).unwrap();
    node.reconciler.pass(Some(&Wanted::new()), KEEP);
    assert_eq!(node.names(), [".kept"]);
}
