//! Policies and pods for the law about compiled policies.

use std::collections::BTreeMap;

use callgate::{policy::Mode, suite::Around};
use proptest::{
    collection::{btree_map, vec},
    option,
    prelude::*,
    sample::{select, subsequence},
    strategy::ValueTree,
    test_runner::TestRunner,
};
use serde_json::{Value, json};
use support::{
    generated,
    harness::TODAY,
    table::{self, Case, NAMESPACE, Table},
};

use crate::tests::compiled::law::Group;

/// A profile that agents write, so that policies can pin to it.
const MANAGED: &str = r#"{"defaultAction": "SCMP_ACT_ERRNO"}"#;

pub(super) fn case(name: &str, policy: &str, object: &Value) -> Case {
    let case = json!({ "name": name, "policy": policy, "namespace": NAMESPACE, "object": object });
    serde_json::from_value(case).expect("a case")
}

/// A table of one policy.
pub(super) fn table_of(policy: &str, spec: &Value) -> Table {
    let table = json!({ "policies": { policy: spec }, "managed": { "web": MANAGED }, "cases": [] });
    let around = Around { today: TODAY, ..Around::default() };
    Table { around, ..serde_json::from_value(table).expect("a table") }
}

/// Every case of the tables under its policy and in its mode; and in mode enforce, every policy with
/// all pods that differ in what matters.
pub(super) fn of_tables() -> Vec<Group> {
    let mut groups = Vec::new();
    for rule in table::rules() {
        let table = table::of(&rule, TODAY);
        let mut of_policy = BTreeMap::<(String, &'static str), Vec<Case>>::new();
        for case in &table.cases {
            let key = (case.policy.clone(), case.mode().as_str());
            of_policy.entry(key).or_default().push(case.clone());
        }
        for policy in table.policies.keys() {
            let pods = pods().into_iter().map(|it| Case { policy: policy.clone(), ..it });
            of_policy.entry((policy.clone(), "enforce")).or_default().extend(pods);
        }
        for ((policy, mode), cases) in of_policy {
            groups.push(Group {
                name: format!("{rule}, {policy} in mode {mode}"),
                table: table::of(&rule, TODAY),
                mode: Mode::parse(mode).expect("a mode"),
                policy,
                cases,
                is_largest: false,
                damage: |it| it,
            });
        }
    }
    groups
}

/// Pods that differ in what matters to an injection.
pub(super) fn pods() -> Vec<Case> {
    let own = |kind: &str| json!({ "seccompProfile": { "type": kind } });
    let local = json!({ "seccompProfile": { "type": "Localhost", "localhostProfile": "callgate/web.json" } });
    let bare = |name: &str| json!({ "name": name, "image": "app" });
    let with = |name: &str, context: &Value| json!({ "name": name, "image": "app", "securityContext": context });
    let annotated = |annotations: Value, spec: Value| json!({ "metadata": { "annotations": annotations }, "spec": spec });
    let labelled = |labels: Value| json!({ "metadata": { "labels": labels }, "spec": { "containers": [bare("app")] } });
    let spec = |spec: Value| json!({ "spec": spec });
    let app = || json!({ "containers": [bare("app")] });
    let legacy = "seccomp.security.alpha.kubernetes.io/pod";
    let pods = [
        ("a bare pod", spec(app())),
        (
            "a bare pod of several containers",
            spec(json!({
                "initContainers": [bare("setup")], "containers": [bare("agent"), bare("app"), bare("log")],
            })),
        ),
        (
            "an empty context",
            spec(json!({ "securityContext": {}, "containers": [with("app", &json!({}))] })),
        ),
        (
            "another context",
            spec(json!({
                "securityContext": { "runAsUser": 1000 },
                "containers": [with("app", &json!({ "runAsNonRoot": true }))],
            })),
        ),
        (
            "one container has its own",
            spec(json!({ "containers": [with("app", &own("RuntimeDefault")), bare("log")] })),
        ),
        (
            "every container has its own",
            spec(json!({ "containers": [with("app", &own("RuntimeDefault"))] })),
        ),
        (
            "only an init container has none",
            spec(json!({
                "initContainers": [bare("setup")], "containers": [with("app", &own("RuntimeDefault"))],
            })),
        ),
        (
            "the pod has its own",
            spec(json!({ "securityContext": own("RuntimeDefault"), "containers": [bare("app")] })),
        ),
        (
            "the pod is unconfined",
            spec(json!({ "securityContext": own("Unconfined"), "containers": [bare("app")] })),
        ),
        (
            "a container has a Localhost profile",
            spec(json!({ "containers": [with("app", &local), bare("log")] })),
        ),
        (
            "the pod has a Localhost profile",
            spec(json!({ "securityContext": local, "containers": [bare("app")] })),
        ),
        (
            "a Windows pod",
            spec(json!({ "os": { "name": "windows" }, "containers": [bare("app")] })),
        ),
        ("a Linux pod", spec(json!({ "os": { "name": "linux" }, "containers": [bare("app")] }))),
        (
            "a privileged pod",
            spec(json!({ "containers": [with("app", &json!({ "privileged": true }))] })),
        ),
        (
            "a mirror pod",
            annotated(
                json!({ "kubernetes.io/config.mirror": "x" }),
                json!({ "nodeName": "node-a", "containers": [bare("app")] }),
            ),
        ),
        ("an annotation that agrees", annotated(json!({ legacy: "runtime/default" }), app())),
        ("an annotation that contradicts", annotated(json!({ legacy: "unconfined" }), app())),
        ("another annotation", annotated(json!({ "example.com/seccomp": "x" }), app())),
        ("labels of web", labelled(json!({ "app": "web" }))),
        ("one label", labelled(json!({ "app": "api" }))),
        ("labels of db", labelled(json!({ "app": "db", "tier": "", "team": "x" }))),
    ];
    pods.iter().map(|(name, object)| case(name, "restricted", object)).collect()
}

fn profile() -> impl Strategy<Value = Value> {
    let local = |path: &str| json!({ "type": "Localhost", "localhostProfile": path });
    prop_oneof![
        3 => Just(json!({ "type": "RuntimeDefault" })),
        1 => Just(local("web.json")),
        1 => Just(local("callgate/web.json")),
        1 => Just(local("it's \"ä\" \\n.json")),
    ]
}

const KEYS: [&str; 3] = ["app", "tier", "example.com/team"];
const VALUES: [&str; 4] = ["web", "db", "x", ""];

fn selector() -> impl Strategy<Value = Value> {
    let hostile = vec!["web", "db", "x", "", "it's", "' || true || '", "\\", "\n"];
    let labels = btree_map(select(KEYS.to_vec()), select(hostile.clone()), 0..2);
    let key = || select(KEYS.to_vec());
    let among = (key(), select(vec!["In", "NotIn"]), subsequence(hostile, 1..4)).prop_map(
        |(key, operator, values)| json!({ "key": key, "operator": operator, "values": values }),
    );
    let there = (key(), select(vec!["Exists", "DoesNotExist"]))
        .prop_map(|(key, operator)| json!({ "key": key, "operator": operator }));
    let expressions = vec(prop_oneof![2 => among, 1 => there], 0..3);
    (labels, expressions)
        .prop_map(|(labels, all)| json!({ "matchLabels": labels, "matchExpressions": all }))
}

fn exemption() -> impl Strategy<Value = Value> {
    let names = |all: Vec<&'static str>| option::weighted(0.5, subsequence(all, 1..3));
    let scope = (
        names(vec!["shop", "bank", "moon"]),
        names(vec!["spared", "log", "agent"]),
        names(vec!["app", "r.io/*", "*:debug", "r.io/*/b@*"]),
        any::<bool>(),
    );
    let rules = select(vec![vec!["unset"], vec!["privileged"], vec!["privileged", "unset"]]);
    (scope, rules).prop_map(|((namespaces, containers, images, account), rules)| {
        let mut scope = json!({});
        let lists = [("namespaces", namespaces), ("containers", containers), ("images", images)];
        for (key, list) in lists {
            if let Some(list) = list {
                scope[key] = json!(list);
            }
        }
        if scope == json!({}) {
            scope["containers"] = json!(["spared"]);
        }
        if account && scope.get("namespaces").is_some() {
            scope["serviceAccounts"] = json!(["default"]);
        }
        json!({ "reason": "r", "owner": "o", "rules": rules, "match": scope })
    })
}

fn spec() -> impl Strategy<Value = Value> {
    let binding = (selector(), profile())
        .prop_map(|(selector, profile)| json!({ "podSelector": selector, "profile": profile }));
    let level = select(vec!["Deny", "Deny", "Deny", "Deny", "Warn", "Audit", "Off"]);
    let placement = select(vec!["Check", "Check", "Ignore", "Pin"]);
    let exemptions = prop_oneof![2 => Just(Vec::new()), 1 => vec(exemption(), 1..3)];
    (option::weighted(0.8, profile()), vec(binding, 0..4), level, placement, exemptions).prop_map(
        |(default, bindings, level, placement, mut exemptions)| {
            for (at, it) in exemptions.iter_mut().enumerate() {
                it["name"] = json!(format!("e{at}"));
            }
            let mut spec = json!({
                "bindings": bindings, "placement": placement, "exemptions": exemptions,
                "rules": { "unset": level },
            });
            if let Some(default) = default {
                spec["default"] = default;
            }
            spec
        },
    )
}

/// A generated pod, with labels and images; often without any security context, since the API
/// server rejects many others.
fn pod() -> impl Strategy<Value = Value> {
    let labels = btree_map(select(KEYS.to_vec()), select(VALUES.to_vec()), 0..3);
    let images = vec(select(vec!["app", "r.io/a/b@sha256:0", "r.io/a:1", "x:debug", "y"]), 3);
    (generated::pod(), labels, images, any::<bool>(), any::<bool>()).prop_map(
        |(mut pod, labels, images, is_bare, is_annotated)| {
            pod["metadata"]["labels"] = json!(labels);
            let spec = pod["spec"].as_object_mut().expect("it has one");
            // The API server rejects them in a create.
            spec.remove("ephemeralContainers");
            if spec["containers"].as_array().is_none_or(Vec::is_empty) {
                spec["containers"] = json!([{ "name": "app", "image": "app" }]);
            }
            let containers = spec["containers"].as_array_mut().into_iter().flatten();
            for (container, image) in containers.zip(images) {
                container["image"] = json!(image);
                if is_bare {
                    container.as_object_mut().expect("an object").remove("securityContext");
                }
            }
            if is_bare {
                spec.remove("securityContext");
                spec.remove("affinity");
            }
            if !is_annotated && let Some(metadata) = pod["metadata"].as_object_mut() {
                metadata.remove("annotations");
            }
            pod
        },
    )
}

/// Generated policies, each with generated pods; the same each time.
pub(super) fn generated(policies: usize, pods: usize) -> Vec<Group> {
    let mut runner = TestRunner::deterministic();
    let modes = [Mode::Enforce, Mode::Enforce, Mode::Enforce, Mode::Enforce, Mode::Warn];
    let mut groups = Vec::new();
    for (number, mode) in (0..policies).zip(modes.into_iter().cycle()) {
        let spec = spec().new_tree(&mut runner).expect("policies can be generated").current();
        let cases = (0..pods).map(|_| {
            let pod = pod().new_tree(&mut runner).expect("pods can be generated").current();
            let mut case = case(&pod.to_string(), "generated", &pod);
            if mode == Mode::Warn {
                case.mode = Some(table::CaseMode::Warn);
            }
            case
        });
        groups.push(Group {
            name: format!("generated policy {number}, {spec}"),
            cases: cases.collect(),
            table: table_of("generated", &spec),
            policy: "generated".to_owned(),
            mode,
            is_largest: false,
            damage: |it| it,
        });
    }
    groups
}

/// As many bindings and exemptions as a cluster takes, and pods with many containers and
/// annotations. None of them is left for its cost.
pub(super) fn largest() -> Vec<Group> {
    let values = |at: usize| (0..20).map(|it| format!("v{at}-{it}")).collect::<Vec<_>>();
    let binding = |at: usize| {
        json!({
            "podSelector": { "matchLabels": { "tier": "back" }, "matchExpressions": [
                { "key": "app", "operator": "In", "values": values(at) },
                { "key": "team", "operator": "NotIn", "values": values(at) },
            ] },
            "profile": { "type": "Localhost", "localhostProfile": format!("{at}.json") },
        })
    };
    let exemption = |at: usize| {
        let images: Vec<_> = (0..8).map(|it| format!("r{at}.example.com/*/{it}@*")).collect();
        json!({
            "name": format!("e{at}"), "reason": "r", "owner": "o", "rules": ["unset"],
            "match": { "containers": values(at), "images": images },
        })
    };
    let spec = json!({
        "default": { "type": "RuntimeDefault" },
        "bindings": (0..256).map(binding).collect::<Vec<_>>(),
        "exemptions": (0..256).map(exemption).collect::<Vec<_>>(),
    });
    let bare = |name: String| json!({ "name": name, "image": "app" });
    let labelled = |app: &str| {
        json!({
            "metadata": { "labels": { "tier": "back", "app": app } },
            "spec": { "containers": [bare("app".to_owned())] },
        })
    };
    let mut many = labelled("v255-19");
    many["metadata"]["annotations"] =
        (0..1000).map(|it| (format!("example.com/a-{it}"), json!("x"))).collect();
    let own = json!({ "seccompProfile": { "type": "RuntimeDefault" } });
    let containers = (0..100).map(|it| {
        let mut container = bare(format!("c-{it}"));
        if it % 2 == 0 {
            container["securityContext"] = own.clone();
        }
        container
    });
    many["spec"]["containers"] = containers.collect();
    let pods = [
        ("of the first binding", labelled("v0-0")),
        ("of the hundredth", labelled("v99-3")),
        ("of the one after that", labelled("v100-3")),
        ("of the last binding", labelled("v255-19")),
        ("of none", labelled("other")),
        ("of many containers and annotations", many),
    ];
    let cases = pods.iter().map(|(name, pod)| case(name, "largest", pod));
    vec![Group {
        name: "the largest policy".to_owned(),
        cases: cases.collect(),
        table: table_of("largest", &spec),
        policy: "largest".to_owned(),
        mode: Mode::Enforce,
        is_largest: true,
        damage: |it| it,
    }]
}
