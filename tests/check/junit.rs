//! Reports for `JUnit`, by the schema of those who read them.

use std::{
    fs,
    io::ErrorKind,
    path::Path,
    process::{Command, Output},
};

use support::report::report;

const SCHEMA: &str = "tests/check/junit/junit-10.xsd";

/// xmllint's answer about a report; `None` where it is missing.
fn xmllint(file: &Path) -> Option<Output> {
    match Command::new("xmllint").args(["--noout", "--schema", SCHEMA]).arg(file).output() {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            report("skipped: cannot find xmllint; e2e/setup installs it");
            None
        }
        output => Some(output.expect("it starts")),
    }
}

#[test]
fn reports_for_junit_have_the_form_that_jenkins_reads() {
    let folder = tempfile::tempdir().expect("there is room");
    let hostile = folder.path().join("hostile.yaml");
    let pod = "apiVersion: v1\nkind: Pod\nmetadata: { name: \"<a> & \\\"b\\\" \\e[1m\" }\n\
               spec: { containers: [{ name: app, securityContext: { privileged: true } }] }\n";
    fs::write(&hostile, pod).expect("it is writable");
    let broken = folder.path().join("broken.json");
    fs::write(&broken, "{ \"defaultAction\": \"<&>\" }").expect("it is writable");
    let hostile = hostile.to_string_lossy();
    let broken = broken.to_string_lossy();
    let failing = folder.path().join("failing.yaml");
    let tests = "cases:\n- name: \"<a> & b\"\n  policy: restricted\n  object:\n    \
                 spec: { containers: [{ name: app, securityContext: { privileged: true } }] }\n";
    fs::write(&failing, tests).expect("it is writable");
    let failing = failing.to_string_lossy();
    for (words, code) in [
        (vec!["check", "--policy", "restricted", "examples", &hostile], 1),
        (vec!["profile", "lint", "profiles/docker.json", "profiles/block-mkdir.json", &broken], 1),
        (vec!["test", "examples/tests"], 0),
        (vec!["test", &failing], 1),
    ] {
        let file = folder.path().join("report.xml");
        let output = Command::new(env!("CARGO_BIN_EXE_callgate"))
            .args(&words)
            .arg(format!("--output=junit={}", file.display()))
            .env_clear()
            .output()
            .expect("the binary starts");
        let why = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{words:?}: {why}");
        let Some(answer) = xmllint(&file) else { return };
        let said = String::from_utf8_lossy(&answer.stderr).into_owned();
        assert!(answer.status.success(), "{words:?}: {said}");
    }
}

#[test]
fn a_report_of_another_form_is_found_out() {
    let folder = tempfile::tempdir().expect("there is room");
    let file = folder.path().join("report.xml");
    let report = "<testsuites><testsuite name=\"a\"><case name=\"b\"/></testsuite></testsuites>";
    fs::write(&file, report).expect("it is writable");
    if let Some(answer) = xmllint(&file) {
        assert!(!answer.status.success());
    }
}
