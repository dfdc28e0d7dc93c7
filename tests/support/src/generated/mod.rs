//! Generated pods.

pub mod manifests;
pub mod nodes;

use proptest::{collection::vec, option, prelude::*, sample::select};
use serde_json::{Value, json};

fn profile() -> impl Strategy<Value = Value> {
    prop_oneof![
        4 => Just(json!({ "type": "RuntimeDefault" })),
        2 => Just(json!({ "type": "Unconfined" })),
        3 => select(vec!["web.json", "callgate/web.json", "callgate/db.json", "hollow.json", "wep.json", "", ".", "../x", "a//b", "ä.json"])
            .prop_map(|it| json!({ "type": "Localhost", "localhostProfile": it })),
        1 => Just(json!({ "type": "Localhost" })),
        1 => Just(json!({ "type": "OCI" })),
        1 => Just(json!({})),
        1 => Just(json!({ "type": null })),
        1 => Just(json!({ "type": "Unconfined", "localhostProfile": "x.json" })),
        2 => Just(Value::Null),
    ]
}

/// A security context, or none; and what else may stand in it.
fn context() -> impl Strategy<Value = Value> {
    let object = (option::of(profile()), option::of(any::<bool>()), any::<bool>()).prop_map(
        |(profile, privileged, user)| {
            let mut context = json!({});
            if let Some(profile) = profile {
                context["seccompProfile"] = profile;
            }
            if let Some(privileged) = privileged {
                context["privileged"] = json!(privileged);
            }
            if user {
                context["runAsUser"] = json!(1000);
            }
            context
        },
    );
    prop_oneof![3 => object, 1 => Just(Value::Null), 2 => Just(json!({}))]
}

fn containers(names: &'static [&'static str]) -> impl Strategy<Value = Value> {
    vec((option::of(context()), any::<bool>()), 0..=names.len()).prop_map(move |contexts| {
        let containers = contexts.into_iter().zip(names).map(|((context, port), name)| {
            let mut container = json!({ "name": name, "image": "app" });
            if let Some(context) = context {
                container["securityContext"] = context;
            }
            if port {
                container["ports"] = json!([{ "containerPort": 80 }]);
            }
            container
        });
        Value::Array(containers.collect())
    })
}

fn annotations() -> impl Strategy<Value = Value> {
    let keys = select(vec![
        "seccomp.security.alpha.kubernetes.io/pod",
        "container.seccomp.security.alpha.kubernetes.io/app",
        "container.seccomp.security.alpha.kubernetes.io/spared",
        "container.seccomp.security.alpha.kubernetes.io/a~b",
        "example.com/a~1b",
    ]);
    let values = select(vec![
        "runtime/default",
        "docker/default",
        "unconfined",
        "localhost/web.json",
        "localhost/x",
        "",
    ]);
    proptest::collection::btree_map(keys, values, 0..4).prop_map(|it| json!(it))
}

/// What is required of a node, here of one that callgate may have labelled.
fn requirement() -> impl Strategy<Value = Value> {
    let keys = select(vec!["disk", "zone", "profile.callgate.dev/web", "profile.callgate.dev/db"]);
    prop_oneof![
        (keys.clone(), select(vec!["Exists", "DoesNotExist"]))
            .prop_map(|(key, operator)| json!({ "key": key, "operator": operator })),
        (keys, select(vec!["In", "NotIn"]), select(vec!["a", "b"])).prop_map(
            |(key, operator, value)| json!({ "key": key, "operator": operator, "values": [value] })
        ),
    ]
}

fn term() -> impl Strategy<Value = Value> {
    let field = json!([{ "key": "metadata.name", "operator": "In", "values": ["node-a"] }]);
    let fields = prop_oneof![3 => Just(None), 1 => Just(Some(json!([]))), 2 => Just(Some(field))];
    (option::of(vec(requirement(), 0..3)), fields).prop_map(|(expressions, fields)| {
        let mut term = json!({});
        if let Some(expressions) = expressions {
            term["matchExpressions"] = json!(expressions);
        }
        if let Some(fields) = fields {
            term["matchFields"] = fields;
        }
        term
    })
}

/// An affinity, with as much or as little in it as there can be.
pub fn affinity() -> impl Strategy<Value = Value> {
    let required = prop_oneof![
        1 => Just(Value::Null),
        1 => Just(json!({})),
        6 => vec(term(), 0..4).prop_map(|it| json!({ "nodeSelectorTerms": it })),
    ];
    let preferred = json!([{ "weight": 1, "preference": {
        "matchExpressions": [{ "key": "disk", "operator": "Exists" }],
    } }]);
    let of_nodes = (option::of(required), any::<bool>()).prop_map(move |(required, prefers)| {
        let mut affinity = json!({});
        if let Some(required) = required {
            affinity["requiredDuringSchedulingIgnoredDuringExecution"] = required;
        }
        if prefers {
            affinity["preferredDuringSchedulingIgnoredDuringExecution"] = preferred.clone();
        }
        affinity
    });
    let of_nodes = prop_oneof![1 => Just(Value::Null), 6 => of_nodes];
    let affinity = (option::of(of_nodes), any::<bool>()).prop_map(|(of_nodes, of_pods)| {
        let mut affinity = json!({});
        if let Some(of_nodes) = of_nodes {
            affinity["nodeAffinity"] = of_nodes;
        }
        if of_pods {
            affinity["podAffinity"] = json!({});
        }
        affinity
    });
    prop_oneof![1 => Just(Value::Null), 6 => affinity]
}

/// A pod with anything that matters to seccomp, right or wrong.
pub fn pod() -> impl Strategy<Value = Value> {
    let lists = (
        option::of(containers(&["setup", "mesh"])),
        containers(&["app", "log", "spared"]),
        option::of(containers(&["debug"])),
    );
    let rest = (option::of(context()), option::of(annotations()), any::<bool>(), 0..10_u8);
    let place = (option::of(affinity()), 0..10_u8, select(vec!["", "", "", "fast", "gvisor"]));
    (lists, rest, place).prop_map(
        |((init, main, debug), (context, annotations, web, os), place)| {
            let mut pod = json!({ "metadata": { "name": "web" }, "spec": { "containers": main } });
            let fields = [
                ("initContainers", init),
                ("ephemeralContainers", debug),
                ("securityContext", context),
            ];
            for (field, value) in fields {
                if let Some(mut value) = value {
                    // A pod has no `privileged` (S11).
                    if let Some(context) = value.as_object_mut() {
                        context.remove("privileged");
                    }
                    pod["spec"][field] = value;
                }
            }
            if let Some(annotations) = annotations {
                pod["metadata"]["annotations"] = annotations;
            }
            if web {
                pod["metadata"]["labels"] = json!({ "app": "web" });
            }
            let (affinity, bound, class) = place;
            if let Some(affinity) = affinity {
                pod["spec"]["affinity"] = affinity;
            }
            if bound < 2 {
                pod["spec"]["nodeName"] = json!(["", "node-a"][usize::from(bound)]);
            }
            if !class.is_empty() {
                pod["spec"]["runtimeClassName"] = json!(class);
            }
            if os == 0 {
                pod["spec"]["os"] = json!({ "name": "windows" });
            }
            pod
        },
    )
}
