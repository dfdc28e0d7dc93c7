//! The commands that check, show and compare profiles, as users run them: output and exit codes.

use std::{
    fs,
    path::Path,
    process::{Command, Output, Stdio},
};

use rstest::rstest;
use serde_json::{Value, json};
use support::page::examples;

const SHOP: &str = r#"{
  "defaultAction": "SCMP_ACT_ALLOW",
  "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"],
  "syscalls": [
    { "names": ["mkdir", "swapon"], "action": "SCMP_ACT_KILL_PROCESS" },
    { "names": ["socket"], "action": "SCMP_ACT_ERRNO", "errnoRet": 97, "args": [
      { "index": 0, "value": 40, "op": "SCMP_CMP_EQ" } ] },
    { "names": ["clone"], "action": "SCMP_ACT_ERRNO", "args": [
      { "index": 0, "value": 2080505856, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ" } ] }
  ]
}
"#;

fn run(directory: &Path, words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_callgate"))
        .arg("profile")
        .args(words)
        .current_dir(directory)
        .env_clear()
        .stdin(Stdio::null())
        .output()
        .expect("the binary starts")
}

fn shop() -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("there is room for a directory");
    fs::write(directory.path().join("shop.json"), SHOP).expect("it is writable");
    let looser = SHOP.replace("\"swapon\"", "\"swapoff\"").replace("97", "1");
    fs::write(directory.path().join("other.json"), looser).expect("it is writable");
    directory
}

/// Runs a command beside `shop.json` and `other.json`.
fn says(words: &[&str]) -> (Option<i32>, String) {
    let output = run(shop().path(), words);
    let said = if output.stdout.is_empty() { output.stderr } else { output.stdout };
    (output.status.code(), String::from_utf8(said).expect("it is text"))
}

#[test]
fn show_lists_what_is_denied_and_counts_what_is_allowed() {
    let expected = "\
shop.json on amd64 nodes

x86-64 (SCMP_ARCH_X86_64): 384 calls
  allowed: 380
    files 99, mounts and namespaces 24, network 17, processes 41, users and capabilities 18,
      memory 31, locks and messages 30, signals 17, waiting and events 30, time 22, scheduling 17,
      kernel and machine 22, unused and rare 12
  kills the process: 2
    files: mkdir
    kernel and machine: swapon
  depends on arguments: 2
    clone: allowed if argument 0 & 0x7c020000 is not 0; otherwise fails with EPERM
    socket: allowed if argument 0 is not 40; otherwise fails with EAFNOSUPPORT

i386 (SCMP_ARCH_X86): 460 calls
  allowed: 455
  kills the process: 2
  depends on arguments: 3
    socketcall: allowed if argument 0 is not 1; otherwise fails with EAFNOSUPPORT

x32 (SCMP_ARCH_X32): every call kills the thread, since the profile does not list it
";
    let (code, said) = says(&["show", "shop.json"]);
    assert_eq!(code, Some(0));
    assert_eq!(said, expected);
}

#[rstest]
#[case::a_rule_decides(
    &["show", "shop.json", "--syscall", "mkdir"],
    "x86-64 (SCMP_ARCH_X86_64): mkdir(): kills the process
  shop.json:5:5: syscalls[0]
i386 (SCMP_ARCH_X86): mkdir(): kills the process
  shop.json:5:5: syscalls[0]
x32 (SCMP_ARCH_X32): mkdir(): kills the thread
  the profile does not list the architecture
"
)]
#[case::the_upper_half_is_shown_unasked(
    &["show", "shop.json", "--syscall", "socket", "--arg", "0=40"],
    "x86-64 (SCMP_ARCH_X86_64): socket(0=40): fails with EAFNOSUPPORT
  shop.json:6:5: syscalls[1]
x86-64 (SCMP_ARCH_X86_64): socket(0=0x100000028): allowed
  shop.json:2:20: defaultAction
  note: the kernel reads the lower 32 bits of argument 0 of socket, so it is the same call
i386 (SCMP_ARCH_X86): socket(0=40): fails with EAFNOSUPPORT
  shop.json:6:5: syscalls[1]
i386 (SCMP_ARCH_X86): socketcall(0=1): fails with EAFNOSUPPORT
  shop.json:6:5: syscalls[1]
  note: socketcall makes the same call; its arguments are in memory, which no filter sees
x32 (SCMP_ARCH_X32): socket(0=40): kills the thread
  the profile does not list the architecture
