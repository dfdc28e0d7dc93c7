//! The binary as users run it: its output and its exit codes.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    process::{Child, Command, Output, Stdio},
};

use rstest::rstest;
use serde_json::Value;

fn callgate(words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_callgate"))
        .args(words)
        .env_clear()
        .env("KUBECONFIG", "/nonexistent")
        .stdin(Stdio::null())
        .output()
        .expect("the binary starts")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).trim_end().to_owned()
}

#[test]
fn every_rule_is_explained() {
    for rule in callgate::policy::RULES {
        let output = callgate(&["explain", rule.id]);
        assert_eq!(output.status.code(), Some(0));
        assert_eq!(String::from_utf8_lossy(&output.stdout), rule.page);
    }
}

/// Opening it would block until there is a writer, perhaps for ever.
#[test]
fn a_policy_that_is_a_pipe_is_an_error() {
    let directory = tempfile::tempdir().expect("there is room for a directory");
    let path = directory.path().join("policy.yaml");
    let made = Command::new("mkfifo").arg(&path).status().expect("there is mkfifo");
    assert!(made.success());
    let path = path.to_str().expect("it is text");
    let output = callgate(&["serve", "--standalone", "--policy", path]);
    let expected = format!(
        "error: cannot read policy {path:?} (built in are baseline and restricted): it is a pipe, \
         not a file"
    );
    assert_eq!((output.status.code(), said(&output)), (Some(2), expected));
}

#[test]
fn every_lint_is_explained() {
    for lint in callgate::profile::LINTS {
        let output = callgate(&["explain", lint.id]);
        assert_eq!(output.status.code(), Some(0));
        assert_eq!(String::from_utf8_lossy(&output.stdout), lint.page);
    }
}

#[test]
fn an_unknown_rule_leads_to_the_nearest_and_to_the_list_of_rules_and_lints() {
    for (name, hint) in [("unsett", ", did you mean \"unset\"?"), ("seccomp", "")] {
        let output = callgate(&["explain", name]);
        let said = said(&output);
        let start =
            format!("error: there is no rule or lint {name:?}{hint}\nrules: privileged, unset, ");
        assert!(said.starts_with(&start), "{said}");
        assert!(said.contains("\nlints: not-json, wrong-type, "), "{said}");
        assert!(said.contains("\nof check and test: unreadable, unknown-field, "), "{said}");
        assert_eq!(output.status.code(), Some(2));
    }
}

#[test]
fn an_agent_takes_no_name_that_a_node_cannot_have() {
    let output = callgate(&["agent", "--node-name", "../pods/a"]);
    let expected = "error: invalid value '../pods/a' for '--node-name <NAME>': expected the name \
        of a Node: lower case letters, digits, hyphens and dots, between letters and digits\n";
    assert!(said(&output).starts_with(expected), "{}", said(&output));
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn a_built_in_policy_is_printed_and_its_copy_can_be_served() {
    let output = callgate(&["explain", "policy", "restricted"]);
    assert_eq!(output.status.code(), Some(0));
    let text = String::from_utf8_lossy(&output.stdout).replace("name: restricted", "name: own");
    assert_eq!(callgate::policy::Policy::parse(&text).expect("a policy").name(), "own");
}

#[rstest]
#[case::no_such_built_in(
    &["explain", "policy", "strict"],
    "error: no policy \"strict\" is built in, only baseline, restricted"
)]
#[case::no_such_policy(
    &["serve", "--standalone", "--policy", "strict"],
    "error: cannot read policy \"strict\" (built in are baseline and restricted): \
     No such file or directory (os error 2)"
)]
#[case::a_policy_without_end(
    &["serve", "--standalone", "--policy", "/dev/zero"],
    "error: \"/dev/zero\" is larger than 1048576 bytes, it cannot be a policy"
)]
#[case::no_cluster(
    &["serve"],
    "error: cannot find a cluster: failed to infer config: in-cluster: (failed to read an \
     incluster environment variable: environment variable not found), kubeconfig: (failed to \
     read kubeconfig from '\"/nonexistent\"': No such file or directory (os error 2))"
)]
#[case::no_such_profiles(
    &["serve", "--standalone", "--profiles", "/nonexistent"],
    "error: cannot read the profile directory \"/nonexistent\": \
     No such file or directory (os error 2)"
)]
#[case::no_such_certificate(
    &["serve", "--standalone", "--tls-cert", "/nonexistent", "--tls-key", "/nonexistent"],
    "error: cannot read \"/nonexistent\": No such file or directory (os error 2)"
)]
fn every_failure_is_one_line(#[case] words: &[&str], #[case] line: &str) {
    let output = callgate(words);
    assert_eq!(said(&output), line);
    assert_eq!(output.status.code(), Some(2));
}

