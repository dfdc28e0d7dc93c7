//! What nodes report of containers.

use super::*;

/// The status of a `SeccompNode`, with such containers in the namespace `shop`: pod, declared.
fn seen((filter, none, unknown): (usize, usize, usize), unfiltered: &[(&str, Declared)]) -> World {
    let unfiltered = unfiltered.iter().map(|(pod, declared)| Unfiltered {
        place: Place {
            namespace: "shop".to_owned(),
            pod: (*pod).to_owned(),
            uid: format!("uid of {pod}"),
            container: "app".to_owned(),
            declared: declared.clone(),
        },
        processes: if *pod == "web-2" { Extent::Some } else { Extent::All },
        no_new_privs: false,
    });
    let unfiltered = unfiltered.collect();
    let containers = Containers { filter, none, unknown, unfiltered, ..Containers::default() };
    let mut world = shop();
    world.seen.take("node-a", &json!({ "profiles": [], "containers": containers }).to_string());
    world
}

fn with_uid(name: &str, context: &Value) -> (Kind, Value) {
    let mut pod = object(name, &Value::Null, &containers(context));
    pod["metadata"]["uid"] = format!("uid of {name}").into();
    (Kind::Pod, pod)
}

#[test]
fn what_runs_without_a_filter_is_said_beside_what_is_declared() {
    let web = Declared::Localhost("apps/web.json".to_owned());
    let mut world = seen(
        (3, 4, 1),
        &[
            ("web-1", Declared::RuntimeDefault),
            ("web-2", web),
            ("gone", Declared::RuntimeDefault),
            ("open", Declared::Unset),
        ],
    );
    world.seen.take("node-b", r#"{"containers":{"filter":2}}"#);
    world.seen.take("node-c", r#"{"profiles":[]}"#);
    world.seen.take("node-d", r#"{"containers":7}"#);
    let pods = [
        with_uid("web-1", &default()),
        with_uid("web-2", &default()),
        with_uid("open", &default()),
    ];
    let overview = scan(&world, &pods);
    let expected = [
        "by the kernel of 2 nodes: 5 of the containers under a filter, 4 without one, 1 unknown",
        "",
        "shop: safe to enforce",
        "  3 pods: 3 RuntimeDefault",
        "  by the kernel, without a filter: 3 containers",
        "    although RuntimeDefault is declared: pod \"web-1\", container \"app\", on node \"node-a\"",
        "    although Localhost \"apps/web.json\" is declared: pod \"web-2\", container \"app\", on node \"node-a\", some of its processes",
    ];
    assert_eq!(lines(&overview)[..7], expected);
    let found = serde_json::to_value(&overview).unwrap();
    let totals =
        json!({ "nodes": 2, "filter": 5, "none": 4, "strict": 0, "unknown": 1, "unlisted": 0 });
    assert_eq!(found["seen"], totals);
    let entry = json!({
        "node": "node-a", "namespace": "shop", "pod": "web-2", "uid": "uid of web-2",
        "container": "app", "declared": "Localhost", "localhostProfile": "apps/web.json",
        "processes": "Some", "noNewPrivs": false,
    });
    assert_eq!(found["namespaces"][0]["unfiltered"][1], entry);
}

#[test]
fn what_profiles_denied_is_said_by_container_and_changes_no_verdict() {
    let denied = |pod: &str, call: &str, action: &str, count: u64, last: &str| {
        json!({
            "namespace": "shop", "pod": pod, "uid": "u", "container": "app", "declared": "Localhost",
            "localhostProfile": "callgate/web.json", "syscall": call,
            "architecture": "SCMP_ARCH_X86_64", "action": action, "count": count, "last": last,
        })
    };
    let mut calls = [
        denied("web-1", "times", "SCMP_ACT_LOG", 1, "2026-11-24T09:00:00Z"),
        denied("web-1", "io_uring_setup", "SCMP_ACT_ERRNO", 37, "2026-11-24T10:00:00Z"),
        denied("gone", "mkdir", "SCMP_ACT_KILL_PROCESS", 2, "2026-11-23T10:00:00Z"),
    ];
    calls[2]["declared"] = "Unset".into();
    calls[2]["localhostProfile"] = Value::Null;
    let status = |unknown: u64, calls: &[Value]| {
        let since = "2026-11-22T00:00:00Z";
        let denials = json!({ "since": since, "calls": calls, "unknown": unknown, "lost": 0 });
        json!({ "denials": denials }).to_string()
    };
    let mut world = shop();
    world.seen.take("node-a", &status(0, &calls));
    world.seen.take("node-b", &status(4, &[]));
    world.seen.take("node-c", r#"{"profiles":[]}"#);
    world.seen.take("node-d", r#"{"denials":7,"containers":{"filter":2}}"#);
    let overview = scan(&world, &[with_uid("web-1", &default())]);
    let expected = [
        "by the kernel of 1 node: 2 of the containers under a filter, 0 without one",
        "by audit records of 2 nodes: at least 39 calls denied in containers, 1 logged",
        "",
        "shop: safe to enforce",
        "  1 pod: 1 RuntimeDefault",
        "  by audit records:",
        "    \"io_uring_setup\" denied 37 times by \"callgate/web.json\": pod \"web-1\", container \"app\", on node \"node-a\", last at 2026-11-24T10:00:00Z",
        "    \"times\" logged 1 time by \"callgate/web.json\": pod \"web-1\", container \"app\", on node \"node-a\", last at 2026-11-24T09:00:00Z",
        "    \"mkdir\" denied 2 times by a filter that its pod does not declare: pod \"gone\", container \"app\", on node \"node-a\", last at 2026-11-23T10:00:00Z",
    ];
    assert_eq!(lines(&overview)[..9], expected);
    let found = serde_json::to_value(&overview).unwrap();
    let totals = json!({ "nodes": 2, "denied": 39, "logged": 1, "isLowerBound": true });
    assert_eq!(found["denials"], totals);
    let first = &found["namespaces"][0]["denials"][0];
    assert_eq!((&first["node"], &first["count"]), (&json!("node-a"), &json!(37)));
}

#[test]
fn of_very_many_denied_calls_the_latest_are_kept() {
    let call = |number: usize| {
        let last = format!("2026-11-24T10:{:02}:{:02}Z", number / 60, number % 60);
        json!({
            "namespace": "shop", "pod": format!("pod-{number}"), "uid": "u", "container": "app",
            "declared": "RuntimeDefault", "syscall": "mkdir", "architecture": "SCMP_ARCH_X86_64",
            "action": "SCMP_ACT_ERRNO", "count": 1, "last": last,
        })
    };
    let calls: Vec<_> = (0..400).map(call).collect();
    let denials = json!({ "since": "2026-11-22T00:00:00Z", "calls": calls });
    let mut world = shop();
    world.seen.take("node-a", &json!({ "denials": denials }).to_string());
    let overview = scan(&world, &[]);
    let kept = &overview.namespaces[0].denials;
    assert_eq!((kept.len(), &*kept[0].call.place.pod), (100, "pod-399"));
    assert_eq!(overview.denials.map(|it| (it.denied, it.is_lower_bound)), Some((400, true)));
}

#[test]
fn without_agents_that_look_at_containers_nothing_is_said_of_them() {
    let overview = scan(&shop(), &[with_uid("web-1", &default())]);
    assert_eq!(lines(&overview)[0], "shop: safe to enforce");
    let found = serde_json::to_value(&overview).unwrap();
    assert_eq!((found.get("seen"), found["namespaces"][0].get("unfiltered")), (None, None));
}

#[test]
fn of_very_many_unfiltered_containers_those_that_contradict_are_kept() {
    let names: Vec<_> = (0..400).map(|it| format!("pod-{it}")).collect();
    let declared = |at: usize| if at == 399 { Declared::RuntimeDefault } else { Declared::Unset };
    let all: Vec<_> = names.iter().enumerate().map(|(at, it)| (&**it, declared(at))).collect();
    let world = seen((0, 400, 0), &all);
    let pods: Vec<_> = names.iter().map(|it| with_uid(it, &default())).collect();
    let overview = scan(&world, &pods);
    let kept = &overview.namespaces[0].unfiltered;
    assert_eq!((kept.len(), &*kept[0].container.place.pod), (100, "pod-399"));
    assert!(overview.seen.is_some_and(|it| it.none == 400 && it.unlisted > 0));
}