"
)]
#[case::arguments_are_left_open(
    &["show", "shop.json", "--syscall", "clone", "--arg", "1=0"],
    "x86-64 (SCMP_ARCH_X86_64): clone(1=0): depends on other arguments
  fails with EPERM if argument 0 & 0x7c020000 is 0
    shop.json:8:5: syscalls[2]
  allowed if argument 0 & 0x7c020000 is not 0
    shop.json:2:20: defaultAction
i386 (SCMP_ARCH_X86): clone(1=0): depends on other arguments
  fails with EPERM if argument 0 & 0x7c020000 is 0
    shop.json:8:5: syscalls[2]
  allowed if argument 0 & 0x7c020000 is not 0
    shop.json:2:20: defaultAction
x32 (SCMP_ARCH_X32): clone(1=0): kills the thread
  the profile does not list the architecture
"
)]
#[case::on_another_node(
    &["show", "shop.json", "--syscall", "mkdir", "--arch", "arm64"],
    "arm64 (SCMP_ARCH_AARCH64): there is no mkdir here
arm (SCMP_ARCH_ARM): mkdir(): kills the thread
  the profile does not list the architecture
"
)]
fn show_says_what_becomes_of_a_call(#[case] words: &[&str], #[case] expected: &str) {
    assert_eq!(says(words), (Some(0), expected.to_owned()));
}

#[test]
fn show_prints_json() {
    let (code, text) =
        says(&["show", "shop.json", "--syscall", "socket", "--arg", "0=0x28", "--output", "json"]);
    assert_eq!(code, Some(0));
    let answer: Value = serde_json::from_str(&text).expect("it is JSON");
    assert_eq!(answer["answers"].as_array().map(Vec::len), Some(5));
    let expected = json!({
        "architecture": "SCMP_ARCH_X86_64",
        "call": "socket(0=40)",
        "cases": [{
            "effects": [{ "action": "SCMP_ACT_ERRNO", "errno": "EAFNOSUPPORT" }],
            "when": [],
            "decidedBy": [{ "path": "syscalls[1]", "line": 6, "column": 5 }]
        }]
    });
    assert_eq!(answer["answers"][0], expected);

    let (_, text) = says(&["show", "shop.json", "--output", "json"]);
    let overview: Value = serde_json::from_str(&text).expect("it is JSON");
    assert_eq!(overview["seccompDisabled"], json!(false));
    let calls = overview["architectures"][0]["calls"].as_array().expect("it lists calls");
    let mkdir = calls.iter().find(|it| it["name"] == "mkdir");
    let expected = json!({
        "name": "mkdir",
        "group": "files",
        "cases": [{ "effects": [{ "action": "SCMP_ACT_KILL_PROCESS" }], "when": [] }]
    });
    assert_eq!(mkdir, Some(&expected));
}

#[rstest]
#[case::no_such_call(
    &["show", "shop.json", "--syscall", "mkdri"],
    "error: there is no system call \"mkdri\", did you mean \"mkdir\"?\n"
)]
#[case::no_such_argument(
    &["show", "shop.json", "--syscall", "mkdir", "--arg", "6=1"],
    "error: invalid value '6=1' for '--arg <N=VALUE>': system calls have arguments 0 to 5\n\nFor more information, try '--help'.\n"
)]
#[case::no_value(
    &["show", "shop.json", "--syscall", "mkdir", "--arg", "0=-1"],
    "error: invalid value '0=-1' for '--arg <N=VALUE>': \"-1\" is no number from 0 to 0xffffffffffffffff\n\nFor more information, try '--help'.\n"
)]
#[case::twice(
    &["show", "shop.json", "--syscall", "mkdir", "--arg", "0=1", "--arg", "0=2"],
    "error: argument 0 has two values\n"
)]
#[case::no_such_default(
    &["show", "containerd@1.7"],
    "error: there is no default profile \"containerd@1.7\", only containerd@2.0.14, containerd@2.1.9, containerd@2.2.9, containerd@2.3.7, containerd@2.4.1, containerd@2.4.2, docker@25.0.6, moby@0.1.0, moby@0.2.3, moby@0.2.4, moby@0.3.0\n"
)]
#[case::no_such_file(
    &["diff", "shop.json", "lost.json"],
    "error: cannot read \"lost.json\": No such file or directory (os error 2)\n"
)]
#[case::no_such_node(
    &["diff", "shop.json", "shop.json", "--arch", "x86_64"],
    "error: invalid value 'x86_64' for '--arch <ARCH>': expected one of amd64, arm64, ppc64le, s390x, riscv64, loong64\n\nFor more information, try '--help'.\n"
)]
fn what_cannot_be_answered_is_an_error(#[case] words: &[&str], #[case] expected: &str) {
    assert_eq!(says(words), (Some(2), expected.to_owned()));
}

