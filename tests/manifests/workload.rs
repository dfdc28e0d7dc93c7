//! The Deployment, and the objects that belong to it.

use std::time::Duration;

use callgate::{
    admission::Snapshot,
    cli::Cli,
    policy::{Builtin, Mode, PolicyIndex},
    profile::Catalog,
};
use clap::{ArgMatches, CommandFactory};
use serde_json::{Value, json};
use support::harness::{patch_of, post, router};

use crate::kustomize;

pub(crate) fn one<'a>(objects: &'a [Value], kind: &str, name: &str) -> &'a Value {
    let found = objects.iter().find(|it| it["kind"] == kind && it["metadata"]["name"] == name);
    found.unwrap_or_else(|| panic!("there is no {kind} {name}"))
}

fn deployment(objects: &[Value]) -> &Value {
    one(objects, "Deployment", "callgate")
}

/// The arguments of the container, as callgate itself parses them.
fn flags(deployment: &Value) -> ArgMatches {
    told(&deployment["spec"]["template"]["spec"]["containers"][0], "serve")
}

/// The arguments of a container, as that command of callgate parses them.
pub(crate) fn told(container: &Value, command: &str) -> ArgMatches {
    let words = ["command", "args"].map(|it| container[it].as_array().expect("a list"));
    let words = words.iter().flat_map(|it| it.iter()).map(|it| it.as_str().expect("a string"));
    let all = Cli::command().try_get_matches_from(words).unwrap_or_else(|it| panic!("{it}"));
    let (name, matches) = all.subcommand().expect("a command");
    assert_eq!(name, command);
    matches.clone()
}

/// The verdict on a pod of this template, under the strictest policy.
pub(crate) async fn judge(template: &Value, namespace: &str) -> (Value, Value) {
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": template["metadata"], "spec": template["spec"],
    });
    let review = json!({
        "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
        "request": {
            "uid": "u-1", "operation": "CREATE", "userInfo": {},
            "namespace": namespace, "name": "callgate",
            "kind": { "group": "", "version": "v1", "kind": "Pod" },
            "resource": { "group": "", "version": "v1", "resource": "pods" },
            "object": pod,
        },
    });
    let policy = Builtin::named("restricted").expect("it is built in").policy();
    let policies = PolicyIndex::of_one(policy, Mode::Enforce);
    let router = router(Snapshot::without_nodes(policies, Catalog::default()));
    let mutation = post(&router, "/mutate", review.to_string()).await.response();
    let validation = post(&router, "/validate", review.to_string()).await.response();
    (mutation, validation)
}

#[tokio::test]
async fn our_own_pods_comply_with_the_policy_restricted() {
    let Some(built) = kustomize::all() else { return };
    for (name, objects) in built.iter() {
        let template = &deployment(objects)["spec"]["template"];
        let (mutation, mut validation) = judge(template, "callgate-system").await;
        assert!(patch_of(&mutation).is_empty(), "{name}: {mutation}");
        validation.as_object_mut().expect("an object").remove("uid");
        let expected = json!({
            "allowed": true,
            "auditAnnotations": { "policy": "restricted", "mode": "enforce" },
        });
        assert_eq!(validation, expected, "{name}");
    }
}

#[test]
fn it_has_more_time_to_stop_than_it_takes() {
    let Some(built) = kustomize::all() else { return };
    for (name, objects) in built.iter() {
        let deployment = deployment(objects);
        let flags = flags(deployment);
        let time = |it: &str| *flags.get_one::<Duration>(it).expect("it has a default");
        let grace = &deployment["spec"]["template"]["spec"]["terminationGracePeriodSeconds"];
        let grace = Duration::from_secs(grace.as_u64().expect("seconds"));
        assert!(time("drain_delay") + time("drain_timeout") < grace, "{name}");
    }
}

#[test]
fn components_and_overlays_change_the_flags_that_they_announce() {
    let Some(built) = kustomize::all() else { return };
    let given = |objects: &[Value], it: &str| {
        let flags = flags(deployment(objects));
        let value = flags.get_raw(it)?.next()?.to_str()?;
        Some(value.to_owned())
    };
    assert_eq!(given(built.base(), "default_policy"), None);
    assert_eq!(given(built.base(), "tls_cert"), None);
    let everywhere = built.component("everywhere");
    assert_eq!(given(everywhere, "default_policy").as_deref(), Some("restricted"));
    assert_eq!(given(built.base(), "default_mode").as_deref(), Some("enforce"));
    assert_eq!(given(built.overlay("audit"), "default_mode").as_deref(), Some("audit"));
    assert_eq!(given(built.overlay("enforce"), "default_mode").as_deref(), Some("enforce"));
    let files = built.component("cert-manager");
    assert_eq!(deployment(files), deployment(built.component("tls-secret")));
    for flag in ["tls_cert", "tls_key"] {
        let file = given(files, flag).expect("it is given");
        let spec = &deployment(files)["spec"]["template"]["spec"];
        let mount = &spec["containers"][0]["volumeMounts"][0];
        let folder = mount["mountPath"].as_str().expect("a path");
        assert!(file.starts_with(&format!("{folder}/tls.")), "{file}");
        assert_eq!(mount["name"], spec["volumes"][0]["name"]);
        let secret = &spec["volumes"][0]["secret"]["secretName"];
        assert_eq!(*secret, one(files, "Certificate", "callgate-tls")["spec"]["secretName"]);
    }
}

