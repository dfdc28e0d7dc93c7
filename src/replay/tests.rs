//! Logs that the tests write.

use jiff::civil::date;
use serde_json::{Value, json};

use super::{History, Replay, World, event::is_skipped, summary, text};
use crate::{
    placement::Nodes,
    policy::{Builtin, RuntimeClasses},
    profile::Catalog,
};

fn world() -> World {
    World {
        policy: Builtin::named("restricted").unwrap().policy(),
        catalog: Catalog::default(),
        nodes: Nodes::default(),
        classes: RuntimeClasses::default(),
        today: date(2026, 11, 24),
    }
}

/// A line of the log, as the API server writes it.
fn line(verb: &str, resource: &str, at: u32, change: impl FnOnce(&mut Value)) -> String {
    let group = match resource {
        "pods" => "",
        "cronjobs" => "batch",
        _ => "apps",
    };
    let mut rest = json!({
        "objectRef": {
            "resource": resource, "namespace": "shop", "name": "web", "apiGroup": group,
            "apiVersion": "v1",
        },
        "responseStatus": { "code": 201 },
        "requestReceivedTimestamp": format!("2026-11-24T00:00:{at:02}.000000Z"),
        "stage": "ResponseComplete", "requestURI": "/api", "level": "RequestResponse",
    });
    change(&mut rest);
    let text = |key: &str| rest[key].as_str().unwrap().to_owned();
    let opening = format!(
        r#"{{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"{}","auditID":"1","stage":"{}","requestURI":"{}","verb":"{verb}","#,
        text("level"),
        text("stage"),
        text("requestURI"),
    );
    for key in ["level", "stage", "requestURI"] {
        rest.as_object_mut().unwrap().remove(key);
    }
    opening + &rest.to_string()[1..]
}

fn pod(context: &Value) -> Value {
    let owner = json!({
        "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-5d", "controller": true,
    });
    json!({
        "metadata": { "labels": { "pod-template-hash": "5d" }, "ownerReferences": [owner] },
        "spec": { "containers": [{ "name": "app", "securityContext": context }] },
    })
}

fn privileged() -> Value {
    json!({ "privileged": true, "seccompProfile": { "type": "RuntimeDefault" } })
}

fn replay(lines: &[String]) -> History {
    let world = world();
    let mut replay = Replay::new(&world);
    for (at, it) in lines.iter().enumerate() {
        replay.take(it.as_bytes(), || format!("audit.log:{}", at + 1));
    }
    replay.finish()
}

fn created(at: u32, context: &Value) -> String {
    line("create", "pods", at, |it| it["requestObject"] = pod(context))
}

#[test]
fn what_would_have_happened_is_counted_by_owner_with_its_times() {
    let template = json!({ "spec": { "template": pod(&privileged()) } });
    let history = replay(&[
        line("update", "deployments", 1, |it| it["requestObject"] = template.clone()),
        created(3, &privileged()),
        created(2, &privileged()),
        created(4, &Value::Null),
    ]);
    // The same as on the page.
    let page = include_str!("../../docs/replay.md");
    let (_, block) = page.split_once("```text\n").unwrap();
    let expected = block.split("```").next().unwrap().to_owned() + "\n";
    assert_eq!(text(&history), expected);
    assert_eq!(summary(&history), "replayed 3 pods and 1 template of 4 lines: 0 skipped");
}

/// What the log does not have is never fine.
#[test]
fn an_entry_without_its_object_is_unknown() {
    let debug = |it: &mut Value| {
        it["objectRef"]["subresource"] = json!("ephemeralcontainers");
        it["responseObject"] = pod(&Value::Null);
    };
    let history = replay(&[
        line("create", "pods", 1, |it| it["level"] = json!("Metadata")),
        line("patch", "deployments", 2, |it| it["requestObject"] = json!({ "spec": {} })),
        line("patch", "pods", 3, debug),
    ]);
    let expected = "\
shop: 2 pods (2 unknown) and 1 template (1 unknown), 2026-11-24T00:00:01.000000Z to 2026-11-24T00:00:03.000000Z
  unknown: the log does not have the objects of 3

";
    assert_eq!(text(&history), expected);
    assert_eq!((history.totals.pods.unknown, history.totals.templates.unknown), (2, 1));
    let naming = json!({ "seccompProfile": { "type": "Localhost", "localhostProfile": "a.json" } });
    let history = replay(&[created(1, &naming)]);
    assert_eq!((history.totals.pods.unknown, history.totals.pods.denied), (1, 0));
}