#[rstest]
#[case::no_such_mode(
    &["--default-mode", "loud"],
    "error: invalid value 'loud' for '--default-mode <MODE>': expected one of enforce, warn, audit"
)]
#[case::it_has_a_mode_already(
    &["--default-mode", "audit", "--standalone"],
    "error: the argument '--default-mode <MODE>' cannot be used with '--standalone'"
)]
fn the_flag_default_mode_is_only_for_a_cluster(#[case] words: &[&str], #[case] line: &str) {
    let output = callgate(&[&["serve"], words].concat());
    assert_eq!(said(&output).lines().next(), Some(line));
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn a_bad_policy_file_is_named_with_line_and_column() {
    let directory = tempfile::tempdir().expect("there is room");
    let path = directory.path().join("policy.yaml");
    let text = "apiVersion: callgate.dev/v1alpha1
kind: SeccompPolicy
metadata: { name: own }
spec:
  rules: { privilegd: Warn }
";
    fs::write(&path, text).expect("the directory is ours");
    let path = path.to_str().expect("it is text");
    let output = callgate(&["serve", "--standalone", "--policy", path]);
    let line =
        format!("error: {path}:5:12: there is no rule \"privilegd\", did you mean \"privileged\"?");
    assert_eq!(said(&output), line);
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn a_port_in_use_is_named_in_the_error() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("it is bound").to_string();
    let words = ["--log-level", "off", "--admin-listen", "127.0.0.1:0", "--listen", &address];
    let output = callgate(&[&["serve", "--standalone"], &words[..]].concat());
    let line = format!("error: cannot listen on {address}: Address already in use (os error 98)");
    assert_eq!(said(&output), line);
    assert_eq!(output.status.code(), Some(2));
}

/// A webhook that ends with the test.
struct Webhook {
    process: Child,
    /// The log lines; the pipe closes with it.
    log: Option<BufReader<std::process::ChildStderr>>,
}

impl Webhook {
    fn start(words: &[&str]) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_callgate"))
            .args(["serve", "--standalone", "--log-format", "json"])
            .args(["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"])
            .args(words)
            .env_clear()
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let log = BufReader::new(process.stderr.take().expect("it is piped"));
        Self { process, log: Some(log) }
    }

    /// Reads the log up to the event with this message.
    fn until(&mut self, message: &str) -> Value {
        loop {
            let mut line = String::new();
            let log = self.log.as_mut().expect("somebody reads it");
            assert_ne!(log.read_line(&mut line).expect("the log is text"), 0, "no {message:?}");
            let event: Value = serde_json::from_str(&line).expect("a line is an object");
            if event["message"] == message {
                return event;
            }
        }
    }

    fn signal(&self, name: &str) {
        let pid = self.process.id().to_string();
        let sent = Command::new("kill").args([&format!("-{name}"), &pid]).status();
        assert!(sent.expect("kill runs").success());
    }
}

