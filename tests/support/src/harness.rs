//! The router without a network: a review in, an `AdmissionReview` out.

use std::{collections::BTreeSet, sync::Arc};

use arc_swap::ArcSwap;
use axum::{Router, body::Body};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use callgate::admission::{self, App, Ask, FindNamespace, Snapshot};
use http::{Request, StatusCode};
use http_body_util::BodyExt;
use jiff::civil::{Date, date};
use serde_json::Value;
use tower::ServiceExt;

/// The day of the stopped clock of tests.
pub const TODAY: Date = date(2026, 11, 24);

/// An answer.
pub struct Reply {
    pub status: StatusCode,
    pub text: String,
}

/// The router over a snapshot.
pub fn router(snapshot: Snapshot) -> Router {
    router_with_namespaces(snapshot, None)
}

/// The same, with a live look-up of namespaces.
pub fn router_with_namespaces(snapshot: Snapshot, find_namespace: Option<FindNamespace>) -> Router {
    admission::router(app(snapshot, find_namespace, None))
}

/// The same, with a live look-up of policies.
pub fn router_with_ask(snapshot: Snapshot, ask: Ask) -> Router {
    admission::router(app(snapshot, None, Some(ask)))
}

/// The same, for bodies of up to `max_body` bytes.
pub fn router_with_max_body(snapshot: Snapshot, max_body: usize) -> Router {
    admission::router(App { max_body, ..app(snapshot, None, None) })
}

fn app(snapshot: Snapshot, find_namespace: Option<FindNamespace>, ask: Option<Ask>) -> App {
    App {
        snapshot: Arc::new(ArcSwap::from_pointee(snapshot)),
        today: || TODAY,
        find_namespace,
        ask,
        observe: Arc::new(|_| {}),
        max_body: 1024 * 1024,
    }
}

pub async fn post(router: &Router, path: &str, body: impl Into<Body>) -> Reply {
    let request = Request::post(path).header("content-type", "application/json");
    send(router, request.body(body.into()).expect("requests of tests are right")).await
}

pub async fn send(router: &Router, request: Request<Body>) -> Reply {
    let response = router.clone().oneshot(request).await.expect("a router never fails");
    let status = response.status();
    let body = response.into_body().collect().await.expect("answers are in memory").to_bytes();
    Reply { status, text: String::from_utf8(body.to_vec()).expect("answers are text") }
}

impl Reply {
    /// The response of a review; there is one whenever the status is 200.
    pub fn response(&self) -> Value {
        assert_eq!(self.status, StatusCode::OK, "{}", self.text);
        let review: Value = serde_json::from_str(&self.text).expect("answers are JSON");
        assert_eq!(review["apiVersion"], "admission.k8s.io/v1");
        assert_eq!(review["kind"], "AdmissionReview");
        review["response"].clone()
    }
}

/// The JSON Patch of a response, which names its type if there is one (2.3).
pub fn patch_of(response: &Value) -> Vec<Value> {
    let Some(patch) = response.get("patch") else {
        assert!(response.get("patchType").is_none(), "both or neither");
        return Vec::new();
    };
    assert_eq!(response["patchType"], "JSONPatch");
    let bytes = STANDARD.decode(patch.as_str().expect("a string")).expect("base64");
    let patch: Vec<Value> = serde_json::from_slice(&bytes).expect("a JSON array");
    assert!(!patch.is_empty(), "no patch is better than an empty one");
    patch
}

/// The object with the patch applied, by an independent library.
pub fn patched(object: &Value, patch: &[Value]) -> Value {
    let mut object = object.clone();
    let patch: json_patch::Patch =
        serde_json::from_value(Value::Array(patch.to_vec())).expect("a JSON Patch");
    json_patch::patch(&mut object, &patch).expect("R1: a patch always applies");
    object
}

/// The headline of a denial, and its lines without the last one, which names a page.
pub fn split_denial(message: &str) -> (&str, Vec<String>) {
    let namespace = message.find(" in namespace \"").expect("it names the namespace");
    let end = message[namespace..].find("\":").expect("the headline ends") + namespace + 2;
    let (headline, rest) = message.split_at(end);
    let (lines, page) = rest.rsplit_once("\n  more: callgate explain ").expect("it names a page");
    let of_one = lines.starts_with(' ');
    let lines: Vec<_> = lines.trim_start().split("\n  ").map(str::to_owned).collect();
    assert_eq!(lines.len() == 1, of_one, "{message}");
    assert!(page == "RULE" || lines[0].ends_with(&format!("[{page}]")), "{message}");
    (headline, lines)
}

/// The message for these lines: as many as a kilobyte has room for, and at least one.
/// What the API server puts before the message of the webhook does not count.
pub fn format_denial(headline: &str, lines: &[impl AsRef<str>]) -> String {
    let rule = |line: &str| line.rsplit_once('[').expect("a line ends with its rule").1.to_owned();
    let rules: BTreeSet<_> = lines.iter().map(|it| rule(it.as_ref())).collect();
    let page = match rules.first() {
        Some(rule) if rules.len() == 1 => rule.trim_end_matches(']'),
        _ => "RULE",
    };
    let gap = if lines.len() == 1 { " " } else { "\n  " };
    let prefix = headline.find("policy \"").expect("the headline names the policy");
    let mut message = headline.to_owned();
    for (at, line) in lines.iter().map(AsRef::as_ref).enumerate() {
        if at > 0 && message.len() - prefix + gap.len() + line.len() > 1024 - 80 {
            let more = lines.len() - at;
            let noun = if more == 1 { "finding" } else { "findings" };
            message = message + "\n  and " + &more.to_string() + " more " + noun;
            break;
        }
        message = message + gap + line;
    }
    message + "\n  more: callgate explain " + page
}
