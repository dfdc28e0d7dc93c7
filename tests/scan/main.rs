//! `callgate scan` and `callgate ladder` against an API server of the test's own.

mod openreports;
mod page;
mod server;

use std::{fs, process::Stdio};

use rustix::process::{Pid, Signal, kill_process};

use server::{Server, callgate, command};

/// The pods never end: the first one comes, and nothing after it.
#[test]
fn ctrl_c_ends_a_scan_with_what_it_has() {
    let server = Server::start(|path| {
        let items = match path {
            "/api/v1/namespaces" => r#"{"metadata":{"name":"shop"}}"#,
            "/api/v1/pods" => {
                r#"{"metadata":{"namespace":"shop","name":"web"},"spec":{"containers":[{"name":"app"}]}},"#
            }
            _ => "",
        };
        let end = if path == "/api/v1/pods" { "" } else { "]}" };
        format!(r#"{{"metadata":{{}},"items":[{items}{end}"#)
    });
    let out = tempfile::NamedTempFile::new().expect("a file");
    let mut scan = command(&server)
        .stdout(out.reopen().expect("it opens"))
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    server.await_request("/api/v1/pods");
    let pid = Pid::from_raw(scan.id().try_into().expect("it fits")).expect("it is one");
    kill_process(pid, Signal::INT).expect("it runs");
    let ended = scan.wait().expect("it ends");
    assert_eq!(ended.code(), Some(2));
    let text = fs::read_to_string(out.path()).expect("it is text");
    let start = "incomplete: it was interrupted\n\nshop: unknown whether it is safe to enforce: the scan is incomplete: it was interrupted\n";
    assert!(text.starts_with(start), "{text}");
}

#[test]
fn an_api_server_that_knows_no_such_user_is_named() {
    let output = command(&Server::refusing(401)).output().expect("the binary starts");
    let text = String::from_utf8(output.stderr).expect("it is text");
    assert_eq!(text, "error: cannot list namespaces: the API server says: 401 Unauthorized\n");
    assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0));
}

#[test]
fn where_nothing_may_be_read_nothing_is_safe() {
    let output = command(&Server::refusing(403)).output().expect("the binary starts");
    let text = String::from_utf8(output.stdout).expect("it is text");
    assert_eq!(text.matches("not read: ").count(), 14, "{text}");
    assert!(!text.contains("safe to enforce"), "{text}");
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn namespaces_that_set_no_mode_are_shown_or_counted() {
    let server = Server::start(|path| {
        let items = match path {
            "/api/v1/namespaces" => {
                r#"{"metadata":{"name":"shop","labels":{"callgate.dev/policy":"restricted"}}}"#
            }
            _ => "",
        };
        format!(r#"{{"metadata":{{}},"items":[{items}]}}"#)
    });
    let output = callgate("ladder", &server).output().expect("the binary starts");
    let text = |it| String::from_utf8(it).expect("it is text");
    let left_out = "left out: 1 namespace without the label callgate.dev/mode; by --default-mode \
        the mode is enforce\n";
    assert_eq!((text(output.stdout), text(output.stderr)), (String::new(), left_out.to_owned()));
    let mut ladder = callgate("ladder", &server);
    let output = ladder.args(["--default-mode", "audit"]).output().expect("the binary starts");
    let expected = "\
shop: mode audit under policy \"restricted\"
  warn: safe
    kubectl label namespace shop callgate.dev/policy=restricted callgate.dev/mode=warn --overwrite
  enforce: unknown: there is no evidence: the component \"evidence\" keeps it, in the namespaces that name a policy; when the labels of the namespace were changed is not known: its managedFields do not say

";
    assert_eq!((text(output.stdout), text(output.stderr)), (expected.to_owned(), String::new()));
}

#[test]
fn a_ladder_without_its_rights_says_which() {
    let output = callgate("ladder", &Server::refusing(403)).output().expect("the binary starts");
    let text = String::from_utf8(output.stderr).expect("it is text");
    assert_eq!(text, "error: cannot list namespaces: the API server says: 403 Forbidden\n");
    assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0));
}
