//! Scans of clusters that the tests write.

mod nodes;
mod outputs;

use std::collections::BTreeMap;

use jiff::civil::date;
use serde_json::{Value, json};

use super::{Overview, Safety, Scan, Seen, Unread, World, summary, text};
use crate::{
    placement::{Node, Nodes},
    pod::Kind,
    policy::{Builtin, Labels, PolicyIndex, RuntimeClasses},
    profile::{Catalog, Inventory},
    witness::{Containers, Declared, Extent, Place, Unfiltered},
};

fn labels(policy: Option<&str>, mode: Option<&str>) -> Labels {
    Labels { policy: policy.map(str::to_owned), mode: mode.map(str::to_owned) }
}

fn world(namespaces: &[(&str, Labels)]) -> World {
    let namespaces: BTreeMap<_, _> =
        namespaces.iter().map(|(name, it)| ((*name).to_owned(), it.clone())).collect();
    World {
        policy: None,
        fallback: Builtin::named("restricted").unwrap().policy(),
        index: PolicyIndex::of_cluster([], namespaces.clone(), None),
        namespaces,
        catalog: Catalog::default(),
        nodes: Nodes::default(),
        classes: RuntimeClasses::default(),
        today: date(2026, 11, 24),
        unread: Vec::new(),
        seen: Seen::default(),
        is_selected: false,
    }
}

fn shop() -> World {
    world(&[("shop", labels(None, None))])
}

fn unread(plural: &'static str) -> Unread {
    let why = "the API server says: it is forbidden".to_owned();
    Unread { resource: plural.to_owned(), plural, why }
}

fn controller(api_version: &str, kind: &str, name: &str) -> Value {
    json!([{ "apiVersion": api_version, "kind": kind, "name": name, "uid": "1", "controller": true }])
}

fn object(name: &str, owners: &Value, spec: &Value) -> Value {
    json!({
        "metadata": { "namespace": "shop", "name": name, "ownerReferences": owners }, "spec": spec,
    })
}

fn containers(context: &Value) -> Value {
    json!({ "containers": [{ "name": "app", "image": "app:1", "securityContext": context }] })
}

fn template(context: &Value) -> Value {
    json!({ "template": { "metadata": {}, "spec": containers(context) } })
}

fn default() -> Value {
    json!({ "seccompProfile": { "type": "RuntimeDefault" } })
}

fn localhost(path: &str) -> Value {
    json!({ "seccompProfile": { "type": "Localhost", "localhostProfile": path } })
}

fn scan(world: &World, objects: &[(Kind, Value)]) -> Overview {
    let mut scan = Scan::new(world);
    for (kind, it) in objects {
        scan.take(*kind, &it.to_string());
    }
    scan.finish(None, Vec::new())
}

fn lines(overview: &Overview) -> Vec<String> {
    text(overview).lines().map(str::to_owned).collect()
}

#[test]
fn findings_are_by_owner_and_once_for_all_replicas() {
    let none = Value::Null;
    let privileged = json!({ "privileged": true, "seccompProfile": { "type": "RuntimeDefault" } });
    let mut objects = vec![
        (Kind::Deployment, object("web", &none, &template(&privileged))),
        (
            Kind::CronJob,
            object("tidy", &none, &json!({ "jobTemplate": { "spec": template(&Value::Null) } })),
        ),
        (
            Kind::Job,
            object("tidy-1", &controller("batch/v1", "CronJob", "tidy"), &template(&Value::Null)),
        ),
        (
            Kind::ReplicaSet,
            object("web-5d", &controller("apps/v1", "Deployment", "web"), &template(&privileged)),
        ),
    ];
    let of_web = controller("apps/v1", "ReplicaSet", "web-5d");
    for at in 1..=3 {
        objects
            .push((Kind::Pod, object(&format!("web-5d-{at}"), &of_web, &containers(&privileged))));
    }
    let of_tidy = controller("batch/v1", "Job", "tidy-1");
    objects.push((Kind::Pod, object("tidy-1-x", &of_tidy, &containers(&Value::Null))));
    objects.push((Kind::Pod, object("alone", &none, &containers(&default()))));
    let overview = scan(&shop(), &objects);
    let expected = [
        "shop: not safe to enforce: pods of 1 of 3 workloads would be denied (privileged)",
        "  5 pods: 3 privileged, 1 no profile, 1 RuntimeDefault",
        "  cronjob \"tidy\", 1 pod",
        "    changed: callgate would set RuntimeDefault",
        "  deployment \"web\", 3 pods",
        "    denied: spec.template.spec.containers[0] \"app\": privileged turns seccomp off; remove it, or ask for an exemption [privileged]",
        "  next: kubectl label namespace shop callgate.dev/policy=restricted callgate.dev/mode=audit",
        "",
    ];
    assert_eq!(lines(&overview), expected);
    assert_eq!(
        summary(&overview),
        "scanned 5 pods and 3 workloads in 1 namespace: 0 safe to enforce, 1 not, 0 unknown"
    );
}

