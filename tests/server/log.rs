//! A log that is not read, and long values from clients, with the binary itself.

use std::{
    env, fs,
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::Path,
    process::{Child, ChildStderr, Command, ExitStatus, Stdio},
    sync::mpsc::{Receiver, Sender, channel},
    thread,
};

use axum::{
    Router,
    body::Body,
    response::{IntoResponse, Response},
};
use futures_util::stream;
use http::{StatusCode, Uri};
use rustls::version::TLS13;
use serde_json::{Value, json};
use support::{
    client::{Client, Encrypted, handshake, trusting},
    wait::{PATIENCE, eventually},
};
use tempfile::TempDir;
use tokio::{
    net::TcpListener,
    time::{Instant, sleep, timeout},
};

/// Container runtimes split a longer line in two.
const LONGEST_LINE: usize = 16 * 1024;

/// Their lines are more than a pipe and callgate's queue hold.
const MANY: u64 = 4000;

const DROPPED: &str = "log lines were dropped, the reader of stderr is too slow";

/// A callgate whose stderr is a pipe that only the test reads.
struct Process {
    child: Child,
    log: LogReader,
    directory: TempDir,
}

/// Reads a line when the test wants one, and nothing before. It reads on a thread of its own, so
/// that a line that never comes fails the test.
struct LogReader {
    wants: Sender<()>,
    lines: Receiver<String>,
}

impl LogReader {
    fn of(log: ChildStderr) -> Self {
        let ((wants, wanted), (line_read, lines)) = (channel(), channel());
        thread::spawn(move || {
            let mut log = BufReader::new(log);
            while wanted.recv().is_ok() {
                let mut line = String::new();
                log.read_line(&mut line).expect("the log is text");
                if line_read.send(line).is_err() {
                    break;
                }
            }
        });
        Self { wants, lines }
    }

    fn line(&self) -> String {
        self.wants.send(()).expect("the reader waits");
        self.lines.recv_timeout(PATIENCE).expect("callgate logs another line")
    }
}

