//! Pods that nobody thought of.

pub(crate) mod nodes;

use proptest::{collection::vec, option, prelude::*, sample::select};
use serde_json::{Value, json};

fn profile() -> impl Strategy<Value = Value> {
    prop_oneof![
        4 => Just(json!({ "type": "RuntimeDefault" })),
        2 => Just(json!({ "type": "Unconfined" })),
        3 => select(vec!["web.json", "hollow.json", "wep.json", "", ".", "../x", "a//b", "ä.json"])
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

/// A pod with anything that matters to seccomp, right or wrong.
pub(crate) fn pod() -> impl Strategy<Value = Value> {
    let lists = (
        option::of(containers(&["setup", "mesh"])),
        containers(&["app", "log", "spared"]),
        option::of(containers(&["debug"])),
    );
    let rest = (option::of(context()), option::of(annotations()), any::<bool>(), 0..10_u8);
    (lists, rest).prop_map(|((init, main, debug), (context, annotations, web, os))| {
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
        if os == 0 {
            pod["spec"]["os"] = json!({ "name": "windows" });
        }
        pod
    })
}