impl Drop for Webhook {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[rstest]
#[case("TERM")]
#[case("INT")]
fn it_stops_with_success_on_a_signal(#[case] signal: &str) {
    let mut webhook = Webhook::start(&["--drain-delay", "0s"]);
    webhook.until("serving");
    webhook.signal(signal);
    webhook.until("drained");
    assert_eq!(webhook.process.wait().expect("it ends").code(), Some(0));
}

#[test]
fn it_keeps_working_if_its_log_is_not_read() {
    let mut webhook = Webhook::start(&["--drain-delay", "0s"]);
    webhook.until("serving");
    webhook.log = None;
    webhook.signal("TERM");
    assert_eq!(webhook.process.wait().expect("it ends").code(), Some(0));
}

#[test]
fn an_error_that_cannot_be_printed_still_sets_the_exit_code() {
    let full = fs::File::options().write(true).open("/dev/full").expect("Linux has one");
    let status = Command::new(env!("CARGO_BIN_EXE_callgate"))
        .args(["explain", "unsett"])
        .env_clear()
        .stderr(full)
        .status()
        .expect("the binary starts");
    assert_eq!(status.code(), Some(2));
}

#[test]
fn readyz_answers_200_until_the_drain_begins() {
    let mut webhook = Webhook::start(&["--drain-delay", "1h"]);
    let serving = webhook.until("serving");
    let admin = serving["admin_address"].as_str().and_then(|it| it.parse().ok());
    let admin: SocketAddr = admin.expect("it logs its address");
    assert_eq!(get(admin, "/livez"), (200, "ok\n".to_owned()));
    assert_eq!(get(admin, "/readyz"), (200, "ok\n".to_owned()));
    let (status, page) = get(admin, "/metrics");
    assert_eq!(status, 200);
    assert!(page.contains("callgate_build_info{version=\""), "{page}");
    assert!(page.contains("callgate_certificate_expiry_timestamp_seconds "), "{page}");
    webhook.signal("TERM");
    webhook.until("draining");
    assert_eq!(get(admin, "/readyz"), (503, "draining\n".to_owned()));
    assert_eq!(get(admin, "/livez"), (200, "ok\n".to_owned()));
}

fn get(address: SocketAddr, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).expect("it listens");
    write!(stream, "GET {path} HTTP/1.1\r\nHost: callgate\r\nConnection: close\r\n\r\n")
        .expect("it reads");
    let mut reply = String::new();
    stream.read_to_string(&mut reply).expect("it answers");
    let (head, body) = reply.split_once("\r\n\r\n").expect("a head and a body");
    let status = head.split(' ').nth(1).and_then(|it| it.parse().ok()).expect("a status");
    (status, body.to_owned())
}

/// The documents that a command printed.
fn printed(output: &Output) -> Vec<Value> {
    serde_saphyr::from_multiple(&String::from_utf8_lossy(&output.stdout)).expect("YAML")
}

fn names(objects: &[Value]) -> Vec<String> {
    let text = |it: &Value| it.as_str().unwrap_or_default().to_owned();
    objects.iter().map(|it| text(&it["kind"]) + " " + &text(&it["metadata"]["name"])).collect()
}