#[test]
fn the_response_counts_before_the_request_and_the_patch_of_a_request_does_not() {
    let fine = json!({ "seccompProfile": { "type": "RuntimeDefault" } });
    let template = |context: &Value| json!({ "spec": { "template": pod(context) } });
    let history = replay(&[
        line("patch", "deployments", 1, |it| {
            it["requestObject"] = template(&privileged());
            it["responseObject"] = template(&fine);
        }),
        line("create", "pods", 2, |it| {
            it["requestObject"] = pod(&Value::Null);
            it["responseObject"] = pod(&privileged());
        }),
    ]);
    assert_eq!((history.totals.templates.denied, history.totals.templates.unknown), (0, 0));
    assert_eq!((history.totals.pods.denied, history.totals.pods.changed), (1, 0));
}

#[test]
fn what_was_not_stored_or_is_about_something_else_is_not_judged() {
    let history = replay(&[
        line("create", "pods", 1, |it| {
            it["requestObject"] = pod(&privileged());
            it["responseStatus"]["code"] = json!(403);
        }),
        line("create", "pods", 2, |it| {
            it["requestObject"] = pod(&privileged());
            it["requestURI"] = json!("/api/v1/namespaces/shop/pods?fieldManager=a&dryRun=All");
        }),
        line("create", "pods", 3, |it| {
            it["requestObject"] = pod(&privileged());
            it["stage"] = json!("RequestReceived");
        }),
        line("create", "pods", 4, |it| it["objectRef"]["subresource"] = json!("binding")),
        line("patch", "pods", 5, |it| it["requestObject"] = json!({})),
        line("create", "pods", 6, |it| it["objectRef"]["apiGroup"] = json!("example.com")),
        line("list", "pods", 7, |_| ()),
        line("create", "replicasets", 8, |it| {
            it["requestObject"] = json!({
                "metadata": { "ownerReferences": [{
                    "apiVersion": "apps/v1", "kind": "Deployment", "name": "web", "controller": true,
                }] },
                "spec": { "template": pod(&privileged()) },
            });
        }),
    ]);
    assert!(history.namespaces.is_empty(), "{history:?}");
    assert_eq!(
        summary(&history),
        "replayed 0 pods and 0 templates of 8 lines: 5 skipped, 2 rejected or dry runs, 1 updates of pods, which are not judged"
    );
}

#[test]
fn broken_lines_are_counted_with_their_places() {
    let whole = created(1, &privileged());
    let history = replay(&[
        whole[..whole.len() - 1].to_owned(),
        r#"{"kind":"Pod"}"#.to_owned(),
        String::new(),
        "[".repeat(100_000),
        whole,
    ]);
    assert_eq!((history.totals.broken, history.totals.pods.denied), (3, 1));
    let places: Vec<_> = history.broken.iter().map(|it| it.split(": ").next().unwrap()).collect();
    assert_eq!(places, ["audit.log:1", "audit.log:2", "audit.log:4"]);
}

/// A pod that no reader can read would have been denied.
#[test]
fn an_object_that_cannot_be_read_is_denied() {
    let history = replay(&[line("create", "pods", 1, |it| {
        it["requestObject"] = json!({ "metadata": {}, "spec": { "containers": 7 } });
    })]);
    assert_eq!(history.totals.pods.denied, 1, "{history:?}");
}

/// An annotation can hold such a text.
#[test]
fn a_verb_within_an_object_skips_no_line() {
    assert!(is_skipped(line("list", "pods", 1, |_| ()).as_bytes()));
    assert!(!is_skipped(created(1, &Value::Null).as_bytes()));
    let sorted = r#"{"annotations":{"verb":"get"},"apiVersion":"audit.k8s.io/v1","verb":"create"}"#;
    assert!(!is_skipped(sorted.as_bytes()));
    let uri = line("create", "pods", 1, |it| {
        it["requestURI"] = json!(r#"/api\",\"verb\":\"get"#);
        it["requestObject"] = pod(&privileged());
    });
    assert!(!is_skipped(uri.as_bytes()), "{uri}");
    assert_eq!(replay(&[uri]).totals.pods.denied, 1);
}

#[test]
fn what_is_kept_is_bounded() {
    let world = world();
    let mut replay = Replay::new(&world);
    for at in 0..20_010 {
        let it = line("create", "pods", 1, |it| {
            it["objectRef"]["name"] = json!(format!("pod-{at}"));
            it["requestObject"] = json!({ "spec": { "containers": [{ "name": "app", "securityContext": privileged() }] } });
        });
        replay.take(it.as_bytes(), String::new);
    }
    let history = replay.finish();
    let shop = &history.namespaces[0];
    assert_eq!((shop.owners.len(), shop.others, shop.pods.denied), (20_000, 10, 20_010));
}