#[test]
fn a_profile_that_no_runtime_loads_is_an_error() {
    let directory = tempfile::tempdir().expect("there is room for a directory");
    fs::write(directory.path().join("a.json"), r#"{ "defaultAction": "ALLOW" }"#)
        .expect("writable");
    let output = run(directory.path(), &["show", "a.json"]);
    let expected = "error: a.json: no container starts under it: defaultAction is \"ALLOW\", which the \
        runtime does not know (`callgate profile lint` says more)\n";
    assert_eq!(String::from_utf8_lossy(&output.stderr), expected);
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn diff_compares_what_is_done() {
    let expected = "\
shop.json (A) and other.json (B) on amd64 nodes

x86-64 (SCMP_ARCH_X86_64)
  + swapon: A kills the process, B allowed
  ~ socket if argument 0 is 40: A fails with EAFNOSUPPORT, B fails with EPERM
  - swapoff: A allowed, B kills the process

i386 (SCMP_ARCH_X86)
  + swapon: A kills the process, B allowed
  ~ socket if argument 0 is 40: A fails with EAFNOSUPPORT, B fails with EPERM
  ~ socketcall if argument 0 is 1: A fails with EAFNOSUPPORT, B fails with EPERM
  - swapoff: A allowed, B kills the process
";
    assert_eq!(says(&["diff", "shop.json", "other.json"]), (Some(1), expected.to_owned()));
}

#[test]
fn profiles_that_are_written_otherwise_and_do_the_same_do_not_differ() {
    let directory = shop();
    let split = SHOP.replace(
        r#"{ "names": ["mkdir", "swapon"], "action": "SCMP_ACT_KILL_PROCESS" },"#,
        r#"{ "names": ["swapon"], "action": "SCMP_ACT_KILL_PROCESS" },
           { "names": ["mkdir", "mkdri"], "action": "SCMP_ACT_KILL_PROCESS" },
           { "names": ["read"], "action": "SCMP_ACT_ALLOW" },"#,
    );
    fs::write(directory.path().join("split.json"), split).expect("it is writable");
    let output = run(directory.path(), &["diff", "shop.json", "split.json"]);
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(said, "shop.json and split.json do the same on amd64 nodes\n");
    assert_eq!(output.status.code(), Some(0));
}

/// containerd 2.4.2 no longer allows families of sockets from 46 on.
#[test]
fn only_tighter_fails_for_a_looser_profile_alone() {
    let diff = |from, to| says(&["diff", from, to, "--only-tighter"]).0;
    assert_eq!(diff("containerd@2.4.1", "containerd@2.4.2"), Some(0));
    assert_eq!(diff("containerd@2.4.2", "containerd@2.4.1"), Some(1));
    assert_eq!(diff("shop.json", "other.json"), Some(1));
    assert_eq!(diff("shop.json", "shop.json"), Some(0));
}

/// A profile that switches seccomp off allows every program everything.
#[test]
fn without_seccomp_everything_is_allowed() {
    let directory = shop();
    fs::write(directory.path().join("empty.json"), "{}").expect("it is writable");
    let output = run(directory.path(), &["diff", "shop.json", "empty.json", "--output", "json"]);
    let found: Value = serde_json::from_slice(&output.stdout).expect("it is JSON");
    let changes = found["changes"].as_array().expect("it lists changes");
    let x32: Vec<_> = changes.iter().filter(|it| it["architecture"] == "SCMP_ARCH_X32").collect();
    let expected = json!({
        "architecture": "SCMP_ARCH_X32",
        "calls": [],
        "from": [{ "action": "SCMP_ACT_KILL_THREAD" }],
        "to": [{ "action": "SCMP_ACT_ALLOW" }],
        "when": [],
        "looser": true
    });
    assert_eq!(x32, [&expected]);
    assert_eq!(output.status.code(), Some(1));
}

const WEB: &str = r#"{
  "defaultAction": "SCMP_ACT_ALOW",
  "syscalls": [
    { "names": ["socket"], "action": "SCMP_ACT_ERRNO", "args": [
      { "index": 0, "value": 40, "op": "SCMP_CMP_EQ" } ] },
    { "names": ["socket"], "action": "SCMP_ACT_ALLOW" }
  ]
}
"#;

/// A directory with a profile.
fn with(name: &str, text: &str) -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("there is room for a directory");
    fs::write(directory.path().join(name), text).expect("it is writable");
    directory
}

