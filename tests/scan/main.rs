//! `callgate scan` against an API server of the test's own.

mod openreports;
mod page;
mod server;

use std::{fs, process::Stdio};

use rustix::process::{Pid, Signal, kill_process};

use server::{Server, command};

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
