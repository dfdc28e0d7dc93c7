//! The output of `callgate profile wrap`, sent to an API server as `kubectl` does.

use std::{
    fs,
    io::Write,
    process::{Command, Stdio},
};

use serde::Deserialize;
use serde_json::{Value, json};

use crate::trial::{Test, trials};

trials![
    a_wrapped_file_is_stored_as_it_was_printed,
    every_object_of_the_table_is_stored_without_a_change,
    names_that_look_like_other_yaml_types_are_stored_unchanged,
];

const PROFILES: &str = "/apis/callgate.dev/v1alpha1/seccompprofiles";

/// Strict about unknown fields, and without storing anything.
const STRICTLY: &str = "fieldValidation=Strict&dryRun=All";

#[derive(Deserialize)]
struct Case {
    name: String,
    text: String,
    arch: Option<String>,
    kernel: Option<String>,
    spec: Option<Value>,
}

/// What the command prints, in YAML.
fn wrapped(name: &str, text: &str, flags: &[&str]) -> String {
    let mut process = Command::new(env!("CARGO_BIN_EXE_callgate"))
        .args(["profile", "wrap", "-", "--name", name])
        .args(flags)
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the binary starts");
    let mut input = process.stdin.take().expect("it is piped");
    input.write_all(text.as_bytes()).expect("it reads");
    drop(input);
    let output = process.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(0), "{text}");
    String::from_utf8(output.stdout).expect("it is text")
}

async fn a_wrapped_file_is_stored_as_it_was_printed(it: Test) {
    let file = fs::read_to_string("profiles/block-mkdir.json").expect("it is there");
    let name = format!("block-mkdir-{}", std::process::id());
    let object = wrapped(&name, &file, &[]);
    let path = format!("{PROFILES}/{name}");
    let apply = format!("{path}?fieldManager=kubectl&fieldValidation=Strict");
    let stored = it.api().apply_yaml(&apply, &object).await.expect_ok("the profile");
    let expected = json!({
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{ "names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_KILL" }],
    });
    assert_eq!(stored["spec"], expected);
    it.api().delete(&path).await.expect_ok("the profile goes");
}

async fn every_object_of_the_table_is_stored_without_a_change(it: Test) {
    let table = fs::read_to_string("tests/wrap.yaml").expect("the table is there");
    let cases: Vec<Case> = serde_saphyr::from_str(&table).expect("the table is YAML");
    let mut taken = 0;
    for Case { name, text, arch, kernel, spec } in cases {
        let Some(spec) = spec else { continue };
        let arch = arch.iter().flat_map(|it| ["--arch", it]);
        let flags: Vec<_> = arch.chain(kernel.iter().flat_map(|it| ["--kernel", it])).collect();
        let object = wrapped("table", &text, &flags);
        let reply = it.api().post_yaml(&format!("{PROFILES}?{STRICTLY}"), &object).await;
        assert_eq!(reply.expect_ok(&name)["spec"], spec, "{name}");
        taken += 1;
    }
    assert!(taken > 10, "only {taken}");
}

async fn names_that_look_like_other_yaml_types_are_stored_unchanged(it: Test) {
    let names = json!(["on", "no", "1e3", "0x10", "1_000", "~", "- a", "a: b", "#", "'", "\u{85}"]);
    let rule = json!({ "names": names, "action": "SCMP_ACT_ERRNO" });
    let file = json!({ "defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule] });
    let object = wrapped("odd", &file.to_string(), &[]);
    let reply = it.api().post_yaml(&format!("{PROFILES}?{STRICTLY}"), &object).await;
    assert_eq!(reply.expect_ok("odd names")["spec"]["syscalls"][0]["names"], names);
}