/// The names of the Service, its ports, and the pods that it selects.
#[test]
fn names_ports_and_labels_of_the_objects_match() {
    let Some(built) = kustomize::all() else { return };
    for (name, objects) in built.iter() {
        let deployment = deployment(objects);
        let template = &deployment["spec"]["template"];
        let labels = &template["metadata"]["labels"];
        assert_eq!(deployment["spec"]["selector"]["matchLabels"], *labels, "{name}");
        let spec = &template["spec"];
        assert_eq!(spec["topologySpreadConstraints"][0]["labelSelector"]["matchLabels"], *labels);
        let container = &spec["containers"][0];
        let ports = container["ports"].as_array().expect("a list");
        let is_port = |it: &Value| ports.iter().any(|port| port["name"] == *it);
        let listens = |flag: &str| {
            *flags(deployment).get_one::<std::net::SocketAddr>(flag).expect("it has a default")
        };
        assert_eq!(ports[0]["containerPort"], listens("listen").port());
        assert_eq!(ports[1]["containerPort"], listens("admin_listen").port());
        for probe in ["readinessProbe", "livenessProbe"] {
            assert!(is_port(&container[probe]["httpGet"]["port"]), "{name}: {probe}");
        }
        let is_agents = |it: &&Value| it["metadata"]["name"] == "callgate-agent";
        for object in objects.iter().filter(|it| !is_agents(it)) {
            let (selector, ports) = match object["kind"].as_str().expect("a kind") {
                "Service" => (&object["spec"]["selector"], &object["spec"]["ports"]),
                "PodDisruptionBudget" => (&object["spec"]["selector"]["matchLabels"], &Value::Null),
                "NetworkPolicy" => {
                    let ports = &object["spec"]["ingress"][0]["ports"];
                    (&object["spec"]["podSelector"]["matchLabels"], ports)
                }
                _ => continue,
            };
            assert_eq!(selector, labels, "{name}: {}", object["kind"]);
            for port in ports.as_array().map(Vec::as_slice).unwrap_or_default() {
                assert!(is_port(port.get("targetPort").unwrap_or(&port["port"])), "{name}: {port}");
            }
        }
    }
}

#[test]
fn the_image_has_the_version_of_the_code() {
    let Some(built) = kustomize::all() else { return };
    let expected = concat!("callgate:", env!("CARGO_PKG_VERSION"));
    let image = |it| &deployment(it)["spec"]["template"]["spec"]["containers"][0]["image"];
    assert_eq!(image(built.base()), expected);
    assert_eq!(image(built.overlay("enforce")), expected);
    let agent = &one(built.component("agent"), "DaemonSet", "callgate-agent");
    for list in ["initContainers", "containers"] {
        assert_eq!(agent["spec"]["template"]["spec"][list][0]["image"], expected);
    }
}

#[test]
fn the_suite_deploys_the_production_manifests() {
    let Some(built) = kustomize::all() else { return };
    let plain = |objects: &[Value]| {
        let mut objects = objects.to_vec();
        let is_workload = |it: &&mut Value| it["kind"] == "Deployment" || it["kind"] == "DaemonSet";
        for object in objects.iter_mut().filter(is_workload) {
            object["spec"].as_object_mut().expect("an object").remove("replicas");
            let spec = &mut object["spec"]["template"]["spec"];
            spec["terminationGracePeriodSeconds"].take();
            for list in ["initContainers", "containers"] {
                for container in spec[list].as_array_mut().into_iter().flatten() {
                    container["image"].take();
                    container["args"].as_array_mut().expect("a list").retain(|it| !is_time(it));
                }
            }
        }
        objects
    };
    assert_eq!(plain(built.overlay("e2e")), plain(built.overlay("enforce")));
    assert_ne!(built.overlay("e2e"), built.overlay("enforce"));
}

fn is_time(word: &Value) -> bool {
    let flag = word.as_str().and_then(|it| it.strip_prefix("--")?.split('=').next());
    flag.is_some_and(|it| ["-delay", "-timeout", "-for"].iter().any(|end| it.ends_with(end)))
}
