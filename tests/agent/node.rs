//! A seccomp directory, and an agent's reconciler over it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use callgate::agent::{Content, Entry, Name, PassResult, Reconciler, Want, Wanted};
use tempfile::TempDir;

pub(crate) const KEEP: Duration = Duration::from_secs(100);

/// No time has passed.
pub(crate) const NOTHING: Duration = Duration::ZERO;

pub(crate) const OLD: &str = "{\"defaultAction\": \"SCMP_ACT_ALLOW\", \"syscalls\": [{\"names\": [\"mkdir\"], \"action\": \"SCMP_ACT_ERRNO\"}]}\n";
pub(crate) const NEW: &str = "{\"defaultAction\": \"SCMP_ACT_ALLOW\", \"syscalls\": [{\"names\": [\"rmdir\"], \"action\": \"SCMP_ACT_ERRNO\"}]}\n";

pub(crate) struct Node {
    pub(crate) directory: TempDir,
    pub(crate) reconciler: Reconciler,
}

impl Node {
    /// A prepared, empty node.
    pub(crate) fn new() -> Self {
        let node = Self::unprepared();
        fs::create_dir(node.own()).expect("it is not there yet");
        node
    }

    pub(crate) fn unprepared() -> Self {
        let directory = tempfile::tempdir().expect("there is room for temporary files");
        fs::create_dir(directory.path().join("seccomp")).expect("it is not there yet");
        let reconciler = reconciler(directory.path().join("seccomp"));
        Self { directory, reconciler }
    }

    /// Restarts the agent, which loses its memory.
    pub(crate) fn restart(&mut self) {
        self.reconciler = reconciler(self.root());
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.directory.path().join("seccomp")
    }

    pub(crate) fn own(&self) -> PathBuf {
        self.root().join("callgate")
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.own().join(format!("{name}.json"))
    }

    /// A pass that has to succeed.
    pub(crate) fn pass(&mut self, wanted: &Wanted) -> PassResult {
        let found = self.reconciler.pass(Some(wanted), NOTHING);
        assert!(found.is_ready(), "{:?}", found.failures);
        assert_eq!(found.troubles, []);
        found
    }

    pub(crate) fn text(&self, name: &str) -> String {
        fs::read_to_string(self.file(name)).unwrap_or_else(|it| panic!("{name}: {it}"))
    }

    /// The names of all files in our directory, hidden or not.
    pub(crate) fn names(&self) -> Vec<String> {
        names(&self.own())
    }
}

/// A reconciler that has all texts in memory.
pub(crate) fn reconciler(root: PathBuf) -> Reconciler {
    Reconciler::new(root, KEEP, Box::new(|name| panic!("nobody asks for {name}")))
}

pub(crate) fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).expect("it can be listed");
    let names = entries.map(|it| it.expect("it can be listed").file_name());
    let mut names: Vec<_> = names.map(|it| it.to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

pub(crate) fn wanted<const N: usize>(all: [(&str, &str); N]) -> Wanted {
    all.into_iter().map(|(name, text)| (self::name(name), install(text))).collect()
}

pub(crate) fn install(text: &str) -> Want {
    Want::Install(Content::sound(text.to_owned()))
}

pub(crate) fn name(text: &str) -> Name {
    Name::parse(text).expect("names of tests are right")
}

/// What is reported about each file: path, source, problem.
pub(crate) fn lines(found: &PassResult) -> Vec<String> {
    let line = |it: &Entry| {
        let problem = it.problem.map_or("sound", |it| it.as_str());
        format!("{} {} {problem}", it.path, it.source.as_str())
    };
    found.entries.iter().map(line).collect()
}

/// Mounts a file system of its own; none, where this user may not.
pub(crate) fn mount(options: &str, at: &Path) -> Option<Mount> {
    mount_with(&["-t", "tmpfs", "-o", options, "callgate-test"], at)
}

/// Bind-mounts `what` at `at`, as for the volumes of pods.
pub(crate) fn bind(what: &Path, at: &Path) -> Option<Mount> {
    mount_with(&["--bind", &what.to_string_lossy()], at)
}

fn mount_with(arguments: &[&str], at: &Path) -> Option<Mount> {
    let status = Command::new("mount").args(arguments).arg(at).output().ok()?.status;
    if !status.success() {
        say("skipped: mounting needs root");
        return None;
    }
    Some(Mount(at.to_owned()))
}

pub(crate) struct Mount(PathBuf);

impl Mount {
    pub(crate) fn remount(&self, options: &str) {
        let options = format!("remount,{options}");
        let status = Command::new("mount").args(["-o", &options]).arg(&self.0).status();
        assert!(status.expect("there is a mount").success());
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[expect(clippy::print_stderr, reason = "a test reports")]
pub(crate) fn say(text: &str) {
    eprintln!("{text}");
}
