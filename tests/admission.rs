//! Requests and responses: every table through the router, and edge cases of the protocol.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use axum::{Router, body::Body};
use callgate::{
    admission::{Ask, FindNamespace, Snapshot},
    policy::{Builtin, Labels, Mode, Policy, PolicyIndex, Presence},
    profile::Catalog,
};
use http::{Method, Request, StatusCode};
use rstest::rstest;
use serde_json::{Value, json};
use support::{
    harness::{self, format_denial, patch_of, patched, post, split_denial},
    table::{self, Asked, Judging},
};

fn restricted() -> Router {
    let policy = Builtin::named("restricted").expect("it is built in").policy();
    let policies = PolicyIndex::of_one(policy, Mode::Enforce);
    harness::router(Snapshot::without_nodes(policies, Catalog::default()))
}

fn review(object: &Value) -> Value {
    json!({
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": "u-1", "operation": "CREATE", "namespace": "shop", "name": "web", "userInfo": {},
            "kind": { "group": "", "version": "v1", "kind": "Pod" },
            "resource": { "group": "", "version": "v1", "resource": "pods" },
            "object": object,
        },
    })
}

#[tokio::test]
async fn every_case_of_every_table_holds_through_the_router() {
    let mut wrong = Vec::new();
    for (rule, table) in table::all(harness::TODAY) {
        for case in &table.cases {
            if case.object["metadata"]["annotations"]["kubernetes.io/config.mirror"].is_string() {
                continue; // The handler's own business, below.
            }
            let router = harness::router(table.snapshot(case));
            let reply = post(&router, "/validate", case.review().to_string()).await.response();
            let mutation = post(&router, "/mutate", case.review().to_string()).await.response();
            let warned: Vec<String> =
                serde_json::from_value(reply["warnings"].clone()).unwrap_or_default();
            let patch = patch_of(&mutation);
            let actual = (denied_lines(case, &reply), warned, patch.clone());
            let expected = (case.denied.clone(), case.warned.clone(), case.patch.clone());
            if actual != expected {
                wrong.push(format!(
                    "{rule}: {}\n  expected {expected:#?}\n  actual   {actual:#?}",
                    case.name
                ));
            }
            assert_eq!(mutation["allowed"], true, "{rule}: {}: /mutate refuses nothing", case.name);
            assert!(reply.get("patch").is_none(), "a validating webhook may not patch (2.3)");

            let mut again = case.review();
            again["request"]["object"] = patched(&case.object(), &patch);
            let again = post(&router, "/mutate", again.to_string()).await.response();
            assert_eq!(patch_of(&again), Vec::<Value>::new(), "{rule}: {}: twice", case.name);
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The lines of a denial; those of the case where the message is the one for them.
fn denied_lines(case: &table::Case, response: &Value) -> Vec<String> {
    if response["allowed"] == true {
        return Vec::new();
    }
    let message = response["status"]["message"].as_str().expect("a denial has a message");
    let noun = case.refused();
    let generated = case.object["metadata"]["generateName"].as_str();
    let name = generated.unwrap_or("web");
    let policy = &case.policy;
    let headline = format!("policy {policy:?} denies {noun} {name:?} in namespace \"shop\":");
    assert_eq!(response["status"]["code"], 403);
    assert_eq!(response["status"]["reason"], "Forbidden");
    assert!(response.get("warnings").is_none(), "R5: a denial says it all");
    let expected = format_denial(&headline, &case.denied);
    if message == expected { case.denied.clone() } else { split_denial(message).1 }
}

#[rstest]
#[case::containers_are_a_word(
    json!({ "spec": { "containers": "many" } }),
    "spec.containers: invalid type: string \"many\", expected a sequence"
)]
#[case::privileged_is_a_word(
    json!({ "spec": { "containers": [{ "name": "a", "securityContext": { "privileged": "yes" } }] } }),
    "spec.containers[0].securityContext.privileged: invalid type: string \"yes\", expected a boolean"
)]
#[case::the_type_is_a_number(
    json!({ "spec": { "securityContext": { "seccompProfile": { "type": 1 } } } }),
    "spec.securityContext.seccompProfile.type: invalid type: integer `1`, expected a string"
)]
#[case::a_container_is_null(
    json!({ "spec": { "initContainers": [null] } }),
    "spec.initContainers[0]: invalid type: null, expected an object"
)]
#[case::no_spec(json!({ "metadata": {} }), "it has no spec")]
#[case::no_object(Value::Null, "it has no object")]
#[case::a_list(json!([]), "invalid type: sequence, expected an object")]
#[tokio::test]
async fn a_pod_that_cannot_be_read_is_denied(#[case] object: Value, #[case] why: &str) {
    for path in ["/mutate", "/validate"] {
        let response = post(&restricted(), path, review(&object).to_string()).await.response();
        assert_eq!(response["uid"], "u-1");
        assert_eq!(response["allowed"], false, "{path}: {object}");
        let message = response["status"]["message"].as_str().expect("a denial has a message");
        assert!(message.starts_with(&format!("cannot read pod \"web\": {why}")), "{message}");
    }
}