#[test]
fn compile_prints_the_objects_of_every_policy() {
    let flags = ["--default-policy=restricted", "--default-mode=warn", "--excluded-namespace=a,b"];
    let output = callgate(
        &[&["compile", "baseline", "restricted", "examples/policy.yaml"], &flags[..]].concat(),
    );
    let objects = printed(&output);
    let expected = [
        "MutatingAdmissionPolicy callgate-policy-restricted",
        "MutatingAdmissionPolicyBinding callgate-policy-restricted",
        "MutatingAdmissionPolicyBinding callgate-policy-restricted.default",
        "MutatingAdmissionPolicy callgate-policy-shop",
        "MutatingAdmissionPolicyBinding callgate-policy-shop",
    ];
    assert_eq!(names(&objects), expected);
    let selector = serde_json::json!({ "matchExpressions": [
        { "key": "callgate.dev/policy", "operator": "DoesNotExist" },
        { "key": "callgate.dev/mode", "operator": "Exists" },
        { "key": "callgate.dev/mode", "operator": "NotIn", "values": ["warn", "audit"] },
        { "key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": ["a", "b"] },
    ] });
    assert_eq!(objects[2]["spec"]["matchResources"]["namespaceSelector"], selector);
    assert_eq!(said(&output), "policy \"baseline\" sets no profile: nothing to compile");
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn compile_prints_the_backstop_of_every_policy() {
    let output = callgate(&["compile", "--backstop", "baseline", "restricted"]);
    let expected = ["baseline", "restricted"].map(|it| {
        ["ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"]
            .map(|kind| format!("{kind} callgate-backstop-{it}"))
    });
    assert_eq!(names(&printed(&output)), expected.concat());
    assert_eq!((said(&output), output.status.code()), (String::new(), Some(0)));
}

#[test]
fn compile_writes_the_files_of_static_admission() {
    let directory = tempfile::tempdir().expect("there is room for a directory");
    let folder = directory.path().join("static");
    let path = folder.to_str().expect("it is text");
    let output = callgate(&["compile", "restricted", "--static", path]);
    assert_eq!((said(&output), output.status.code()), (String::new(), Some(0)));
    let read = |name: &str| {
        let text = fs::read_to_string(folder.join(name)).expect("it is written");
        serde_saphyr::from_multiple::<Value>(&text).expect("YAML")
    };
    let mutating = [
        "MutatingAdmissionPolicy callgate-policy-restricted.static.k8s.io",
        "MutatingAdmissionPolicyBinding callgate-policy-restricted.static.k8s.io",
    ];
    let validating = [
        "ValidatingAdmissionPolicy callgate-backstop-restricted.static.k8s.io",
        "ValidatingAdmissionPolicyBinding callgate-backstop-restricted.static.k8s.io",
    ];
    assert_eq!(names(&read("mutating/callgate.yaml")), mutating);
    assert_eq!(names(&read("validating/callgate.yaml")), validating);
    let plugins = &read("admission.yaml")[0]["plugins"];
    let folders = [0, 1].map(|it| plugins[it]["configuration"]["staticManifestsDir"].clone());
    assert_eq!(folders, ["mutating", "validating"].map(|it| serde_json::json!(folder.join(it))));

    let output = callgate(&["compile", "restricted", "--static", "here"]);
    let why = "--static needs an absolute path, as the configuration of the API server does";
    assert!(said(&output).contains(why), "{}", said(&output));
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn compile_says_what_is_left_to_the_webhook() {
    let directory = tempfile::tempdir().expect("there is room for a directory");
    let path = directory.path().join("policies.yaml");
    let text = "
# as `kubectl get` prints them
apiVersion: v1
kind: List
items:
- apiVersion: callgate.dev/v1alpha1
  kind: SeccompPolicy
  metadata: { name: shop, uid: x }
  spec:
    default: { type: RuntimeDefault }
    exemptions:
    - { name: old, reason: r, owner: o, rules: [unset], match: { containers: [agent] } }
  status: {}
---
kind: ConfigMap
---
apiVersion: callgate.dev/v1alpha1
kind: SeccompPolicy
metadata: { name: bank }
spec: { placement: Pin, default: { type: Localhost, localhostProfile: callgate/web.json } }
";
    fs::write(&path, text).expect("the directory is ours");
    let path = path.to_str().expect("it is text");
    let output = callgate(&["compile", path]);
    let expected = [
        "MutatingAdmissionPolicy callgate-policy-shop",
        "MutatingAdmissionPolicyBinding callgate-policy-shop",
    ];
    assert_eq!(names(&printed(&output)), expected);
    let left = "policy \"shop\": left to the webhook: exemption \"old\" from unset: pods that it may apply to\n\
        policy \"bank\": left to the webhook: spec.default, Localhost \"callgate/web.json\": under \
        placement Pin its pods also get a node affinity";
    assert_eq!((output.status.code(), said(&output)), (Some(1), left.to_owned()));
}

#[rstest]
#[case::a_mistake(
    "---\n---\napiVersion: callgate.dev/v1alpha1\nkind: SeccompPolicy\nmetadata: { name: shop }\nspec: { defaul: {} }\n",
    ":6:9: there is no field \"defaul\", did you mean \"default\"?"
)]
#[case::no_policy("kind: ConfigMap\n", "\" holds no SeccompPolicy")]
#[case::a_reserved_name(
    "apiVersion: callgate.dev/v1alpha1\nkind: SeccompPolicy\nmetadata: { name: restricted }\nspec: {}\n",
    ": the name \"restricted\" is that of a built-in policy"
)]
fn compile_takes_no_policy_that_cannot_be_read(#[case] text: &str, #[case] why: &str) {
    let directory = tempfile::tempdir().expect("there is room for a directory");
    let path = directory.path().join("policies.yaml");
    fs::write(&path, text).expect("the directory is ours");
    let output = callgate(&["compile", path.to_str().expect("it is text")]);
    assert!(said(&output).ends_with(why), "{}", said(&output));
    assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0));
}
