//! The most expensive bodies.

use std::{collections::BTreeMap, iter};

/// The longest body that is read is 8 MiB.
pub(super) const LARGEST: usize = 8 << 20;

/// Repeats a part between a beginning and an end, until the whole is as large as may be.
fn full(begin: &str, part: &str, end: &str) -> String {
    let count = (LARGEST - 2048 - begin.len() - end.len()) / (part.len() + 1);
    let parts: Vec<_> = iter::repeat_n(part, count).collect();
    format!("{begin}{}{end}", parts.join(","))
}

/// The same with a number in every part instead of `@`, as keys have to differ.
fn numbered(begin: &str, part: &str, end: &str) -> String {
    let count = (LARGEST - 2048 - begin.len() - end.len()) / (part.len() + 8);
    let parts: Vec<_> = (0..count).map(|it| part.replace('@', &it.to_string())).collect();
    format!("{begin}{}{end}", parts.join(","))
}

fn review(resource: &str, operation: &str, object: &str, more: &str) -> String {
    let (group, sub, resource) = match resource {
        "seccompprofiles" | "seccomppolicies" => ("callgate.dev", "", resource),
        "ephemeralcontainers" => ("", "ephemeralcontainers", "pods"),
        _ => ("", "", resource),
    };
    format!(
        r#"{{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{{"uid":"u-1","resource":{{"group":"{group}","version":"v1","resource":"{resource}"}},"subResource":"{sub}","name":"a","namespace":"default","operation":"{operation}","userInfo":{{}},"object":{object}{more}}}}}"#
    )
}

pub(super) fn pod(object: &str) -> String {
    review("pods", "CREATE", object, "")
}

/// The most expensive bodies that a client can send, each of the maximum length.
#[expect(clippy::too_many_lines, reason = "a table")]
pub(super) fn all() -> BTreeMap<&'static str, String> {
    let spec = r#"{"metadata":{"name":"a"},"spec":{"containers":[{"name":"a","image":"a"}]"#;
    let metadata = r#"},"spec":{"containers":[{"name":"a","image":"a"}]}}"#;
    let legacy = r#""container.seccomp.security.alpha.kubernetes.io/c@":"unconfined""#;
    let deep = "[".repeat(LARGEST - 2048);
    let text = |unit: &str| unit.repeat((LARGEST - 2048) / unit.len());
    let one = format!("{spec}}}}}");
    BTreeMap::from([
        ("no JSON", text("x")),
        ("nothing but brackets", deep.clone()),
        ("brackets in a field that decides nothing", pod(&format!("{spec},\"volumes\":{deep}"))),
        ("empty containers", pod(&full(r#"{"spec":{"containers":["#, "{}", "]}}"))),
        (
            "containers with little in them",
            pod(&numbered(
                r#"{"spec":{"containers":["#,
                r#"{"name":"c@","securityContext":{"privileged":true}}"#,
                "]}}",
            )),
        ),
        (
            "containers of three lists",
            pod(&full(
                r#"{"spec":{"containers":[{"name":"a"}],"initContainers":[{"name":"b"}],"ephemeralContainers":["#,
                "{}",
                "]}}",
            )),
        ),
        ("small strings", pod(&format!("{spec},\"hosts\":{}}}}}", full("[", r#""""#, "]")))),
        (
            "escapes",
            pod(&format!(
                r#"{{"metadata":{{"annotations":{{"a":"{}"}}{metadata}"#,
                text(r"\u0061")
            )),
        ),
        (
            "escaped keys",
            pod(&numbered(
                r#"{"metadata":{"annotations":{"#,
                r#""\u0061@":"\n""#,
                metadata_end(metadata).as_str(),
            )),
        ),
        (
            "one long annotation",
            pod(&format!(r#"{{"metadata":{{"annotations":{{"a":"{}"}}{metadata}"#, text("x"))),
        ),
        (
            "annotations to remove",
            pod(&numbered(
                r#"{"metadata":{"annotations":{"#,
                legacy,
                metadata_end(metadata).as_str(),
            )),
        ),
        (
            "labels",
            pod(&numbered(
                r#"{"metadata":{"labels":{"#,
                r#""@":"""#,
                metadata_end(metadata).as_str(),
            )),
        ),
        (
            "owners",
            pod(&full(r#"{"metadata":{"ownerReferences":["#, "{}", &format!("]{metadata}"))),
        ),
        ("tolerations", pod(&format!("{spec},\"tolerations\":{}}}}}", full("[", "{}", "]")))),
        (
            "a node selector",
            pod(&format!("{spec},\"nodeSelector\":{}}}}}", numbered("{", r#""@":"""#, "}"))),
        ),
        (
            "an affinity",
            pod(&format!(
                r#"{spec},"affinity":{{"nodeAffinity":{{"requiredDuringSchedulingIgnoredDuringExecution":{{"nodeSelectorTerms":{}}}}}}}}}}}"#,
                full("[", "{}", "]")
            )),
        ),
        (
            "debug containers",
            review(
                "ephemeralcontainers",
                "UPDATE",
                &one,
                &format!(
                    r#","oldObject":{{"spec":{{"ephemeralContainers":{}}}}}"#,
                    full("[", "{}", "]")
                ),
            ),
        ),
        (
            "groups",
            pod(&one).replace(
                r#""userInfo":{}"#,
                &format!(r#""userInfo":{{"groups":{}}}"#, full("[", r#""""#, "]")),
            ),
        ),
        ("a long uid", pod(&one).replace("u-1", &text("u"))),
        (
            "a long name",
            pod(&one).replace(
                r#""name":"a","namespace""#,
                &format!(r#""name":"{}","namespace""#, text("n")),
            ),
        ),
        (
            "an object before what it is",
            format!(
                r#"{{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{{"object":{},"uid":"u-1","operation":"CREATE","namespace":"default","resource":{{"group":"","version":"v1","resource":"pods"}}}}}}"#,
                full(r#"{"spec":{"containers":["#, "{}", "]}}"),
            ),
        ),
        (
            "a profile of empty rules",
            review(
                "seccompprofiles",
                "CREATE",
                &full(
                    r#"{"metadata":{"name":"a"},"spec":{"defaultAction":"SCMP_ACT_ERRNO","syscalls":["#,
                    "{}",
                    "]}}",
                ),
                "",
            ),
        ),
        (
            "a profile of one rule with many names",
            review(
                "seccompprofiles",
                "CREATE",
                &full(
                    r#"{"metadata":{"name":"a"},"spec":{"defaultAction":"SCMP_ACT_ERRNO","syscalls":[{"action":"SCMP_ACT_ALLOW","names":["#,
                    r#""x""#,
                    "]}]}}",
                ),
                "",
            ),
        ),
        (
            "a policy of empty exemptions",
            review(
                "seccomppolicies",
                "CREATE",
                &full(r#"{"metadata":{"name":"a"},"spec":{"exemptions":["#, "{}", "]}}"),
                "",
            ),
        ),
        (
            "a namespace of labels",
            review(
                "namespaces",
                "CREATE",
                &numbered(r#"{"metadata":{"name":"a","labels":{"#, r#""@":"""#, "}}}"),
                "",
            ),
        ),
    ])
}

fn metadata_end(metadata: &str) -> String {
    format!("}}{metadata}")
}