fn denying_templates() -> Router {
    let text = "apiVersion: callgate.dev/v1alpha1\nkind: SeccompPolicy\nmetadata: { name: own }\n\
                spec: { templates: Deny }\n";
    let policy = Policy::parse(text).expect("a policy");
    let policies = PolicyIndex::of_one(policy, Mode::Enforce);
    harness::router(Snapshot::without_nodes(policies, Catalog::default()))
}

#[tokio::test]
async fn a_template_that_cannot_be_read_is_denied_if_the_policy_denies_templates() {
    let router = denying_templates();
    let mut review = review(&json!({ "spec": { "template": [] } }));
    review["request"]["resource"] = json!({ "group": "apps", "resource": "deployments" });
    let response = post(&router, "/validate", review.to_string()).await.response();
    assert_eq!(response["allowed"], false);
}

#[rstest]
#[case::a_deployment("apps", "deployments", &["spec", "template"])]
#[case::a_pod_template("", "podtemplates", &["template"])]
#[case::a_cron_job("batch", "cronjobs", &["spec", "jobTemplate", "spec", "template"])]
#[tokio::test]
async fn an_update_that_leaves_a_bad_template_as_it_was_is_not_denied(
    #[case] group: &str,
    #[case] resource: &str,
    #[case] path: &[&str],
) {
    let router = denying_templates();
    let template = |it| path.iter().rev().fold(it, |it, field| json!({ *field: it }));
    let bad = template(json!({ "spec": { "containers": [
        { "name": "app", "securityContext": { "privileged": true } },
    ] } }));
    let worse = template(json!({ "spec": { "hostNetwork": true, "containers": [
        { "name": "app", "securityContext": { "privileged": true } },
    ] } }));
    let unreadable = template(json!({ "spec": { "containers": 7 } }));
    let mut review = review(&bad);
    review["request"]["resource"] =
        json!({ "group": group, "version": "v1", "resource": resource });
    for (operation, object, old, is_allowed) in [
        ("UPDATE", &bad, &bad, true),
        ("UPDATE", &bad, &worse, false),
        ("UPDATE", &bad, &Value::Null, false),
        ("UPDATE", &unreadable, &unreadable, true),
        ("UPDATE", &unreadable, &bad, false),
        ("CREATE", &bad, &bad, false),
    ] {
        let request = &mut review["request"];
        request["operation"] = json!(operation);
        request["object"] = object.clone();
        request["object"]["metadata"] = json!({ "name": "web" });
        request["oldObject"] = old.clone();
        let response = post(&router, "/validate", review.to_string()).await.response();
        assert_eq!(response["allowed"], is_allowed, "{operation} {object} {old}: {response}");
        assert_eq!(response["warnings"].is_array(), is_allowed, "{response}");
    }
}

#[tokio::test]
async fn a_template_that_cannot_be_read_leads_to_a_warning() {
    let mut review = review(&json!({ "spec": { "template": { "spec": { "containers": 1 } } } }));
    review["request"]["resource"] = json!({ "group": "apps", "resource": "deployments" });
    let response = post(&restricted(), "/validate", review.to_string()).await.response();
    assert_eq!(response["allowed"], true);
    let warning = response["warnings"][0].as_str().expect("a warning");
    assert!(
        warning.starts_with("cannot read deployment \"web\": spec.template.spec.containers: "),
        "{warning}"
    );
}

#[rstest]
#[case::another_resource(json!({ "resource": { "group": "", "resource": "configmaps" } }))]
#[case::another_group(json!({ "resource": { "group": "example.com", "resource": "pods" } }))]
#[case::a_deletion(json!({ "operation": "DELETE", "object": null }))]
#[case::an_update_of_a_bad_pods_status(json!({ "operation": "UPDATE", "subResource": "status" }))]
#[case::a_shell(json!({ "operation": "CONNECT", "subResource": "exec", "object": { "stdin": 1 } }))]
#[case::a_binding(json!({ "subResource": "binding" }))]
#[tokio::test]
async fn requests_that_callgate_does_not_judge_are_allowed(#[case] change: Value) {
    let bad = json!({ "spec": { "containers": [
        { "name": "a", "securityContext": { "privileged": true } },
    ] } });
    let mut review = review(&bad);
    for (key, value) in change.as_object().expect("a change") {
        review["request"][key] = value.clone();
    }
    for path in ["/mutate", "/validate"] {
        let response = post(&restricted(), path, review.to_string()).await.response();
        assert_eq!(response, json!({ "uid": "u-1", "allowed": true }), "{path}");
    }
}