#[test]
fn templates_without_pods_count_and_old_ones_do_not() {
    let none = Value::Null;
    let bad = json!({ "seccompProfile": { "type": "Unconfined" } });
    let with = |key: &str, value: Value, mut spec: Value| {
        spec[key] = value;
        spec
    };
    let mut finished = object("once", &none, &template(&bad));
    finished["status"] = json!({ "conditions": [{ "type": "Complete", "status": "True" }] });
    let mut ended = object("done", &none, &containers(&bad));
    ended["status"] = json!({ "phase": "Succeeded" });
    let rollout = controller("argoproj.io/v1alpha1", "Rollout", "canary");
    let overview = scan(
        &shop(),
        &[
            (Kind::Deployment, object("zero", &none, &with("replicas", json!(0), template(&bad)))),
            (Kind::Job, finished),
            (Kind::Pod, ended),
            (
                Kind::ReplicaSet,
                object("zero-1", &controller("apps/v1", "Deployment", "zero"), &template(&bad)),
            ),
            (
                Kind::ReplicaSet,
                object("canary-1", &rollout, &with("replicas", json!(0), template(&bad))),
            ),
            (Kind::ReplicaSet, object("canary-2", &rollout, &template(&default()))),
        ],
    );
    let expected = [
        "shop: not safe to enforce: pods of 1 of 2 workloads would be denied (unconfined)",
        "  deployment \"zero\", 0 pods",
        "    denied: spec.template.spec.containers[0] \"app\": Unconfined turns seccomp off; set type: RuntimeDefault, or ask for an exemption [unconfined]",
        "  next: kubectl label namespace shop callgate.dev/policy=restricted callgate.dev/mode=audit",
        "",
    ];
    assert_eq!(lines(&overview), expected);
}

/// Another webhook adds a container in front of those of the template.
#[test]
fn what_only_pods_have_is_said_with_their_names() {
    let mut pod =
        object("web-0", &controller("apps/v1", "StatefulSet", "web"), &containers(&default()));
    let added =
        json!({ "name": "mesh", "image": "mesh", "securityContext": { "privileged": true } });
    pod["spec"]["containers"].as_array_mut().unwrap().insert(0, added);
    pod["spec"]["containers"][1]["securityContext"]["privileged"] = json!(true);
    let context = json!({ "privileged": true, "seccompProfile": { "type": "RuntimeDefault" } });
    let overview = scan(
        &shop(),
        &[
            (
                Kind::StatefulSet,
                object("web", &controller("example.com/v1", "Shop", "big"), &template(&context)),
            ),
            (Kind::Pod, pod),
        ],
    );
    let expected = [
        "  statefulset \"web\", 1 pod, made by shop \"big\"",
        "    denied: spec.template.spec.containers[0] \"app\": privileged turns seccomp off; remove it, or ask for an exemption [privileged]",
        "    denied: spec.containers[0] \"mesh\": privileged turns seccomp off; remove it, or ask for an exemption [privileged] (in 1 pod: web-0)",
    ];
    assert_eq!(lines(&overview)[2..5], expected);
}

#[test]
fn a_namespace_is_judged_by_its_own_policy_and_told_the_next_step() {
    let world = world(&[
        ("audited", labels(Some("baseline"), Some("audit"))),
        ("done", labels(Some("restricted"), None)),
        ("empty", labels(None, None)),
        ("kube-system", labels(None, None)),
        ("lost", labels(Some("gone"), None)),
        ("warned", labels(Some("restricted"), Some("warn"))),
    ]);
    let expected = [
        "audited: safe to enforce",
        "  next: kubectl label namespace audited callgate.dev/policy=baseline callgate.dev/mode=enforce --overwrite",
        "",
        "done: enforced",
        "",
        "empty: safe to enforce",
        "  next: kubectl label namespace empty callgate.dev/policy=restricted callgate.dev/mode=enforce",
        "",
        "kube-system: safe to enforce",
        "  the webhook configurations leave this namespace out",
        "",
        "lost: not safe to enforce: policy \"gone\" does not exist; the policies are baseline, restricted",
        "",
        "warned: safe to enforce",
        "  next: kubectl label namespace warned callgate.dev/policy=restricted callgate.dev/mode=enforce --overwrite",
        "",
    ];
    assert_eq!(lines(&scan(&world, &[])), expected);
}