impl Process {
    fn start(words: &[&str], directory: TempDir) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_callgate"));
        // The other variables stay: they may set another clock, which the test shares.
        for (name, _) in
            env::vars_os().filter(|(it, _)| it.to_string_lossy().starts_with("CALLGATE_"))
        {
            command.env_remove(name);
        }
        let mut child = command
            .args(words)
            .args(["--log-format", "json", "--admin-listen", "127.0.0.1:0"])
            .env("KUBECONFIG", directory.path().join("kubeconfig"))
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let log = LogReader::of(child.stderr.take().expect("it is piped"));
        Self { child, log, directory }
    }

    fn serve() -> Self {
        let directory = tempfile::tempdir().expect("there is room");
        let ca = directory.path().join("ca.crt");
        let ca = ca.to_str().expect("it is text");
        let listen = ["--listen", "127.0.0.1:0", "--drain-delay", "0s"];
        let words = ["serve", "--standalone", "--ca-out", ca];
        Self::start(&[&words[..], &listen].concat(), directory)
    }

    /// The next event of the log.
    fn event(&mut self) -> Value {
        let line = self.log.line();
        assert!(line.len() <= LONGEST_LINE, "{} bytes: {}…", line.len(), &line[..200]);
        serde_json::from_str(&line).unwrap_or_else(|it| panic!("{it}: {line:?}"))
    }

    /// Reads the log up to the event with this message.
    fn until(&mut self, message: &str) -> Value {
        loop {
            let event = self.event();
            if event["message"] == message {
                return event;
            }
        }
    }

    /// Reads the log until it has this many events of that name, counting dropped
    /// ones; returns how many were dropped.
    fn accounts_for(&mut self, message: &str, count: u64) -> u64 {
        let (mut read, mut dropped) = (0, 0);
        while read + dropped < count {
            let event = self.event();
            if event["message"] == message {
                read += 1;
            } else if event["message"] == DROPPED {
                dropped += event["lines"].as_u64().expect("a number");
            }
        }
        assert_eq!(read + dropped, count);
        dropped
    }

    async fn connect(&self, address: SocketAddr) -> Encrypted {
        let ca = self.directory.path().join("ca.crt");
        let client = trusting(&ca, &[&TLS13]).with_no_client_auth();
        handshake(address, client).await.expect("it serves")
    }

    /// Ends on a signal, even if its log is not read.
    async fn ends(&mut self) -> ExitStatus {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args(["-TERM", &pid]).status();
        assert!(sent.expect("kill runs").success());
        let started = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("it is our child") {
                return status;
            }
            assert!(started.elapsed() < PATIENCE, "it does not end");
            sleep(std::time::Duration::from_millis(5)).await;
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn address(event: &Value, field: &str) -> SocketAddr {
    event[field].as_str().and_then(|it| it.parse().ok()).expect("it logs its addresses")
}

/// A review that is denied, which leads to a line of the log.
fn denied(uid: &str) -> String {
    let context = json!({ "seccompProfile": { "type": "Unconfined" } });
    json!({
        "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
        "request": {
            "uid": uid, "operation": "CREATE", "namespace": "shop", "name": "web",
            "resource": { "group": "", "version": "v1", "resource": "pods" },
            "object": {
                "metadata": { "name": "web" },
                "spec": { "containers": [{ "name": "app", "securityContext": context }] },
            },
        },
    })
    .to_string()
}

async fn deny(client: &mut Encrypted, uid: &str) {
    let body = denied(uid);
    let head = format!(
        "POST /validate HTTP/1.1\r\nHost: callgate\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n",
        body.len()
    );
    let answer = async {
        client.write(&(head + &body)).await.expect("it reads");
        client.answer().await.expect("it answers")
    };
    let answer = timeout(PATIENCE / 2, answer).await;
    let answer = answer.expect("a review is answered while the log is not read");
    assert!(answer.status == 200 && answer.body.contains("\"allowed\":false"), "{answer:?}");
}

async fn is_alive(admin: SocketAddr) {
    assert_eq!(Client::plain(admin).await.get("/livez").await.body, "ok\n");
}

/// The metric of dropped lines.
async fn dropped(admin: SocketAddr) -> u64 {
    let page = Client::plain(admin).await.get("/metrics").await.body;
    let line = page.lines().find_map(|it| it.strip_prefix("callgate_log_lines_dropped_total "));
    line.and_then(|it| it.parse().ok()).expect("it counts them")
}

#[tokio::test]
async fn a_blocked_reader_of_the_log_stops_no_review_and_later_reads_how_much_it_missed() {
    let mut process = Process::serve();
    let serving = process.until("serving");
    let admin = address(&serving, "admin_address");
    let mut client = process.connect(address(&serving, "address")).await;
    let uid = "u".repeat(2000);
    for _ in 0..MANY {
        deny(&mut client, &uid).await;
    }
    is_alive(admin).await;
    let counted = dropped(admin).await;
    assert!(counted > 0);
    assert_eq!(process.accounts_for("reviewed", MANY), counted);
    assert_eq!(dropped(admin).await, counted);
    deny(&mut client, "after").await;
    assert_eq!(process.until("reviewed")["uid"], "after");
}

#[tokio::test]
async fn a_blocked_reader_of_the_log_does_not_prevent_exit() {
    let mut process = Process::serve();
    let serving = process.until("serving");
    let mut client = process.connect(address(&serving, "address")).await;
    let uid = "u".repeat(2000);
    for _ in 0..MANY {
        deny(&mut client, &uid).await;
    }
    drop(client);
    assert_eq!(process.ends().await.code(), Some(0));
}

#[tokio::test]
async fn long_values_from_a_client_are_cut_and_logged_on_one_line() {
    let mut process = Process::serve();
    let serving = process.until("serving");
    let mut client = process.connect(address(&serving, "address")).await;
    deny(&mut client, &"u".repeat(300_000)).await;
    let event = process.until("reviewed");
    let cut = format!("{}… (300000 bytes, cut)", "u".repeat(1024));
    assert_eq!(event["uid"], cut);
    // Each of these takes six bytes in a line.
    deny(&mut client, &"\u{1}".repeat(100_000)).await;
    let event = process.until("reviewed");
    let cut = format!("{}… (100000 bytes, cut)", "\u{1}".repeat(1024 / 6));
    assert_eq!((&event["uid"], &event["rules"]), (&json!(cut), &json!("unconfined")));
}

/// An API server that has only profiles, each of which leads to a line of the log.
async fn profiles_with_names_too_long_for_a_file(count: u64) -> SocketAddr {
    let profile = |at| {
        let name = format!("{at:0900}");
        json!({ "apiVersion": "callgate.dev/v1alpha1", "kind": "SeccompProfile",
            "metadata": { "name": name, "resourceVersion": "1" }, "spec": {} })
    };
    let profiles: Vec<_> = (0..count).map(profile).collect();
    let list = json!({ "apiVersion": "callgate.dev/v1alpha1", "kind": "SeccompProfileList",
        "metadata": { "resourceVersion": "1" }, "items": profiles });
    let list = list.to_string();
    let answer = async move |asked: Uri| answer_of(&asked, list);
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let address = listener.local_addr().expect("a listener has an address");
    let router = Router::new().fallback(answer);
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

fn answer_of(asked: &Uri, profiles: String) -> Response {
    let is_watch = asked.query().is_some_and(|it| it.contains("watch="));
    match asked.path().ends_with("/seccompprofiles") {
        // Nothing ever changes.
        true if is_watch => {
            Body::from_stream(stream::pending::<Result<&[u8], axum::Error>>()).into_response()
        }
        true => profiles.into_response(),
        false => StatusCode::NOT_FOUND.into_response(),
    }
}

fn kubeconfig(directory: &Path, server: SocketAddr) {
    let config = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "test",
        "clusters": [{ "name": "test", "cluster": { "server": format!("http://{server}") } }],
        "contexts": [{ "name": "test", "context": { "cluster": "test", "user": "test" } }],
        "users": [{ "name": "test", "user": {} }],
    });
    fs::write(directory.join("kubeconfig"), config.to_string()).expect("the directory is ours");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blocked_reader_of_the_log_stops_no_agent_and_later_reads_how_much_it_missed() {
    let directory = tempfile::tempdir().expect("there is room");
    kubeconfig(directory.path(), profiles_with_names_too_long_for_a_file(MANY).await);
    let root = directory.path().to_str().expect("it is text").to_owned();
    let words = ["agent", "--node-name", "a", "--seccomp-root", &root];
    let mut process = Process::start(&words, directory);
    let admin = address(&process.until("agent started"), "admin_address");
    eventually("the agent drops lines that are not read", async || {
        (dropped(admin).await > 0).then_some(())
    })
    .await;
    is_alive(admin).await;
    assert!(process.until(DROPPED)["lines"].as_u64() > Some(0));
    assert_eq!(process.ends().await.code(), Some(0));
}

#[test]
fn files_that_cannot_be_read_for_a_time_are_logged_and_so_is_their_return() {
    let directory = tempfile::tempdir().expect("there is room");
    let (profiles, away) = (directory.path().join("profiles"), directory.path().join("away"));
    fs::create_dir(&profiles).expect("it is ours");
    let ca = directory.path().join("ca.crt");
    let words = ["--profiles", path_of(&profiles), "--ca-out", path_of(&ca)];
    let serve = ["serve", "--standalone", "--listen", "127.0.0.1:0"];
    let mut it = Process::start(&[&serve[..], &words].concat(), directory);
    it.until("serving");
    fs::rename(&profiles, &away).expect("it is ours");
    let error = it.until("policy and profiles not reloaded, the old ones stay");
    let gone = format!("cannot read the profile directory {profiles:?}: ");
    assert!(error["error"].as_str().is_some_and(|it| it.starts_with(&gone)), "{error}");
    fs::rename(&away, &profiles).expect("it is ours");
    it.until("policy and profiles can be read again");
}

fn path_of(path: &Path) -> &str {
    path.to_str().expect("it is text")
}