/// The ids of the findings, and the exit code.
fn lints(text: &str, words: &[&str]) -> (Option<i32>, Vec<String>) {
    let directory = with("a.json", text);
    let words = [&["lint", "a.json", "--output", "json"], words].concat();
    let output = run(directory.path(), &words);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        panic!("{error}: {}", String::from_utf8_lossy(&output.stderr));
    });
    let findings = report["findings"].as_array().expect("it lists findings");
    let id = |it: &Value| it["rule"].as_str().unwrap_or_default().to_owned();
    (output.status.code(), findings.iter().map(id).collect())
}

#[test]
fn lint_shows_each_mistake_in_its_line() {
    let expected = r#"error[unknown-action]: defaultAction: "SCMP_ACT_ALOW" is no action that the runtime knows, so no container starts
 --> web.json:2:20
  |
2 |   "defaultAction": "SCMP_ACT_ALOW",
  |                    ^^^^^^^^^^^^^^^
  |
  = help: did you mean "SCMP_ACT_ALLOW"?

warning[swallowed-rule]: syscalls[0]: has no effect for socket: syscalls[1] applies with fewer conditions
 --> web.json:4:5
  |
4 |     { "names": ["socket"], "action": "SCMP_ACT_ERRNO", "args": [
  |     ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  |
  = note: also syscalls[1] at 6:5
"#;
    let output = run(with("web.json", WEB).path(), &["lint", "web.json"]);
    assert_eq!(String::from_utf8_lossy(&output.stdout), expected);
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn lint_prints_nothing_about_a_profile_without_mistakes() {
    let output = run(Path::new("."), &["lint", "profiles/block-mkdir.json"]);
    assert_eq!((output.stdout, output.stderr), (Vec::new(), Vec::new()));
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn a_file_that_cannot_be_read_does_not_keep_the_others_from_being_linted() {
    let output = run(with("web.json", WEB).path(), &["lint", "lost.json", "web.json", "gone.json"]);
    let said = String::from_utf8_lossy(&output.stderr);
    let expected = "error: cannot read \"lost.json\": No such file or directory (os error 2)\n\
        error: cannot read \"gone.json\": No such file or directory (os error 2)\n";
    assert_eq!(said, expected);
    assert!(String::from_utf8_lossy(&output.stdout).starts_with("error[unknown-action]: "));
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn lint_writes_several_reports() {
    let directory = with("web.json", WEB);
    let words = ["lint", "web.json", "--output", "sarif=a.sarif,json=a.json", "--output", "github"];
    let output = run(directory.path(), &words);
    let expected = "::error file=web.json,line=2,endLine=2,col=20,endColumn=35,title=unknown-action::defaultAction: \"SCMP_ACT_ALOW\" is no action that the runtime knows, so no container starts%0Ahelp: did you mean \"SCMP_ACT_ALLOW\"?\n\
        ::warning file=web.json,line=4,endLine=5,col=5,endColumn=59,title=swallowed-rule::syscalls[0]: has no effect for socket: syscalls[1] applies with fewer conditions\n";
    assert_eq!(String::from_utf8_lossy(&output.stdout), expected);
    let read = |name| fs::read_to_string(directory.path().join(name)).expect("it was written");
    let sarif: Value = serde_json::from_str(&read("a.sarif")).expect("it is JSON");
    assert_eq!(sarif["runs"][0]["results"][0]["ruleId"], "unknown-action");
    let report: Value = serde_json::from_str(&read("a.json")).expect("it is JSON");
    assert_eq!(report["findings"][1]["line"], 4);
}

/// It denies a call that arm64 lacks.
#[test]
fn lint_judges_for_an_architecture() {
    let text = r#"{ "defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
        { "names": ["mkdir"], "action": "SCMP_ACT_ERRNO" } ] }"#;
    assert_eq!(lints(text, &[]), (Some(0), vec![]));
    assert_eq!(lints(text, &["--arch", "amd64"]), (Some(0), vec![]));
    assert_eq!(lints(text, &["--arch", "arm64"]), (Some(0), vec!["permissive".to_owned()]));

    let text = r#"{ "defaultAction": "SCMP_ACT_ERRNO", "architectures": ["SCMP_ARCH_S390X"] }"#;
    let finds = |arch| lints(text, &["--arch", arch]).1.contains(&"mixed-byte-orders".to_owned());
    assert!(finds("amd64") && !finds("s390x"));
}

#[test]
fn lint_judges_for_a_version_of_libseccomp() {
    let text = r#"{ "defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
        { "names": ["mmap"], "action": "SCMP_ACT_ERRNO", "args": [{ "index": 1, "value": 4294967296, "op": "SCMP_CMP_LT" }] },
        { "names": ["mmap"], "action": "SCMP_ACT_ERRNO", "args": [{ "index": 2, "value": 1, "op": "SCMP_CMP_LE" }] } ] }"#;
    let found = |words: &[&str]| lints(text, words).1.contains(&"wide-or".to_owned());
    assert!(found(&[]));
    assert!(found(&["--libseccomp", "2.6.0"]));
    assert!(found(&["--libseccomp", "2.6"]));
    assert!(!found(&["--libseccomp", "2.6.1"]));
    assert!(!found(&["--libseccomp", "2.10.0"]));
}

#[test]
fn cri_o_resolves_the_keys_that_containerd_drops() {
    let text = fs::read_to_string("profiles/docker.json").expect("the profile is there");
    assert_eq!(lints(&text, &[]), (Some(1), vec!["docker-key".to_owned()]));
    assert_eq!(lints(&text, &["--runtime", "cri-o"]), (Some(0), vec![]));
    // The one that denies something is for containers with a capability.
    let text = r#"{ "defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
        { "names": ["mkdir"], "action": "SCMP_ACT_ERRNO", "includes": { "caps": ["CAP_SYS_ADMIN"] } } ] }"#;
    let found = lints(text, &["--runtime", "cri-o"]).1;
    assert_eq!(found, ["permissive"]);

    let text = r#"{ "defaultAction": "SCMP_ACT_ERRNO", "archMap": [
        { "architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86"] } ] }"#;
    let output = run(with("a.json", text).path(), &["lint", "a.json", "--runtime", "cri-o"]);
    let expected =
        "error: a.json: the profile depends on the architecture of the nodes: say by --arch\n";
    assert_eq!(String::from_utf8_lossy(&output.stderr), expected);
    let found = lints(text, &["--runtime", "cri-o", "--arch", "amd64"]).1;
    assert_eq!(found, ["no-execve"]);
}

