//! The worst bodies within the limits: how much of them is read, and the memory that takes.
//!
//! `cargo test --test worst -- --nocapture` prints the memory for each body.

#![expect(clippy::print_stdout, reason = "figures, with --nocapture")]

use std::{fs, time::Instant};

use axum::Router;
use callgate::{
    admission::Snapshot,
    policy::{Mode, Policy, PolicyIndex},
    profile::Catalog,
};
use serde_json::{Value, json};
use support::harness::{self, Reply};

/// As many bytes as the default of `--max-body-bytes` lets in.
const BODY: usize = 8 * 1024 * 1024;

/// What one review may take besides its body, in KiB.
const MOST_MEMORY: u64 = 24 * 1024;

struct Worst {
    what: &'static str,
    body: String,
    /// How the answer begins, if it is a denial.
    denial: &'static str,
}

/// A review with a list in it that is as long as there is room for.
fn review(resource: &Value, operation: &str, before: &str, entry: &str, after: &str) -> String {
    let head = format!(
        r#"{{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{{"uid":"u-1","resource":{resource},"name":"web","namespace":"shop","operation":"{operation}","object":{before}"#
    );
    let count = (BODY - head.len() - after.len() - 64) / (entry.len() + 1);
    let entries = vec![entry; count].join(",");
    format!("{head}{entries}{after}}}}}")
}

fn pod(before: &str, entry: &str, after: &str) -> String {
    review(&json!({ "group": "", "resource": "pods" }), "CREATE", before, entry, after)
}

fn own(kind: &str, before: &str, entry: &str, after: &str) -> String {
    let resource = json!({ "group": "callgate.dev", "resource": kind });
    review(&resource, "CREATE", before, entry, after)
}

/// A pod of as many containers as are read, each with as much to find fault with.
fn crowded() -> String {
    let profile =
        json!({ "type": "Localhost", "localhostProfile": "./".to_owned() + &"x".repeat(1800) });
    let context = json!({ "privileged": true, "seccompProfile": profile });
    let container = |it: usize| {
        let image = format!("registry.example.com/{}:{it}", "y".repeat(80));
        json!({ "name": format!("c{it}"), "image": image, "securityContext": context })
    };
    let containers: Vec<_> = (0..4096).map(container).collect();
    json!({
        "kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1",
        "request": {
            "uid": "u-1", "resource": { "group": "", "resource": "pods" },
            "name": "web", "namespace": "shop", "operation": "CREATE",
            "object": { "spec": { "containers": containers } },
        },
    })
    .to_string()
}

/// A profile of 200 KB, as the schema has it. Each of some rules conflicts with all others, for one
/// call that it names a thousand times.
fn conflicting() -> String {
    let condition =
        |index: usize, value: usize| json!({ "index": index, "op": "SCMP_CMP_EQ", "value": value });
    let one = |it| {
        json!({
            "names": ["read"], "action": "SCMP_ACT_ERRNO", "args": [condition(0, 1), condition(1, it)],
        })
    };
    let other = json!({
        "names": vec!["read"; 1000], "action": "SCMP_ACT_KILL", "args": [condition(0, 1)],
    });
    let rules: Vec<_> = (0..1000).map(one).chain(vec![other; 10]).collect();
    profile(&rules)
}

/// The same of few rules for many calls, with many conditions, of which each is enough.
fn crossed() -> String {
    let calls = fs::read_to_string("src/profile/syscalls.txt").expect("the table of calls");
    let calls = calls.lines().filter_map(|it| it.split_whitespace().next());
    let calls: Vec<_> =
        calls.filter(|it| it.chars().all(|it| it.is_ascii_alphanumeric() || it == '_')).collect();
    let conditions: Vec<_> =
        (0..4000).map(|it| json!({ "op": "SCMP_CMP_EQ", "value": it })).collect();
    profile(&[json!({ "names": calls, "action": "SCMP_ACT_ERRNO", "args": conditions })])
}

fn profile(rules: &[Value]) -> String {
    json!({ "kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "request": {
        "uid": "u-1", "name": "web", "operation": "CREATE",
        "resource": { "group": "callgate.dev", "resource": "seccompprofiles" },
        "object": { "spec": { "defaultAction": "SCMP_ACT_ALLOW", "syscalls": rules } },
    } })
    .to_string()
}