#[test]
fn a_profile_that_no_agent_reports_makes_it_unknown() {
    let pod = || (Kind::Pod, object("web", &Value::Null, &containers(&localhost("web.json"))));
    let overview = scan(&shop(), &[pod()]);
    let expected = [
        "shop: unknown whether it is safe to enforce: whether the nodes have profile \"web.json\" is not known: no agent reports it",
        "  1 pod: 1 Localhost \"web.json\"",
        "  pod \"web\"",
        "    unknown: spec.containers[0] \"app\": profile \"web.json\" does not exist; name a profile that exists [missing-profile]",
        "  next: kubectl label namespace shop callgate.dev/policy=restricted callgate.dev/mode=audit",
        "",
    ];
    assert_eq!(lines(&overview), expected);
    // One of two nodes reports: the other one may have it.
    let mut world = shop();
    let report = |profiles: Value| Inventory::read(&json!({ "status": { "profiles": profiles } }));
    for it in ["node-a", "node-b"] {
        world.nodes.put(it, Node::default());
    }
    world.nodes.report("node-a", Some(report(json!([]))));
    assert_eq!(scan(&world, &[pod()]).namespaces[0].safe, Safety::Unknown);
    world.nodes.report("node-b", Some(report(json!([]))));
    assert_eq!(scan(&world, &[pod()]).namespaces[0].safe, Safety::No);
    let there = report(json!([{ "path": "web.json" }]));
    world.nodes.report("node-b", Some(there));
    assert_eq!(scan(&world, &[pod()]).namespaces[0].safe, Safety::Yes);
}

/// What was not read is never fine.
#[test]
fn a_type_that_was_not_read_makes_unknown_what_depends_on_it() {
    let safe = |world: &World, missing: Vec<Unread>, context: &Value| {
        let mut scan = Scan::new(world);
        scan.take(Kind::Pod, &object("web", &Value::Null, &containers(context)).to_string());
        let overview = scan.finish(None, missing);
        assert_eq!(overview.is_complete(), overview.unread.is_empty());
        overview.namespaces[0].safe
    };
    assert_eq!(safe(&shop(), vec![], &default()), Safety::Yes);
    assert_eq!(safe(&shop(), vec![unread("jobs")], &default()), Safety::Unknown);
    for plural in ["nodes", "seccompnodes", "seccompprofiles"] {
        let world = World { unread: vec![unread(plural)], ..shop() };
        assert_eq!(safe(&world, vec![], &default()), Safety::Yes, "{plural}");
        assert_eq!(safe(&world, vec![], &localhost("a.json")), Safety::Unknown, "{plural}");
    }
    let world = World { unread: vec![unread("namespaces")], ..shop() };
    assert_eq!(safe(&world, vec![], &default()), Safety::Unknown);
    let chosen = Some(Builtin::named("restricted").unwrap().policy());
    assert_eq!(safe(&World { policy: chosen, ..world }, vec![], &default()), Safety::Yes);
    let labelled = labels(Some("own"), None);
    let world = World { unread: vec![unread("seccomppolicies")], ..world_of(&labelled) };
    assert_eq!(safe(&world, vec![], &default()), Safety::Unknown);
}

fn world_of(labels: &Labels) -> World {
    world(&[("shop", labels.clone())])
}

#[test]
fn a_scan_that_was_stopped_or_chose_calls_nothing_safe() {
    let world = shop();
    let overview = Scan::new(&world).finish(Some("it was interrupted".to_owned()), Vec::new());
    let expected = [
        "incomplete: it was interrupted",
        "",
        "shop: unknown whether it is safe to enforce: the scan is incomplete: it was interrupted",
    ];
    assert_eq!(lines(&overview)[..3], expected);
    assert!(!overview.is_complete());
    let overview = scan(&World { is_selected: true, ..shop() }, &[]);
    assert_eq!(overview.namespaces[0].reasons, ["only what the selector chooses was judged"]);
}

#[test]
fn what_cannot_be_read_is_denied_or_counted() {
    let mut odd = object("odd", &Value::Null, &containers(&Value::Null));
    odd["spec"]["containers"] = json!("none");
    let overview = scan(&shop(), &[(Kind::Pod, odd), (Kind::Pod, json!({ "spec": {} }))]);
    let shop = &overview.namespaces[0];
    assert_eq!(shop.safe, Safety::No);
    let expected =
        ["pods of 1 of 1 workload would be denied (unreadable)", "1 object cannot be read"];
    assert_eq!(shop.reasons, expected);
}

#[test]
fn names_cannot_move_the_cursor_of_a_terminal() {
    let owner = controller("v1", "Robot", "a\u{1b}[2Jb");
    let overview = scan(&shop(), &[(Kind::Pod, object("web", &owner, &containers(&Value::Null)))]);
    assert!(!text(&overview).contains('\u{1b}'), "{}", text(&overview));
}

#[test]
fn owners_with_many_findings_are_cut_and_a_denial_is_not_lost() {
    let context = json!({ "seccompProfile": { "type": "RuntimeDefault" }, "privileged": true });
    let pods = (0..101).map(|at| {
        let mut pod = object(
            &format!("web-{at}"),
            &controller("example.com/v1", "Shop", "big"),
            &containers(&context),
        );
        pod["spec"]["containers"][0]["name"] = json!(format!("app-{at}"));
        (Kind::Pod, pod)
    });
    let overview = scan(&shop(), &pods.collect::<Vec<_>>());
    let owner = &overview.namespaces[0].owners[0];
    assert_eq!((owner.findings.len(), owner.more, owner.pods), (100, 1, 101));
}