/// The requests for which the API server calls callgate, by the webhook configurations.
fn registered() -> Vec<Value> {
    let text = std::fs::read_to_string("manifests/base/webhooks.yaml").expect("it is there");
    let all: Vec<Value> = serde_saphyr::from_multiple(&text).expect("it is YAML");
    let list = |it: &Value| it.as_array().expect("a list").clone();
    let mut requests = Vec::new();
    for rule in all.iter().flat_map(|it| list(&it["webhooks"])).flat_map(|it| list(&it["rules"])) {
        for operation in list(&rule["operations"]) {
            for resource in list(&rule["resources"]) {
                let resource = resource.as_str().expect("a name");
                let (resource, sub) = resource.split_once('/').unwrap_or((resource, ""));
                let group = &rule["apiGroups"][0];
                requests.push(json!({
                    "operation": operation, "subResource": sub,
                    "resource": { "group": group, "version": "v1", "resource": resource },
                }));
            }
        }
    }
    requests
}

/// Of a deletion nothing is read; its tests are below.
#[tokio::test]
async fn every_request_for_which_the_api_server_calls_callgate_is_judged() {
    let registered = registered();
    assert!(registered.len() > 20, "{registered:?}");
    for change in registered.iter().filter(|it| it["operation"] != "DELETE") {
        let mut review = review(&json!("no object"));
        review["request"]["oldObject"] = json!({});
        for (key, value) in change.as_object().expect("a change") {
            review["request"][key] = value.clone();
        }
        let response = post(&restricted(), "/validate", review.to_string()).await.response();
        let denial = &response["status"]["message"];
        let told = denial.as_str().or_else(|| response["warnings"][0].as_str());
        assert!(told.is_some_and(|it| it.contains("cannot read ")), "{change}: {response}");
    }
}

/// The API server writes keys in one order, without a guarantee.
#[tokio::test]
async fn the_order_of_the_keys_of_a_request_changes_nothing() {
    let object =
        r#"{"spec": {"containers": [{"name": "a", "securityContext": {"privileged": true}}]}}"#;
    let resource = r#"{"group": "", "version": "v1", "resource": "pods"}"#;
    let parts = [
        format!(r#""object": {object}"#),
        r#""oldObject": null"#.to_owned(),
        r#""operation": "CREATE""#.to_owned(),
        format!(r#""resource": {resource}"#),
        r#""uid": "u-1""#.to_owned(),
    ];
    for turn in 0..parts.len() {
        let mut parts = parts.clone();
        parts.rotate_left(turn);
        for keys in [
            parts.clone(),
            parts.iter().rev().cloned().collect::<Vec<_>>().try_into().expect("five"),
        ] {
            let body = format!(
                r#"{{"request": {{{}}}, "kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1"}}"#,
                keys.join(", ")
            );
            let response = post(&restricted(), "/validate", body.clone()).await.response();
            assert_eq!(response["allowed"], false, "{body}");
        }
    }
}

#[tokio::test]
async fn a_request_with_only_a_readable_uid_is_denied_with_that_uid() {
    let body = r#"{"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
        "request": {"uid": "u-1", "operation": 5}}"#;
    let response = post(&restricted(), "/validate", body).await.response();
    assert_eq!((&response["uid"], &response["allowed"]), (&json!("u-1"), &json!(false)));
}

#[rstest]
#[case::nothing("")]
#[case::half_of_it(
    r#"{"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {"uid": "u-"#
)]
#[case::no_request(r#"{"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview"}"#)]
#[case::no_uid(
    r#"{"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {}}"#
)]
#[case::an_empty_uid(
    r#"{"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {"uid": ""}}"#
)]
#[case::an_older_version(r#"{"apiVersion": "admission.k8s.io/v1beta1", "kind": "AdmissionReview", "request": {"uid": "u-1"}}"#)]
#[case::another_kind(
    r#"{"apiVersion": "admission.k8s.io/v1", "kind": "Pod", "request": {"uid": "u-1"}}"#
)]
#[tokio::test]
async fn without_a_uid_the_call_fails(#[case] body: &'static str) {
    for path in ["/mutate", "/validate"] {
        let reply = post(&restricted(), path, body).await;
        assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{path}: {}", reply.text);
        let start = "the body is not an AdmissionReview of admission.k8s.io/v1: ";
        assert!(reply.text.starts_with(start), "{}", reply.text);
    }
}

