//! Where a suite runs: in its own cluster, or against an existing one.

use std::{
    env,
    io::{self, BufRead, BufReader, Read},
    net::IpAddr,
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
    thread,
};

use crate::report::report;

/// Says that this process is inside the rig's network already; holds its directory.
const INSIDE: &str = "CALLGATE_E2E_INSIDE";

/// As this descriptor the suite inside has the input of a shell outside, which ends with it.
pub const SHELL_OUTSIDE: u8 = 7;

/// As this one it has the network outside.
pub const NETWORK_OUTSIDE: u8 = 8;

/// Runs the lines that it reads. What it starts is killed when it ends.
const SHELL: &str =
    "trap 'kill $(jobs -p)' EXIT; while read -r line; do eval \"$line\" </dev/null; done";

/// Names the folder in `e2e` whose scripts run the cluster of our own: `cluster`, which is the default, or `kind`.
const RIG: &str = "CALLGATE_E2E_RIG";

/// The exit code of the rig if it is not allowed to run.
const NOT_ALLOWED: i32 = 77;

/// The root of this tree.
const TREE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

pub enum Place {
    Outside,
    Inside(Site),
}

/// How to reach the API server, and how it reaches us.
#[derive(Clone)]
pub struct Site {
    /// The state of the cluster, if it is ours.
    pub directory: Option<PathBuf>,
    pub kubeconfig: PathBuf,
    /// The address of this process as the API server sees it. Never loopback:
    /// an `EndpointSlice` may not hold that.
    pub address: IpAddr,
    /// The log of the API server, if it is ours.
    pub server_log: Option<PathBuf>,
    /// The programs of the cluster, kubectl among them, if they are ours.
    pub programs: Option<PathBuf>,
    /// The program that is tested.
    pub callgate: PathBuf,
}

impl Site {
    /// bash that will run a script in a folder, as the cluster's admin, with kubectl and callgate on its `PATH`. It has no
    /// input, and standard error goes where standard output does.
    pub fn bash(&self, script: &str, folder: &Path) -> Command {
        let callgate = self.callgate.parent().map(Path::to_owned);
        let others = env::var_os("PATH").unwrap_or_default();
        let folders = self.programs.clone().into_iter().chain(callgate);
        let path = env::join_paths(folders.chain(env::split_paths(&others)));
        let mut command = Command::new("bash");
        command
            .args(["-c", &format!("exec 2>&1\n{script}")])
            .current_dir(folder)
            .env("PATH", path.expect("no folder has a colon in its name"))
            .env("KUBECONFIG", &self.kubeconfig)
            .stdin(Stdio::null());
        command
    }

    /// Runs it; the exit code and what it prints.
    pub fn run(&self, script: &str, folder: &Path) -> (i32, String) {
        let output = self.bash(script, folder).output().expect("bash starts");
        let code = output.status.code().expect("it ends by itself");
        (code, String::from_utf8(output.stdout).expect("it is text"))
    }
}

pub enum Failure {
    /// Not a failure: this user may not run it.
    Impossible(String),
    Broken(String),
}

/// The requirements on our own cluster.
#[derive(Default)]
pub struct Needs {
    pub nodes: usize,
    /// Archives of the images that run on them.
    pub images: Vec<PathBuf>,
    /// Leaves the CPU to the API server: no controller manager, no scheduler.
    pub quiet: bool,
    /// Writes configuration of the API server into a directory, and returns the flag for it.
    pub told: Option<fn(&Path) -> io::Result<String>>,
}

/// The cluster of our own, if this process is inside.
fn inside(callgate: &str) -> Option<Site> {
    let directory = PathBuf::from(env::var_os(INSIDE)?);
    Some(Site {
        kubeconfig: directory.join("kubeconfig"),
        address: IpAddr::from([10, 200, 0, 1]),
        server_log: Some(directory.join("log/kube-apiserver.log")),
        programs: Some(directory.join("bin")),
        directory: Some(directory),
        callgate: callgate.into(),
    })
}

/// The folder of the scripts that run the cluster of our own.
pub fn rig() -> PathBuf {
    let name = env::var(RIG).unwrap_or_else(|_| "cluster".to_owned());
    let rig = Path::new(TREE).join("e2e").join(&name);
    assert!(rig.join("run").is_file(), "{RIG} is cluster or kind, not {name:?}");
    rig
}

/// Whether that is kind.
pub fn is_kind() -> bool {
    env::var(RIG).is_ok_and(|it| it == "kind")
}

