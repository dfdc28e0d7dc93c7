//! `callgate replay` on the audit log of a real API server.

use std::{fs, io::Write, path::Path, process::Command};

use flate2::{Compression, write::GzEncoder};
use serde_json::{Value, json};
use support::{page::blocks, program::said, report::report, wait::eventually};

use super::scan::{fill, run_lines};
use crate::{
    audit::{self, WITH_OBJECTS, WITHOUT_OBJECTS},
    trial::{Test, trials},
};

trials![the_audit_log_of_an_api_server_says_what_would_have_been_denied];

/// The exit code, standard output and standard error of `callgate replay`.
fn replay(arguments: &[&Path]) -> (Option<i32>, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_callgate"))
        .arg("replay")
        .args(arguments)
        .env_clear()
        .output()
        .expect("the binary starts");
    said(output)
}

/// The text with TIME for each time.
fn without_times(text: &str) -> String {
    let is_time = |it: &str| it.len() == 27 && it.starts_with("20") && it.ends_with('Z');
    let words = text.split_inclusive([' ', '\n']).map(|it| {
        let word = it.trim_end();
        if is_time(word) { it.replace(word, "TIME") } else { it.to_owned() }
    });
    words.collect()
}

async fn the_audit_log_of_an_api_server_says_what_would_have_been_denied(it: Test) {
    let Some(log) = audit::log(&it.world.site) else {
        return report("skipped: this cluster has no audit log");
    };
    for name in [WITH_OBJECTS, WITHOUT_OBJECTS] {
        let namespace = json!({
            "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name },
        });
        it.api().post("/api/v1/namespaces", &namespace).await.expect_ok("the namespace");
        let account = json!({
            "apiVersion": "v1", "kind": "ServiceAccount", "metadata": { "name": "default" },
        });
        it.api().post(&format!("/api/v1/namespaces/{name}/serviceaccounts"), &account).await;
        fill(&it, name).await;
    }
    let expected = "\
replay-with-objects: 3 pods (2 denied) and 2 templates (1 changed, 1 denied), TIME to TIME
  cronjob \"tidy\": 1 template (1 changed)
  deployment \"web\": 2 pods (2 denied) and 1 template (1 denied)
    denied 3 times: spec.template.spec.containers[0] \"app\": privileged turns seccomp off; remove it, or ask for an exemption [privileged] TIME to TIME

replay-without-objects: 3 pods (3 unknown) and 3 templates (3 unknown), TIME to TIME
  unknown: the log does not have the objects of 6
";
    // The API server writes an entry after it has answered.
    let (code, stderr) = eventually("the log is complete", async || {
        let (code, stdout, stderr) = replay(&[&log]);
        without_times(&stdout).starts_with(expected).then_some((code, stderr))
    })
    .await;
    assert_eq!(code, Some(1), "{stderr}");

    // The same in two files, one of them compressed, gives the same.
    let text = fs::read_to_string(&log).expect("it is text");
    let lines: Vec<_> = text.split_inclusive('\n').collect();
    let (first, second) = lines.split_at(lines.len() / 2);
    let folder = tempfile::tempdir().expect("a folder");
    let (old, new) = (folder.path().join("audit-1.log.gz"), folder.path().join("audit.log"));
    let file = fs::File::create(&old).expect("a file");
    let mut gzip = GzEncoder::new(file, Compression::fast());
    gzip.write_all(first.concat().as_bytes()).and_then(|()| gzip.finish()).expect("it is written");
    fs::write(&new, second.concat()).expect("it is written");
    assert_eq!(replay(&[&old, &new]).1, replay(&[&new, &old]).1);
    assert!(without_times(&replay(&[&old, &new]).1).starts_with(expected));

    the_commands_of_the_page_do_what_it_says(&it, &old, &log);

    // A file that is cut off is an error, and what was read before it counts.
    let bytes = fs::read(&old).expect("it is there");
    fs::write(&old, &bytes[..bytes.len() / 2]).expect("it is written");
    let (code, _, stderr) = replay(&[&old]);
    assert_eq!(code, Some(2), "{stderr}");
    let document: Value = {
        let json = [log.as_path(), Path::new("--output"), Path::new("json")];
        serde_json::from_str(&replay(&json).1).expect("it is JSON")
    };
    assert_eq!(document["version"], 1);
}

/// With the log, and a compressed one of an earlier time.
fn the_commands_of_the_page_do_what_it_says(it: &Test, old: &Path, log: &Path) {
    let folder = tempfile::tempdir().expect("a folder");
    let policy = Path::new("examples/policy.yaml");
    for (from, name) in [(old, "audit-1.log.gz"), (log, "audit.log"), (policy, "my-policy.yaml")] {
        fs::copy(from, folder.path().join(name)).expect("a copy");
    }
    let commands = blocks("docs/replay.md", "sh").concat().replace("/var/log/kubernetes/", "");
    let ran = run_lines(it, &commands, folder.path());
    let codes: Vec<_> = ran.iter().map(|it| it.0).collect();
    assert_eq!(codes, [1, 1, 0, 1], "{ran:#?}");
}