#[rstest]
#[case::of_another_type("/validate", Method::POST, Some("text/plain"), 415)]
#[case::of_no_type("/validate", Method::POST, None, 415)]
#[case::with_a_charset("/validate", Method::POST, Some("application/json; charset=utf-8"), 400)]
#[case::by_another_method("/validate", Method::GET, Some("application/json"), 405)]
#[case::to_nowhere("/validat", Method::POST, Some("application/json"), 404)]
#[case::to_the_root("/", Method::POST, Some("application/json"), 404)]
#[tokio::test]
async fn a_request_is_denied(
    #[case] path: &str,
    #[case] method: Method,
    #[case] content_type: Option<&str>,
    #[case] status: u16,
) {
    let mut request = Request::builder().uri(path).method(method);
    if let Some(content_type) = content_type {
        request = request.header("content-type", content_type);
    }
    let request = request.body(Body::from("{}")).expect("a request");
    assert_eq!(harness::send(&restricted(), request).await.status.as_u16(), status);
}

#[tokio::test]
async fn a_body_over_the_limit_is_rejected_and_never_allowed() {
    let object = json!({ "spec": { "containers": [], "hostname": "x".repeat(1024 * 1024) } });
    let reply = post(&restricted(), "/validate", review(&object).to_string()).await;
    assert_eq!(reply.status, StatusCode::PAYLOAD_TOO_LARGE, "T3");
    assert_eq!(reply.text, "the body is larger than 1048576 bytes\n");
}

#[tokio::test]
async fn a_mirror_pod_is_left_alone_when_a_kubelet_shows_it() {
    let mut review = review(&json!({
        "metadata": { "annotations": { "kubernetes.io/config.mirror": "x" } },
        "spec": { "containers": [{ "name": "a" }] },
    }));
    let mutation = post(&restricted(), "/mutate", review.to_string()).await.response();
    assert!(patch_of(&mutation).is_empty(), "a mirror pod is never changed");
    let fake = post(&restricted(), "/validate", review.to_string()).await.response();
    assert_eq!(fake["allowed"], false);
    review["request"]["userInfo"] = json!({ "groups": ["system:nodes"] });
    let real = post(&restricted(), "/validate", review.to_string()).await.response();
    assert_eq!(real["allowed"], true);
    assert_eq!(real["auditAnnotations"], json!({ "skipped": "mirror-pod" }));
}

#[tokio::test]
async fn a_thousand_findings_are_counted_and_not_listed() {
    let containers: Vec<_> = (0..1000)
        .map(|it| json!({ "name": format!("c{it}"), "securityContext": { "privileged": true } }))
        .collect();
    let spec = json!({
        "securityContext": { "seccompProfile": { "type": "RuntimeDefault" } },
        "containers": containers,
    });
    let review = review(&json!({ "spec": spec }));
    let response = post(&restricted(), "/validate", review.to_string()).await.response();
    let message = response["status"]["message"].as_str().expect("a denial has a message");
    // A headline of 57 bytes, and eight lines of 105 bytes with their indentation.
    assert_eq!(message.lines().count(), 11);
    assert!(
        message.ends_with("\n  and 992 more findings\n  more: callgate explain privileged"),
        "{message}"
    );
    assert!(message.len() <= 1024, "{}", message.len());
}

#[tokio::test]
async fn decisions_are_recorded_as_audit_annotations() {
    let object = json!({
        "metadata": { "annotations": { "seccomp.security.alpha.kubernetes.io/pod": "unconfined" } },
        "spec": { "containers": [{ "name": "a", "securityContext": { "privileged": true } }] },
    });
    let router = restricted();
    let mutation = post(&router, "/mutate", review(&object).to_string()).await.response();
    assert_eq!(
        mutation["auditAnnotations"],
        json!({ "policy": "restricted", "mode": "enforce", "injected": "RuntimeDefault" })
    );
    let validation = post(&router, "/validate", review(&object).to_string()).await.response();
    assert_eq!(
        validation["auditAnnotations"],
        json!({
            "policy": "restricted", "mode": "enforce",
            "denied": "privileged,unset", "warned": "legacy-annotation",
        })
    );
}