/// The tests that cannot run on kind, and why.
const LEFT_OUT: &[(&str, &str)] = &[
    (
        "nodes_are_eligible_where_the_scheduler_finds_them_feasible",
        "it needs a cluster without real nodes",
    ),
    (
        "what_the_linter_says_of_a_profile_is_what_a_node_does",
        "the cgroups of its nodes are those of systemd",
    ),
    ("what_profiles_deny_is_reported_by_container", "no audit record reaches its nodes"),
];

/// Whether this test cannot run on the cluster that was chosen; if so, says why.
pub fn leaves_out(test: &str) -> bool {
    let reason = LEFT_OUT.iter().find(|it| is_kind() && it.0 == test);
    if let Some((name, why)) = reason {
        report(&format!("{name} is left out: {why}"));
    }
    reason.is_some()
}

/// Whether there is no other cluster to use than one of our own.
pub fn is_ours() -> bool {
    env::var_os(INSIDE).is_some() || env::var_os("CALLGATE_E2E_KUBECONFIG").is_none()
}

/// Where this process is, whose suite tests the program `callgate`.
pub fn place(callgate: &str) -> Place {
    if let Some(site) = inside(callgate) {
        return Place::Inside(site);
    }
    let Some(kubeconfig) = env::var_os("CALLGATE_E2E_KUBECONFIG") else {
        return Place::Outside;
    };
    let address = env::var("CALLGATE_E2E_ADDRESS").ok().and_then(|it| it.parse().ok());
    Place::Inside(Site {
        directory: None,
        kubeconfig: kubeconfig.into(),
        address: address.expect("CALLGATE_E2E_ADDRESS is this machine as the cluster reaches it"),
        server_log: None,
        programs: None,
        callgate: callgate.into(),
    })
}

/// Starts the rig and runs this very program in its network.
///
/// The cluster holds on to the other end of a pipe: it ends when this process
/// does, whichever way that happens.
pub fn run_inside(needs: &Needs) -> Result<ExitCode, Failure> {
    let directory = tempfile::tempdir().map_err(|it| broken(&it))?;
    let state = directory.path().join("cluster");
    let rig = rig();
    let flag = needs.told.map(|it| it(directory.path())).transpose().map_err(|it| broken(&it))?;
    let images: Vec<_> = needs.images.iter().map(|it| it.to_string_lossy()).collect();
    let mut cluster = Command::new(rig.join("run"))
        .arg(&state)
        .arg(needs.nodes.to_string())
        .env("IMAGES", images.join(" "))
        .env("APISERVER_FLAGS", flag.unwrap_or_default())
        .env("CONTROLLERS", if needs.quiet { "0" } else { "1" })
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|it| broken(&it))?;
    let lifeline = cluster.stdin.take();
    let mut stdout = BufReader::new(cluster.stdout.take().expect("it is piped"));
    let mut stderr = cluster.stderr.take().expect("it is piped");
    let words = thread::spawn(move || {
        let mut words = String::new();
        stderr.read_to_string(&mut words).map(|_| words)
    });
    let mut line = String::new();
    stdout.read_line(&mut line).map_err(|it| broken(&it))?;
    let inside = (line.trim() == "ready").then(|| enter(&rig, &state)).transpose()?;
    drop(lifeline);
    let ended = cluster.wait().map_err(|it| broken(&it))?;
    let words = words.join().expect("reading does not panic").map_err(|it| broken(&it))?;
    match (inside, ended.code()) {
        (None, Some(NOT_ALLOWED)) => Err(Failure::Impossible(words.trim().to_owned())),
        (Some(code), Some(0)) => Ok(code),
        _ => Err(Failure::Broken(words.trim().to_owned())),
    }
}

/// Runs this program once more, in the cluster's network.
fn enter(rig: &Path, state: &Path) -> Result<ExitCode, Failure> {
    // No process inside can start one outside: a process cannot enter the process namespace around its own.
    let mut shell = Command::new("bash")
        .args(["-c", SHELL])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|it| broken(&it))?;
    let input = shell.stdin.take().expect("it is piped");
    let pass = format!(
        "exec {SHELL_OUTSIDE}>&0 {NETWORK_OUTSIDE}</proc/self/ns/net </dev/null; exec \"$@\""
    );
    let inside = Command::new("bash")
        .args(["-c", &pass, "bash"])
        .stdin(input)
        .arg(rig.join("enter"))
        .arg(state)
        .arg(env::current_exe().map_err(|it| broken(&it))?)
        .args(env::args_os().skip(1))
        .env(INSIDE, state)
        .status()
        .map_err(|it| broken(&it))?;
    shell.wait().map_err(|it| broken(&it))?;
    Ok(ExitCode::from(inside.code().and_then(|it| u8::try_from(it).ok()).unwrap_or(1)))
}

fn broken(error: &dyn std::error::Error) -> Failure {
    Failure::Broken(error.to_string())
}
