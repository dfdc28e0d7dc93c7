//! Programs of tests: how one is put in a place, and what a running callgate reports by its admin port, its metrics and
//! its log.

use std::{
    fs,
    net::SocketAddr,
    path::Path,
    process::{Command, Output},
    str::FromStr,
};

use serde_json::Value;

use crate::client::exchange;

/// Copies a file that is to be executed.
///
/// It is written by another process. One that this process writes can still be open in a child that another thread has
/// just forked, and the kernel does not execute a file that is open for writing (`ETXTBSY`).
pub fn install(from: &Path, to: &Path) {
    let status = Command::new("install").args(["-m", "755"]).arg(from).arg(to).status();
    assert!(status.expect("there is `install`").success(), "{} is copied", from.display());
}

/// The exit code, standard output and standard error.
pub fn said(output: Output) -> (Option<i32>, String, String) {
    let text = |it| String::from_utf8(it).expect("it is text");
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// The status and the body of the response of an admin port.
pub async fn answer(admin: SocketAddr, path: &str) -> Option<(String, String)> {
    exchange(admin, &format!("GET {path} HTTP/1.0\r\n\r\n")).await
}

/// The body of the response, if that is a 200.
pub async fn ask(admin: SocketAddr, path: &str) -> Option<String> {
    answer(admin, path).await.filter(|it| it.0 == "200").map(|it| it.1)
}

/// The value of a metric on a page of `/metrics`, given with its labels.
pub fn metric<T: FromStr>(page: &str, name: &str) -> Option<T> {
    page.lines().find_map(|it| it.strip_prefix(name)?.strip_prefix(' '))?.parse().ok()
}

/// The lines of a log in JSON with this message.
pub fn logged(log: &Path, message: &str) -> Vec<Value> {
    let log = fs::read_to_string(log).expect("it has a log");
    let lines = log.lines().filter_map(|it| serde_json::from_str::<Value>(it).ok());
    lines.filter(|it| it["message"] == message).collect()
}