// ── in a cluster: namespaces and their policies, and our own objects ──

fn in_a_cluster() -> Router {
    let labels = |policy: Option<&str>, mode: Option<&str>| Labels {
        policy: policy.map(str::to_owned),
        mode: mode.map(str::to_owned),
    };
    let namespaces = [
        ("shop", labels(Some("restricted"), None)),
        ("bank", labels(Some("restricted"), Some("warn"))),
        ("typo", labels(Some("restrictd"), None)),
        ("free", labels(None, None)),
        ("late", labels(None, None)),
    ];
    let namespaces = namespaces.into_iter().map(|(name, it)| (name.to_owned(), it)).collect();
    let policies = PolicyIndex::of_cluster([], namespaces, None);
    let find: FindNamespace = Arc::new(move |name| {
        let found = match name {
            "free" => Ok(labels(None, None)),
            "late" => Ok(labels(Some("restricted"), None)),
            _ => Err(format!("namespace {name:?} does not exist")),
        };
        Box::pin(async move { found })
    });
    harness::router_with_namespaces(
        Snapshot::without_nodes(policies, Catalog::default()),
        Some(find),
    )
}

fn privileged_in(namespace: &str) -> String {
    let mut review = review(&json!({ "spec": { "containers": [
        { "name": "a", "securityContext": { "privileged": true } },
    ] } }));
    review["request"]["namespace"] = json!(namespace);
    review.to_string()
}

#[rstest]
#[case::it_enforces("shop", false)]
#[case::it_warns("bank", true)]
#[case::it_has_not_opted_in("free", true)]
#[case::it_has_opted_in_since_we_looked("late", false)]
#[tokio::test]
async fn a_namespace_is_judged_by_the_policy_that_it_names(
    #[case] namespace: &str,
    #[case] allowed: bool,
) {
    let reply = post(&in_a_cluster(), "/validate", privileged_in(namespace)).await;
    assert_eq!(reply.response()["allowed"], allowed);
}

#[rstest]
#[case::a_policy_that_is_not_there(
    "typo",
    "pods in namespace \"typo\" cannot be judged: \
     policy \"restrictd\" does not exist; the policies are baseline, restricted"
)]
#[case::a_namespace_nobody_knows("new", "namespace \"new\" does not exist")]
#[tokio::test]
async fn pods_are_denied_if_the_policy_or_namespace_cannot_be_found(
    #[case] namespace: &str,
    #[case] why: &str,
) {
    let router = in_a_cluster();
    let denial = post(&router, "/validate", privileged_in(namespace)).await.response();
    assert_eq!(denial["status"]["message"], why);
    assert_eq!(denial["allowed"], false);
    let mutation = post(&router, "/mutate", privileged_in(namespace)).await.response();
    assert_eq!(mutation, json!({ "uid": "u-1", "allowed": true }));
}

fn own(resource: Value, operation: &str, object: &Value, old: &Value) -> String {
    let mut review = review(object);
    review["request"]["resource"] = resource;
    review["request"]["operation"] = json!(operation);
    review["request"]["oldObject"] = old.clone();
    review["request"]["name"] = json!("restricted");
    review["request"]["namespace"] = json!("");
    review.to_string()
}

#[tokio::test]
async fn a_label_that_names_no_policy_is_denied_only_when_it_is_written() {
    let namespaces = json!({ "group": "", "version": "v1", "resource": "namespaces" });
    let labelled =
        |policy: &str| json!({ "metadata": { "labels": { "callgate.dev/policy": policy } } });
    let router = in_a_cluster();
    let written = own(namespaces.clone(), "UPDATE", &labelled("strict"), &json!({}));
    let denial = post(&router, "/validate", written).await.response();
    assert_eq!(
        denial["status"]["message"],
        "callgate.dev/policy=strict: policy \"strict\" does not exist; the policies are baseline, restricted"
    );
    for (operation, after, before) in [
        ("CREATE", labelled("baseline"), Value::Null),
        ("UPDATE", labelled("strict"), labelled("strict")),
        ("UPDATE", json!({ "metadata": {} }), labelled("strict")),
    ] {
        let written = own(namespaces.clone(), operation, &after, &before);
        assert_eq!(
            post(&router, "/validate", written).await.response()["allowed"],
            true,
            "{after}"
        );
    }
}

