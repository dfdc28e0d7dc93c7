//! Scans of clusters that the tests write.

use std::collections::BTreeMap;

use jiff::civil::date;
use serde_json::{Value, json};

use super::{
    Overview, Safety, Scan, Seen, Unread, World, exempting, patches, reports, role, summary, text,
};
use crate::{
    placement::{Node, Nodes},
    pod::Kind,
    policy::{Builtin, Labels, PolicyIndex, RuntimeClasses},
    profile::{Catalog, Inventory},
    witness::{Containers, Declared, Extent, Unfiltered},
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

#[test]
fn the_role_lists_what_is_read_and_permits_nothing_else() {
    let expected = "\
# The rights of `callgate scan`, and no others.
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: callgate-scan
rules:
  - apiGroups: [\"\"]
    resources: [namespaces, nodes, pods, replicationcontrollers]
    verbs: [list]
  - apiGroups: [apps]
    resources: [daemonsets, deployments, replicasets, statefulsets]
    verbs: [list]
  - apiGroups: [batch]
    resources: [cronjobs, jobs]
    verbs: [list]
  - apiGroups: [callgate.dev]
    resources: [seccompnodes, seccomppolicies, seccompprofiles]
    verbs: [list]
  - apiGroups: [node.k8s.io]
    resources: [runtimeclasses]
    verbs: [list]
";
    assert_eq!(role(), expected);
}

/// A workload with two kinds of findings, one made by an operator, and a pod that nothing makes.
fn broken() -> Overview {
    let bad = json!({ "privileged": true, "seccompProfile": { "type": "Unconfined" } });
    let mut web = object("web", &controller("example.com/v1", "Shop", "big"), &template(&bad));
    web["spec"]["template"]["spec"]["serviceAccountName"] = json!("robot");
    scan(
        &shop(),
        &[
            (Kind::Deployment, web),
            (
                Kind::CronJob,
                object(
                    "tidy",
                    &Value::Null,
                    &json!({ "jobTemplate": { "spec": template(&Value::Null) } }),
                ),
            ),
            (Kind::Pod, object("alone", &Value::Null, &containers(&bad))),
        ],
    )
}

#[test]
fn each_owner_gets_a_patch_with_the_findings_in_its_head() {
    let (files, left) = patches(&broken());
    let texts: Vec<_> = files.iter().map(|it| it.text.as_str()).collect();
    let tidy = "\
# kubectl patch cronjob tidy --namespace shop --patch-file shop/cronjob-tidy.yaml
# callgate would set RuntimeDefault
spec:
  jobTemplate:
    spec:
      template:
        spec:
          securityContext:
            seccompProfile:
              localhostProfile: null
              type: RuntimeDefault
";
    let web = "\
# kubectl patch deployment web --namespace shop --patch-file shop/deployment-web.yaml
# made by shop \"big\", which may undo it: change it there
# spec.template.spec.containers[0] \"app\": privileged turns seccomp off; remove it, or ask for an exemption [privileged]
# spec.template.spec.containers[0] \"app\": Unconfined turns seccomp off; set type: RuntimeDefault, or ask for an exemption [unconfined]
spec:
  template:
    spec:
      containers:
      - name: app
        securityContext:
          privileged: false
          seccompProfile:
            localhostProfile: null
            type: RuntimeDefault
";
    assert_eq!(texts, [tidy, web]);
    assert_eq!(left, ["pod \"alone\" in namespace \"shop\": it cannot be changed: create it anew"]);
}

#[test]
fn no_name_leads_out_of_the_folder_of_patches() {
    for name in ["../../etc/passwd", "a/b", "..", ""] {
        let mut it = object(name, &Value::Null, &template(&json!({ "privileged": true })));
        it["metadata"]["namespace"] = json!("..");
        let (files, left) = patches(&scan(&shop(), &[(Kind::Deployment, it)]));
        assert_eq!((files.len(), left.len()), (0, 1), "{name:?}");
    }
}

/// The exemptions are taken as they are printed, by the parser of policies.
#[test]
fn under_the_exemptions_nothing_that_runs_is_denied() {
    let base = Builtin::named("restricted").unwrap();
    let (policy, left) = exempting(&broken(), base, date(2027, 3, 1)).unwrap();
    assert_eq!(left, Vec::<String>::new());
    let first = json!({
        "name": "shop/deployment/web/1", "owner": "shop/deployment/web", "reason": "found by scan",
        "expires": "2027-03-01", "rules": ["privileged"],
        "match": { "namespaces": ["shop"], "serviceAccounts": ["robot"], "containers": ["app"] },
    });
    assert_eq!(policy["spec"]["exemptions"][0], first);
    let policy = crate::policy::Policy::read(&policy).unwrap();
    assert_eq!((policy.name(), policy.exemptions().len()), ("restricted-with-exemptions", 4));
    let bad = json!({ "privileged": true, "seccompProfile": { "type": "Unconfined" } });
    let alone = (Kind::Pod, object("alone", &Value::Null, &containers(&bad)));
    let world = World { policy: Some(policy), ..shop() };
    assert_eq!(scan(&world, &[alone]).namespaces[0].safe, Safety::Yes);
    let mut other = object("other", &Value::Null, &containers(&bad));
    other["spec"]["serviceAccountName"] = json!("another");
    assert_eq!(scan(&world, &[(Kind::Pod, other)]).namespaces[0].safe, Safety::No);
}

#[test]
fn a_report_counts_everything_and_lists_a_hundred_results() {
    let bad = json!({ "privileged": true, "seccompProfile": { "type": "RuntimeDefault" } });
    let pods = (0..150)
        .map(|at| (Kind::Pod, object(&format!("web-{at}"), &Value::Null, &containers(&bad))));
    let mut pods: Vec<_> = pods.collect();
    pods.push((Kind::Pod, object("fine", &Value::Null, &containers(&default()))));
    let list = reports(&scan(&shop(), &pods));
    let report = &list["items"][0];
    assert_eq!(
        report["summary"],
        json!({ "pass": 1, "fail": 150, "warn": 0, "error": 0, "skip": 0 })
    );
    assert_eq!(report["results"].as_array().map(Vec::len), Some(100));
    let unread = Scan::new(&shop()).finish(None, vec![unread("pods")]);
    let report = &reports(&unread)["items"][0];
    assert_eq!(
        (&report["summary"]["error"], &report["results"][0]["result"]),
        (&json!(1), &json!("error"))
    );
}

/// The status of a `SeccompNode`, with such containers in the namespace `shop`: pod, declared.
fn seen((filter, none, unknown): (usize, usize, usize), unfiltered: &[(&str, Declared)]) -> World {
    let unfiltered = unfiltered.iter().map(|(pod, declared)| Unfiltered {
        namespace: "shop".to_owned(),
        pod: (*pod).to_owned(),
        uid: format!("uid of {pod}"),
        container: "app".to_owned(),
        declared: declared.clone(),
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
    assert_eq!((kept.len(), &*kept[0].call.pod), (100, "pod-399"));
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
    assert_eq!((kept.len(), &*kept[0].container.pod), (100, "pod-399"));
    assert!(overview.seen.is_some_and(|it| it.none == 400 && it.unlisted > 0));
}
