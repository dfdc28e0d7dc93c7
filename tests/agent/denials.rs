//! What `callgate denials` says where no record can reach it, by the real kernel.

use std::{
    fs,
    io::{BufRead, BufReader, Lines},
    os::unix::fs::MetadataExt,
    process::{Child, ChildStderr, Command, Stdio},
};

use support::{
    logged_calls::logged_calls,
    program::{ask, metric},
    report::report_details,
    wait::eventually,
};
use tempfile::TempDir;

/// The program, whose API server does not answer.
struct Program {
    process: Child,
    lines: Lines<BufReader<ChildStderr>>,
    _folder: TempDir,
}

impl Program {
    /// Starts it by this command in front of it.
    fn start(front: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("there is room for temporary files");
        let kubeconfig = folder.path().join("kubeconfig");
        let text = "apiVersion: v1\nkind: Config\ncurrent-context: a\n\
            clusters: [{ name: a, cluster: { server: 'http://127.0.0.1:1' } }]\n\
            users: [{ name: a, user: {} }]\n\
            contexts: [{ name: a, context: { cluster: a, user: a } }]\n";
        fs::write(&kubeconfig, text).expect("it is ours");
        let program = [env!("CARGO_BIN_EXE_callgate"), "denials", "--node-name=a"];
        let words = [front, &program[..], &["--admin-listen=127.0.0.1:0"]].concat();
        let mut process = Command::new(words[0])
            .args(&words[1..])
            .env("KUBECONFIG", kubeconfig)
            .stderr(Stdio::piped())
            .spawn()
            .expect("it is a program of util-linux, or ours");
        let lines = BufReader::new(process.stderr.take().expect("it is piped")).lines();
        Self { process, lines, _folder: folder }
    }

    /// What it logs until it says whether records arrive, or ends.
    fn said(&mut self) -> String {
        let mut log = Vec::new();
        for line in self.lines.by_ref().map_while(Result::ok) {
            let has_said =
                line.contains("audit records arrive") || line.contains("no denial can be seen");
            log.push(line);
            if has_said {
                break;
            }
        }
        log.join("\n")
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.process.kill().expect("it is ours");
        self.process.wait().expect("it is ours");
    }
}

fn run(front: &[&str]) -> String {
    Program::start(front).said()
}

/// Whether this machine has records for this process; if not, the test is left out.
fn records_arrive() -> bool {
    let is_root = fs::metadata("/proc/self").is_ok_and(|it| it.uid() == 0);
    let arrive = is_root && run(&[]).contains("audit records arrive");
    if !arrive {
        report_details("left out: it takes root in the first network namespace");
    }
    arrive
}

#[test]
fn where_no_record_arrives_the_log_says_what_the_pod_lacks() {
    if !records_arrive() {
        return;
    }
    let log = run(&["unshare", "--net"]);
    assert!(
        log.contains("no record of a call of its own arrived: the pod needs hostNetwork"),
        "{log}"
    );
    assert!(!log.contains("audit records arrive"), "{log}");
    let log = run(&["unshare", "--pid", "--fork", "--kill-child"]);
    assert!(log.contains("names another process: the pod needs hostPID"), "{log}");
    assert!(!log.contains("audit records arrive"), "{log}");
}

#[test]
fn one_capability_is_enough_and_without_it_the_program_ends() {
    if !records_arrive() {
        return;
    }
    let only = |capability| run(&["setpriv", "--inh-caps=-all", "--no-new-privs", capability]);
    let log = only("--bounding-set=-all,+audit_read");
    assert!(log.contains("audit records arrive"), "{log}");
    let log = only("--bounding-set=-all");
    let expected = "error: cannot read audit records, which takes CAP_AUDIT_READ: \
        Operation not permitted (os error 1)";
    assert!(log.lines().any(|it| it == expected), "{log}");
}

#[tokio::test]
async fn records_that_are_lost_are_counted_as_such() {
    if !records_arrive() {
        return;
    }
    let mut program = Program::start(&[]);
    let log = program.said();
    let (_, after) = log.split_once("admin_address=").expect("it says where it listens");
    let address = after.split_whitespace().next().and_then(|it| it.parse().ok());
    let address = address.expect("an address");
    let lost = async || {
        let page = ask(address, "/metrics").await?;
        metric::<u64>(&page, "callgate_denials_lost_total")
    };
    assert_eq!(lost().await, Some(0));
    // More than any socket of it has room for.
    let signal = |name: &str| {
        let id = program.process.id().to_string();
        assert!(Command::new("kill").args([name, &id]).status().expect("it starts").success());
    };
    signal("-STOP");
    tokio::task::spawn_blocking(|| logged_calls(50_000, "true")).await.expect("it does not panic");
    signal("-CONT");
    eventually("the loss is counted", async || lost().await.filter(|it| *it > 0)).await;
}