#[rstest]
#[case::it_is_one(json!({ "metadata": { "name": "own", "uid": "x" }, "spec": {}, "status": {} }), None)]
#[case::a_rule_is_misspelt(
    json!({ "metadata": { "name": "own" }, "spec": { "rules": { "unsett": "Warn" } } }),
    Some("cannot read policy \"restricted\": spec.rules.unsett: there is no rule \"unsett\", did you mean \"unset\"?")
)]
#[case::its_name_is_taken(
    json!({ "metadata": { "name": "baseline" }, "spec": {} }),
    Some("the name \"baseline\" is that of a built-in policy")
)]
#[tokio::test]
async fn a_policy_is_parsed_when_it_is_written(
    #[case] mut policy: Value,
    #[case] why: Option<&str>,
) {
    policy["apiVersion"] = json!("callgate.dev/v1alpha1");
    policy["kind"] = json!("SeccompPolicy");
    let policies = json!({ "group": "callgate.dev", "resource": "seccomppolicies" });
    let written = own(policies, "CREATE", &policy, &Value::Null);
    let response = post(&in_a_cluster(), "/validate", written).await.response();
    let message = response["status"]["message"].as_str();
    match why {
        None => assert_eq!(response["allowed"], true, "{response}"),
        Some(why) => assert!(message.is_some_and(|it| it.starts_with(why)), "{message:?}"),
    }
}

fn asking(policy: Presence, obeying: &[&str]) -> Router {
    let obeying: Vec<_> = obeying.iter().map(|it| (*it).to_owned()).collect();
    let ask = Ask {
        policy: Arc::new(move |_| Box::pin(std::future::ready(policy.clone()))),
        obeying: Arc::new(move |_| Box::pin(std::future::ready(Some(obeying.clone())))),
        namespace: Arc::new(|_| Box::pin(std::future::ready(Err("not asked".to_owned())))),
        recent: Arc::default(),
    };
    let policies = PolicyIndex::of_cluster([], std::collections::BTreeMap::new(), None);
    harness::router_with_ask(Snapshot::without_nodes(policies, Catalog::default()), ask)
}

/// A namespace that the snapshot knows in mode `audit`.
#[rstest]
#[case::it_is_stricter_now(Ok("enforce"), false)]
#[case::it_is_the_same(Ok("audit"), true)]
#[case::nobody_answers(Err("no answer"), true)]
#[tokio::test]
async fn labels_that_have_just_changed_are_looked_up_and_no_others(
    #[case] now: Result<&'static str, &'static str>,
    #[case] allowed: bool,
) {
    let labels =
        |mode: &str| Labels { policy: Some("restricted".to_owned()), mode: Some(mode.to_owned()) };
    let asked = Arc::<AtomicUsize>::default();
    let count = Arc::clone(&asked);
    let ask = Ask {
        policy: Arc::new(|_| Box::pin(std::future::ready(Presence::Unknown))),
        obeying: Arc::new(|_| Box::pin(std::future::ready(None))),
        namespace: Arc::new(move |_| {
            count.fetch_add(1, Ordering::Relaxed);
            Box::pin(std::future::ready(now.map(labels).map_err(str::to_owned)))
        }),
        recent: Arc::default(),
    };
    let namespaces = [("shop", labels("audit")), ("bank", labels("audit"))];
    let namespaces = namespaces.map(|(name, it)| (name.to_owned(), it)).into();
    let policies = PolicyIndex::of_cluster([], namespaces, None);
    let router =
        harness::router_with_ask(Snapshot::without_nodes(policies, Catalog::default()), ask);
    let relabelled = |is_dry_run: bool| {
        let namespaces = json!({ "group": "", "version": "v1", "resource": "namespaces" });
        let labelled =
            |mode: &str| json!({ "metadata": { "labels": { "callgate.dev/mode": mode } } });
        let review = own(namespaces, "UPDATE", &labelled("enforce"), &labelled("audit"));
        let mut review: Value = serde_json::from_str(&review).expect("it is one");
        review["request"]["name"] = json!("shop");
        review["request"]["dryRun"] = json!(is_dry_run);
        review.to_string()
    };
    let is_allowed = async |namespace: &str| {
        let response = post(&router, "/validate", privileged_in(namespace)).await.response();
        response["allowed"] == true
    };
    assert!(is_allowed("shop").await);
    post(&router, "/validate", relabelled(true)).await;
    assert!(is_allowed("shop").await);
    assert_eq!(asked.load(Ordering::Relaxed), 0);
    post(&router, "/validate", relabelled(false)).await;
    assert_eq!(is_allowed("shop").await, allowed);
    assert!(is_allowed("bank").await);
    assert_eq!(asked.load(Ordering::Relaxed), 1);
}