fn all() -> Vec<Worst> {
    const TERMS: &str = r#"{"spec":{"affinity":{"nodeAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":{"nodeSelectorTerms":["#;
    let worst = |what, body, denial| Worst { what, body, denial };
    vec![
        worst(
            "empty containers",
            pod(r#"{"spec":{"containers":["#, "{}", "]}}"),
            "cannot read pod \"web\": spec.containers",
        ),
        worst(
            "tolerations",
            pod(r#"{"spec":{"tolerations":["#, "{}", "]}}"),
            "cannot read pod \"web\": spec.tolerations",
        ),
        worst("terms", pod(TERMS, "{}", "]}}}}}"), "cannot read pod \"web\": spec.affinity"),
        worst(
            "terms of many requirements",
            pod(TERMS, r#"{"matchExpressions":[{},{},{},{}]}"#, "]}}}}}"),
            "cannot read pod \"web\": spec.affinity",
        ),
        worst(
            "values of one requirement",
            pod(&format!("{TERMS}{}", r#"{"matchFields":[{"values":["#), r#""""#, "]}]}]}}}}}"),
            "cannot read pod \"web\": spec.affinity",
        ),
        worst(
            "labels",
            pod(r#"{"metadata":{"labels":{"#, r#""":"""#, "}}}"),
            "cannot read pod \"web\": metadata.labels",
        ),
        worst(
            "legacy annotations",
            pod(
                r#"{"metadata":{"annotations":{"#,
                r#""seccomp.security.alpha.kubernetes.io/pod":"""#,
                "}}}",
            ),
            "cannot read pod \"web\": metadata.annotations",
        ),
        worst(
            "a node selector",
            pod(r#"{"spec":{"nodeSelector":{"#, r#""":"""#, "}}}"),
            "cannot read pod \"web\": spec.nodeSelector",
        ),
        worst(
            "owners of a denied pod",
            pod(
                r#"{"spec":{"containers":[{"securityContext":{"privileged":true}}]},"metadata":{"ownerReferences":["#,
                "{}",
                "]}}",
            ),
            "policy \"worst\" denies pod \"web\"",
        ),
        worst(
            "containers of a template",
            review(
                &json!({ "group": "apps", "resource": "deployments" }),
                "UPDATE",
                r#"{"spec":{"template":{"spec":{"containers":["#,
                "{}",
                "]}}}}",
            ),
            "",
        ),
        worst(
            "containers before an update",
            review(
                &json!({ "group": "", "resource": "pods" }),
                "UPDATE",
                r#"{"spec":{}},"oldObject":{"spec":{"containers":["#,
                "{}",
                "]}}",
            ),
            "cannot read pod \"web\": oldObject: spec.containers",
        ),
        worst("a crowded pod, all of which is wrong", crowded(), "policy \"worst\" denies pod"),
        worst(
            "a profile of numbers",
            own("seccompprofiles", r#"{"spec":{"syscalls":["#, "1", "]}}"),
            "cannot read profile \"web\": spec: it has ",
        ),
        worst(
            "a policy of names",
            own(
                "seccomppolicies",
                r#"{"apiVersion":"callgate.dev/v1alpha1","kind":"SeccompPolicy","metadata":{"name":"web"},"spec":{"exemptions":[{"match":{"namespaces":["#,
                r#""a""#,
                "]}}]}}",
            ),
            "cannot read policy \"web\": spec: it has ",
        ),
    ]
}

/// Profiles whose rules multiply each other.
fn multiplying() -> [Worst; 2] {
    let denied = "profile \"web\" is not one to run under:\n  spec";
    let worst = |what, body| Worst { what, body, denial: denied };
    [
        worst("a profile of conflicts", conflicting()),
        worst("a profile of as many conditions as calls", crossed()),
    ]
}

/// With as many patterns as were once enough to hold up a worker for ten seconds.
fn router() -> Router {
    let exemption = |number: usize| {
        let pattern = |it| format!("registry.example.com/*y{number}:{it}");
        json!({
            "name": format!("exemption-{number}"), "reason": "a", "owner": "b",
            "rules": ["privileged"], "match": { "images": (0..60).map(pattern).collect::<Vec<_>>() },
        })
    };
    let exemptions: Vec<_> = (0..256).map(exemption).collect();
    let policy = json!({
        "apiVersion": "callgate.dev/v1alpha1", "kind": "SeccompPolicy",
        "metadata": { "name": "worst" }, "spec": { "exemptions": exemptions },
    });
    let policy = Policy::parse(&policy.to_string()).expect("a policy");
    let policies = PolicyIndex::of_one(policy, Mode::Enforce);
    harness::router_with_max_body(Snapshot::without_nodes(policies, Catalog::default()), BODY)
}

/// In KiB.
fn status(key: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("this is Linux");
    let line = status.lines().find_map(|it| it.strip_prefix(key)).expect("it is there");
    line.trim_matches([':', '\t', ' ', 'k', 'B']).parse().expect("a number")
}

#[tokio::test]
async fn no_body_takes_many_times_its_size() {
    let router = router();
    println!("| 8 MiB of | MiB | ms |\n| --- | ---: | ---: |");
    for Worst { what, body, denial } in all().into_iter().chain(multiplying()) {
        for path in ["/mutate", "/validate"] {
            let body = axum::body::Bytes::from(body.clone());
            fs::write("/proc/self/clear_refs", "5").expect("the peak is ours to forget");
            let before = status("VmRSS");
            let started = Instant::now();
            let Reply { status: code, text } = harness::post(&router, path, body).await;
            let elapsed = started.elapsed().as_millis();
            let taken = status("VmHWM").saturating_sub(before);
            println!("| {what}, {path} | {} | {elapsed} |", taken / 1024);
            assert_eq!(code, 200, "{what}: {text}");
            assert!(taken < MOST_MEMORY, "{what}, {path}: {taken} KiB");
            let response: Value = serde_json::from_str(&text).expect("JSON");
            let response = &response["response"];
            if path == "/validate" || denial.starts_with("cannot") {
                let message = response["status"]["message"].as_str().unwrap_or_default();
                assert!(message.starts_with(denial), "{what}: {message}");
                assert_eq!(response["allowed"], denial.is_empty(), "{what}: {response}");
            }
        }
    }
}
