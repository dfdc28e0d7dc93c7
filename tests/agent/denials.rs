//! What `callgate denials` says where no record can reach it, by the real kernel.

use std::{
    fs,
    io::{BufRead, BufReader},
    os::unix::fs::MetadataExt,
    process::{Command, Stdio},
};

use support::report::report_details;

/// Runs the program by this command in front of it until it says whether records arrive, or ends; its API
/// server does not answer.
fn run(front: &[&str]) -> String {
    let folder = tempfile::tempdir().expect("there is room for temporary files");
    let kubeconfig = folder.path().join("kubeconfig");
    let text = "apiVersion: v1\nkind: Config\ncurrent-context: a\n\
        clusters: [{ name: a, cluster: { server: 'http://127.0.0.1:1' } }]\n\
        users: [{ name: a, user: {} }]\ncontexts: [{ name: a, context: { cluster: a, user: a } }]\n";
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
    let mut log = Vec::new();
    for line in lines.map_while(Result::ok) {
        if line.contains("audit records arrive") || line.contains("no denial can be seen") {
            process.kill().expect("it runs");
        }
        log.push(line);
    }
    process.wait().expect("it has ended");
    log.join("\n")
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