#[rstest]
#[case::it_is_there(Presence::There, true)]
#[case::it_is_not(Presence::Absent, false)]
#[case::it_means_nothing(Presence::Unreadable("no spec".to_owned()), false)]
#[tokio::test]
async fn a_policy_that_no_watch_has_reported_is_looked_up(
    #[case] policy: Presence,
    #[case] allowed: bool,
) {
    let namespaces = json!({ "group": "", "version": "v1", "resource": "namespaces" });
    let labelled = json!({ "metadata": { "labels": { "callgate.dev/policy": "new" } } });
    let written = own(namespaces, "CREATE", &labelled, &Value::Null);
    let response = post(&asking(policy, &[]), "/validate", written).await.response();
    assert_eq!(response["allowed"], allowed, "{response}");
}

#[tokio::test]
async fn namespaces_that_name_a_policy_are_looked_up_when_it_is_deleted() {
    let policies = json!({ "group": "callgate.dev", "resource": "seccomppolicies" });
    let deleted = own(policies, "DELETE", &Value::Null, &json!({}));
    let router = asking(Presence::Unknown, &["new"]);
    let denial = post(&router, "/validate", deleted).await.response();
    assert_eq!(
        denial["status"]["message"],
        "policy \"restricted\" governs namespaces \"new\"; change their label callgate.dev/policy first"
    );
}

#[rstest]
#[case::of_the_system("kube-system", json!([
    "callgate.dev/policy has no effect on namespace \"kube-system\": the webhook configurations leave it out by its name",
    "callgate.dev/mode has no effect on namespace \"kube-system\": the webhook configurations leave it out by its name",
]))]
#[case::of_somebody("shop", Value::Null)]
#[tokio::test]
async fn a_label_without_effect_leads_to_a_warning(#[case] name: &str, #[case] warnings: Value) {
    let namespaces = json!({ "group": "", "version": "v1", "resource": "namespaces" });
    let labels = json!({ "callgate.dev/policy": "baseline", "callgate.dev/mode": "warn" });
    let labelled = json!({ "metadata": { "labels": labels } });
    let written = own(namespaces.clone(), "UPDATE", &labelled, &json!({}));
    let written = written.replace("\"name\":\"restricted\"", &format!("\"name\":{name:?}"));
    let response = post(&in_a_cluster(), "/validate", written).await.response();
    assert_eq!((&response["allowed"], &response["warnings"]), (&json!(true), &warnings));
    let again = own(namespaces, "UPDATE", &labelled, &labelled);
    let again = again.replace("\"name\":\"restricted\"", &format!("\"name\":{name:?}"));
    let response = post(&in_a_cluster(), "/validate", again).await.response();
    assert_eq!(response, json!({ "uid": "u-1", "allowed": true }), "what was there is no news");
}

/// By the component that has every namespace governed.
#[rstest]
#[case::where_namespaces_opt_in(None, Value::Null)]
#[case::where_all_are_governed(Some("restricted"), json!([
    "callgate.dev/policy has no effect on namespace \"kube-public\": the webhook configurations leave it out by its name",
]))]
#[tokio::test]
async fn a_label_on_a_namespace_that_only_component_everywhere_leaves_out_leads_to_a_warning_there(
    #[case] default: Option<&str>,
    #[case] warnings: Value,
) {
    let namespaces = std::collections::BTreeMap::new();
    let policies = PolicyIndex::of_cluster([], namespaces, default.map(str::to_owned));
    let router = harness::router(Snapshot::without_nodes(policies, Catalog::default()));
    let namespaces = json!({ "group": "", "version": "v1", "resource": "namespaces" });
    let labelled = json!({ "metadata": { "labels": { "callgate.dev/policy": "baseline" } } });
    let written = own(namespaces, "UPDATE", &labelled, &json!({}));
    let written = written.replace("\"name\":\"restricted\"", "\"name\":\"kube-public\"");
    let response = post(&router, "/validate", written).await.response();
    assert_eq!((&response["allowed"], &response["warnings"]), (&json!(true), &warnings));
}

#[tokio::test]
async fn the_deletion_of_a_policy_that_a_namespace_names_is_denied() {
    let policies = json!({ "group": "callgate.dev", "resource": "seccomppolicies" });
    let deleted = own(policies, "DELETE", &Value::Null, &json!({}));
    let denial = post(&in_a_cluster(), "/validate", deleted).await.response();
    assert_eq!(
        denial["status"]["message"],
        "policy \"restricted\" governs namespaces \"bank\", \"shop\"; change their label callgate.dev/policy first"
    );
}