#[rstest]
#[case::a_warning_passes(&[], Some(0))]
#[case::unless_it_must_not(&["--fail-on", "warning"], Some(1))]
#[case::nothing_fails(&["--fail-on", "never"], Some(0))]
fn lint_fails_from_a_severity_on(#[case] words: &[&str], #[case] expected: Option<i32>) {
    let text = r#"{ "defaultAction": "SCMP_ACT_LOG" }"#;
    assert_eq!(lints(text, words), (expected, vec!["permissive".to_owned()]));
}

#[rstest]
#[case::no_version(
    &["lint", "shop.json", "--libseccomp", "2"],
    "error: invalid value '2' for '--libseccomp <VERSION>': expected a version such as 2.5.4\n\nFor more information, try '--help'.\n"
)]
#[case::two_reports_on_standard_output(
    &["lint", "shop.json", "--output", "human,json"],
    "error: --output: only one format can be written to standard output: give the others a file, such as sarif=report.sarif\n"
)]
fn lint_refuses_arguments(#[case] words: &[&str], #[case] expected: &str) {
    assert_eq!(says(words), (Some(2), expected.to_owned()));
}

/// docs/profiles.md shows commands and what they print.
#[test]
fn the_examples_of_the_docs_are_what_the_commands_print() {
    let examples = examples("docs/profiles.md", "prints");
    for (command, expected) in &examples {
        let words: Vec<_> = command.split(' ').collect();
        let output = run(Path::new("."), &words);
        assert_eq!(String::from_utf8_lossy(&output.stdout), *expected, "{command}");
    }
    assert_eq!(examples.len(), 4);
}

