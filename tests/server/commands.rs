//! The ports of the commands themselves, under attack.

use std::{
    io::{BufRead, BufReader},
    net::SocketAddr,
    process::{Child, Command, Stdio},
};

use support::{client::Client, program::metric};
use tempfile::TempDir;
use tokio::io::AsyncReadExt;

/// More than any port takes.
const TOO_MANY: usize = 200;

fn callgate() -> Command {
    Command::new(env!("CARGO_BIN_EXE_callgate"))
}

/// Stopped when it is dropped.
pub(crate) struct Running {
    child: Child,
    admin: SocketAddr,
    /// The webhook's, where there is one.
    pub(crate) address: Option<SocketAddr>,
    _directory: TempDir,
}

impl Running {
    fn serve() -> Self {
        Self::start(callgate(), &["serve", "--standalone", "--listen=127.0.0.1:0"])
    }

    /// With at most this many KiB of writable memory.
    pub(crate) fn within(
        kibibytes: u64,
        words: &[&str],
        environment: Vec<(String, String)>,
    ) -> Self {
        Self::limited(&format!("ulimit -d {kibibytes}"), words, environment)
    }

    /// Within limits that a shell sets first.
    pub(crate) fn limited(limit: &str, words: &[&str], environment: Vec<(String, String)>) -> Self {
        let mut command = Command::new("sh");
        command.args(["-c", &format!("{limit} && exec \"$@\""), "sh"]);
        command.arg(callgate().get_program()).envs(environment);
        Self::start(command, words)
    }

    /// The value of a metric without labels.
    pub(crate) async fn metric(&self, name: &str) -> Option<usize> {
        let page = Client::plain(self.admin).await.get("/metrics").await.body;
        metric(&page, name)
    }

    /// How many files and connections it has open.
    pub(crate) fn open_files(&self) -> usize {
        let all = std::fs::read_dir(format!("/proc/{}/fd", self.child.id()));
        all.expect("it is ours").count()
    }

    /// The most memory that it had at once, in KiB.
    pub(crate) fn peak(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        let status = status.expect("it is ours");
        let line = status.lines().find_map(|it| it.strip_prefix("VmHWM:")).expect("it is there");
        line.trim_end_matches("kB").trim().parse().expect("a number")
    }

    pub(crate) fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// The cluster that it is to follow does not answer.
    fn agent() -> Self {
        Self::start(callgate(), &["agent", "--node-name=node-1"])
    }

    fn start(mut command: Command, words: &[&str]) -> Self {
        let directory = tempfile::tempdir().expect("there is room for a directory");
        let kubeconfig = directory.path().join("kubeconfig");
        std::fs::write(&kubeconfig, KUBECONFIG).expect("it is ours");
        command.args(words).args(["--log-format=json", "--admin-listen=127.0.0.1:0"]);
        if words[0] == "agent" {
            command.arg("--seccomp-root").arg(directory.path());
        }
        command.env("KUBECONFIG", kubeconfig).stdin(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("it starts");
        let mut log = BufReader::new(child.stderr.take().expect("it is piped"));
        let mut seen = String::new();
        let (admin, address) = loop {
            let start = seen.len();
            assert_ne!(log.read_line(&mut seen).expect("a log"), 0, "it has ended:\n{seen}");
            let line: serde_json::Value =
                serde_json::from_str(&seen[start..]).unwrap_or_else(|it| panic!("{it}:\n{seen}"));
            let address = |it: &str| line[it].as_str().map(|it| it.parse().expect("an address"));
            if let Some(admin) = address("admin_address") {
                break (admin, address("address"));
            }
        };
        std::thread::spawn(move || log.lines().count());
        Self { child, admin, address, _directory: directory }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const KUBECONFIG: &str = r#"{
    "apiVersion": "v1", "kind": "Config", "current-context": "nobody",
    "clusters": [{ "name": "nobody", "cluster": { "server": "http://127.0.0.1:1" } }],
    "contexts": [{ "name": "nobody", "context": { "cluster": "nobody", "user": "nobody" } }],
    "users": [{ "name": "nobody", "user": {} }]
}"#;

/// The bytes that a client writes before it keeps its connection open.
const ATTACKS: [(&str, &str); 4] = [
    ("silence", ""),
    ("a head that never ends", "GET /livez HTTP/1.1\r\nX: "),
    ("a body that never comes", "POST /livez HTTP/1.1\r\nContent-Length: 1000\r\n\r\n"),
    ("an answer that is not read", "GET /metrics HTTP/1.1\r\nHost: callgate\r\n\r\n"),
];

async fn probes_are_answered(running: &Running, ready: u16) {
    for (attack, text) in ATTACKS {
        let mut hoard = Vec::new();
        for _ in 0..TOO_MANY {
            let mut client = Client::plain(running.admin).await;
            // It may be cut already.
            let _ = client.write(text).await;
            hoard.push(client);
        }
        for (path, status) in [("/livez", 200), ("/readyz", ready), ("/metrics", 200)] {
            let answer = Client::plain(running.admin).await.get(path).await;
            assert_eq!(answer.status, status, "{path} under {attack}");
        }
    }
}

#[tokio::test]
async fn probes_of_a_replica_are_answered_regardless_of_other_connections() {
    probes_are_answered(&Running::serve(), 200).await;
}

#[tokio::test]
async fn probes_of_an_agent_are_answered_regardless_of_other_connections() {
    probes_are_answered(&Running::agent(), 503).await;
}

/// No client has to wait until a slow one is timed out.
#[tokio::test]
async fn a_silent_connection_to_the_admin_port_is_closed_for_a_new_one_above_the_limit() {
    let running = Running::serve();
    let mut first = Client::plain(running.admin).await;
    let mut hoard = Vec::new();
    for _ in 0..TOO_MANY {
        hoard.push(Client::plain(running.admin).await);
    }
    assert_eq!(hoard.last_mut().expect("there are many").get("/livez").await.status, 200);
    let mut rest = Vec::new();
    let _ = first.stream.read_to_end(&mut rest).await;
    assert!(rest.is_empty());
}