#[rstest]
#[case::sound(json!({ "defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
    { "names": ["mkdir"], "action": "SCMP_ACT_ERRNO", "args": [
        { "index": 1, "value": "18446744073709551615", "op": "SCMP_CMP_EQ" },
    ] },
] }), None)]
#[case::it_allows_no_program_to_start(
    json!({ "defaultAction": "SCMP_ACT_ERRNO", "syscalls": [
        { "names": ["read"], "action": "SCMP_ACT_ALLOW" },
    ] }),
    Some("\n  spec.defaultAction: denies execve, ")
)]
#[case::its_file_would_be_too_large(
    json!({ "defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
        { "names": vec!["mkdir"; 20_000], "action": "SCMP_ACT_ERRNO" },
    ] }),
    Some("\n  spec: its file on the nodes would have ")
)]
#[tokio::test]
async fn a_profile_is_linted_when_it_is_written(#[case] spec: Value, #[case] lint: Option<&str>) {
    let profiles = json!({ "group": "callgate.dev", "resource": "seccompprofiles" });
    let profile = json!({ "metadata": { "name": "restricted" }, "spec": spec });
    let written = own(profiles, "CREATE", &profile, &Value::Null);
    let response = post(&in_a_cluster(), "/validate", written).await.response();
    assert_eq!(response["allowed"], lint.is_none(), "{response}");
    if let Some(lint) = lint {
        let message = response["status"]["message"].as_str().expect("a denial has a message");
        let start = "profile \"restricted\" is not one to run under:\n  spec";
        assert!(message.starts_with(start) && message.contains(lint), "{message}");
    }
}

#[tokio::test]
async fn a_profile_that_only_logs_leads_to_a_warning() {
    let profiles = json!({ "group": "callgate.dev", "resource": "seccompprofiles" });
    let profile = json!({ "spec": { "defaultAction": "SCMP_ACT_LOG" } });
    let written = own(profiles, "CREATE", &profile, &Value::Null);
    let response = post(&in_a_cluster(), "/validate", written).await.response();
    assert_eq!(response["allowed"], true);
    let warning = response["warnings"][0].as_str().expect("a warning");
    assert!(warning.starts_with("profile \"restricted\": spec."), "{warning}");
    assert!(warning.ends_with("[permissive]"), "{warning}");
}

#[tokio::test]
async fn the_deletion_of_a_profile_leads_to_a_warning_about_its_consequences() {
    let text = "apiVersion: callgate.dev/v1alpha1\nkind: SeccompPolicy\nmetadata: { name: own }\n\
                spec: { default: { type: Localhost, localhostProfile: callgate/restricted.json } }\n";
    let policy = Policy::parse(text).expect("a policy");
    let policies = PolicyIndex::of_cluster([policy], std::collections::BTreeMap::new(), None);
    let router = harness::router(Snapshot::without_nodes(policies, Catalog::default()));
    let profiles = json!({ "group": "callgate.dev", "resource": "seccompprofiles" });
    let deleted = own(profiles, "DELETE", &Value::Null, &json!({}));
    let response = post(&router, "/validate", deleted).await.response();
    let expected = json!({ "uid": "u-1", "allowed": true, "warnings": [
        "policy \"own\" sets profile \"restricted\": its pods will be denied, change it first",
        "profile \"restricted\" stays on the nodes for as long as their agents keep what is \
         released (24 hours by default), then pods that name \"callgate/restricted.json\" no \
         longer start",
    ] });
    assert_eq!(response, expected);
}

#[tokio::test]
async fn a_profile_whose_name_is_too_long_for_a_label_is_denied() {
    let profiles = json!({ "group": "callgate.dev", "resource": "seccompprofiles" });
    let spec = json!({ "defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
        { "names": ["mkdir"], "action": "SCMP_ACT_ERRNO" },
    ] });
    let review = own(profiles, "CREATE", &json!({ "spec": spec }), &Value::Null);
    let allowed = async |name: &str| {
        let named = review.replace("\"name\":\"restricted\"", &format!("\"name\":\"{name}\""));
        post(&in_a_cluster(), "/validate", named).await.response()
    };
    assert_eq!(allowed(&"x".repeat(63)).await["allowed"], true);
    let message = allowed(&"x".repeat(64)).await["status"]["message"].clone();
    let expected = format!(
        "{:?} cannot be the name of an object, expected at most 63 lower case letters, digits, \
         hyphens and dots, between letters and digits",
        "x".repeat(64)
    );
    assert_eq!(message, json!(expected));
}