/// `shop.json` as an object, beside one of another kind.
const OBJECT: &str = "\
apiVersion: v1
kind: ConfigMap
metadata: { name: other }
---
apiVersion: callgate.dev/v1alpha1
kind: SeccompProfile
metadata: { name: shop }
spec:
  defaultAction: SCMP_ACT_ALLOW
  architectures: [SCMP_ARCH_X86_64, SCMP_ARCH_X86]
  syscalls:
    - names: [mkdir, swapon]
      action: SCMP_ACT_KILL_PROCESS
    - names: [socket]
      action: SCMP_ACT_ERRNO
      errnoRet: 97
      args:
        - { index: 0, value: 40, op: SCMP_CMP_EQ }
    - names: [clone]
      action: SCMP_ACT_ERRNO
      args:
        - { index: 0, value: 2080505856, valueTwo: 0, op: SCMP_CMP_MASKED_EQ }
";

/// As [`says`], beside `shop.yaml`, too, which has this text.
fn says_of(object: &str, words: &[&str]) -> (Option<i32>, String) {
    let directory = shop();
    fs::write(directory.path().join("shop.yaml"), object).expect("it is writable");
    let output = run(directory.path(), words);
    let said = if output.stdout.is_empty() { output.stderr } else { output.stdout };
    (output.status.code(), String::from_utf8(said).expect("it is text"))
}

#[test]
fn an_object_is_the_profile_that_it_was_made_of() {
    let (code, of_object) = says_of(OBJECT, &["show", "shop.yaml"]);
    let (_, of_file) = says(&["show", "shop.json"]);
    assert_eq!((code, of_object), (Some(0), of_file.replace("shop.json", "shop.yaml")));
    assert_eq!(says_of(OBJECT, &["diff", "shop.json", "shop.yaml"]).0, Some(0));
    assert_eq!(says_of(OBJECT, &["diff", "other.json", "shop.yaml"]).0, Some(1));
}

/// A number from 2^63 on is a string in an object.
#[test]
fn what_decides_about_a_call_is_a_line_of_the_object() {
    let object = OBJECT.replace("value: 40", "value: \"9223372036854775808\"");
    let call = ["show", "shop.yaml", "--syscall", "socket", "--arg", "0=0x8000000000000000"];
    let (code, said) = says_of(&object, &call);
    let first = "x86-64 (SCMP_ARCH_X86_64): socket(0=0x8000000000000000): fails with EAFNOSUPPORT
  shop.yaml:14:7: syscalls[1]
";
    assert!(said.starts_with(first), "{said}");
    assert_eq!(code, Some(0));
}

#[test]
fn the_findings_about_objects_are_at_lines_of_the_file() {
    let second = "---\n{\"apiVersion\": \"callgate.dev/v1alpha1\", \"kind\": \"SeccompProfile\",\n\
        \"metadata\": {\"name\": \"none\"}, \"spec\": {\"defaultAction\": \"SCMP_ACT_ALOW\"}}\n";
    let first = OBJECT.replace("[mkdir, swapon]", "[mkdri]");
    let objects = format!("{first}{second}");
    let (code, said) = says_of(&objects, &["lint", "shop.yaml", "--output", "json"]);
    let report: Value = serde_json::from_str(&said).expect("it is JSON");
    let all = report["findings"].as_array().expect("a list");
    let place = |it: &Value| (it["rule"].clone(), it["line"].clone(), it["column"].clone());
    let places: Vec<_> = all.iter().map(place).collect();
    let of = |id: &str, line: u32, column: u32| (json!(id), json!(line), json!(column));
    assert_eq!(
        places,
        [
            of("unknown-syscall", 12, 15),
            of("open-upper-half", 18, 11),
            of("unknown-action", 25, 57),
        ],
        "{said}"
    );
    assert_eq!(code, Some(1));
}

#[rstest]
#[case::two_objects(
    "---\napiVersion: callgate.dev/v1alpha1\nkind: SeccompProfile\nspec: {}\n",
    "error: shop.yaml: there are 2 SeccompProfiles, expected one\n"
)]
#[case::another_group(
    "---\napiVersion: security-profiles-operator.x-k8s.io/v1beta1\nkind: SeccompProfile\n",
    "error: shop.yaml:24:1: SeccompProfile of \"security-profiles-operator.x-k8s.io/v1beta1\" is not \
     one of callgate: give the profile in its spec as a file\n"
)]
#[case::a_part_that_is_no_yaml(
    "---\nkind: [\n",
    "error: shop.yaml:24:7: it is not YAML: unclosed bracket '['\n"
)]
fn a_file_without_one_object_is_an_error(#[case] more: &str, #[case] expected: &str) {
    let file = format!("{OBJECT}{more}");
    let ended = says_of(&file, &["show", "shop.yaml"]);
    assert_eq!(ended, (Some(2), expected.to_owned()));
}
