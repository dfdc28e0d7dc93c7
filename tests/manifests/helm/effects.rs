//! What values do.

use std::{collections::BTreeMap, fs, path::PathBuf};

use serde_json::{Value, json};
use support::helm;

use super::{CHART, Objects, name, programs, render, run, values};

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The files of values, by name.
fn files() -> BTreeMap<String, Value> {
    let entries = fs::read_dir("tests/manifests/values").expect("the tree is readable");
    let paths = entries.map(|it| it.expect("the tree is readable").path());
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).expect("values are text");
        let values =
            serde_saphyr::from_str(&text).unwrap_or_else(|it| panic!("{}: {it}", path.display()));
        (path.file_stem().expect("it has a name").to_string_lossy().into_owned(), values)
    };
    let files: BTreeMap<_, _> = paths.map(read).collect();
    assert!(files.len() > 4, "{:?}", files.keys());
    files
}

fn render_file(version: &str, name: &str) -> Objects {
    let path = helm::values(name);
    render(version, "callgate-system", &["-f", path.to_str().expect("it is text")])
}

#[test]
fn helm_accepts_the_chart_with_every_file_of_values() {
    let Some(_) = programs() else { return };
    for file in files().keys() {
        let path = helm::values(file);
        let path = path.to_str().expect("it is text");
        for version in helm::VERSIONS {
            let said = run(version, &["lint", "--strict", CHART, "-f", path]);
            let said = said.unwrap_or_else(|error| panic!("{version}, {file}: {error}"));
            assert!(said.contains("1 chart(s) linted, 0 chart(s) failed"), "{said}");
        }
        assert_eq!(render_file("v3", file), render_file("v4", file), "{file}");
    }
}

/// Without a value of a file, the output of that file is another one.
#[test]
fn every_value_has_an_effect_in_one_of_the_files() {
    let Some(_) = programs() else { return };
    let folder = tempfile::tempdir().expect("there is room for temporary files");
    let path = folder.path().join("values.yaml");
    let files = files();
    let render_without = |file: &Value, pointer: &str| {
        let mut less = file.clone();
        if !remove(&mut less, pointer) {
            return None;
        }
        fs::write(&path, less.to_string()).expect("it is ours");
        Some(render("v4", "callgate-system", &["-f", path.to_str().expect("it is text")]))
    };
    let rendered: Vec<_> = files.keys().map(|it| render_file("v4", it)).collect();
    for value in values::all() {
        let pointer = format!("/{}", value.path.replace('.', "/"));
        let mut tried = files.values().zip(&rendered);
        let differs = tried.any(|(file, with)| {
            // Each object with the whole values, where the tag has no effect beside a digest.
            render_without(file, &pointer).is_some_and(|without| without != *with)
        });
        assert!(differs, "no file of tests/manifests/values shows what {} does", value.path);
    }
}

/// Removes the value; whether it was there.
fn remove(values: &mut Value, pointer: &str) -> bool {
    let (parent, key) = pointer.rsplit_once('/').expect("it begins with one");
    let parent = values.pointer_mut(parent).and_then(Value::as_object_mut);
    parent.is_some_and(|it| it.remove(key).is_some())
}

fn pod<'a>(objects: &'a Objects, kind: &str, namespace: &str, called: &str) -> &'a Value {
    &objects[&name(kind, namespace, called)]["spec"]["template"]["spec"]
}

#[test]
fn an_image_is_named_by_registry_repository_and_tag_or_digest() {
    let Some(_) = programs() else { return };
    let digest = format!("sha256:{}", "0".repeat(64));
    let digest = format!("image.digest={digest}");
    for (values, expected) in [
        (&[][..], format!("callgate:{VERSION}")),
        (
            &["image.repository=localhost/callgate", "image.tag=e2e"],
            "localhost/callgate:e2e".into(),
        ),
        (&["global.imageRegistry=r.example.com/a/"], format!("r.example.com/a/callgate:{VERSION}")),
        (&["image.tag=e2e", &digest], format!("callgate@sha256:{}", "0".repeat(64))),
    ] {
        let objects = render("v4", "callgate-system", values);
        let replica = pod(&objects, "Deployment", "callgate-system", "callgate");
        let agent = pod(&objects, "DaemonSet", "callgate-agent", "callgate-agent");
        for containers in [&replica["containers"], &agent["initContainers"], &agent["containers"]] {
            assert_eq!(containers[0]["image"], expected, "{values:?}");
        }
    }
}

#[test]
fn pull_secrets_and_the_pull_policy_are_those_of_every_pod() {
    let Some(_) = programs() else { return };
    let objects = render_file("v4", "everything");
    let replica = pod(&objects, "Deployment", "callgate-system", "callgate");
    let agent = pod(&objects, "DaemonSet", "callgate-nodes", "callgate-agent");
    for pod in [replica, agent] {
        assert_eq!(pod["imagePullSecrets"], json!([{ "name": "pull" }, { "name": "other" }]));
        assert_eq!(pod["containers"][0]["imagePullPolicy"], "Always");
    }
    assert_eq!(agent["initContainers"][0]["imagePullPolicy"], "Always");
}

#[test]
fn every_object_has_the_common_labels_and_annotations() {
    let Some(_) = programs() else { return };
    let objects = render_file("v4", "everything");
    assert!(objects.len() > 30, "{:?}", objects.keys());
    for (name, object) in objects.iter().filter(|(name, _)| name[0] != "ConfigMap") {
        let metadata = &object["metadata"];
        assert_eq!(metadata["labels"]["owner"], "security", "{name:?}");
        assert_eq!(
            metadata["annotations"]["example.com/contact"], "security@example.com",
            "{name:?}"
        );
    }
    // Pods have their own, so that a label for all objects restarts none.
    for pod in ["Deployment", "DaemonSet"] {
        let object = objects.iter().find(|(name, _)| name[0] == pod).expect("it is there").1;
        let metadata = &object["spec"]["template"]["metadata"];
        assert_eq!(metadata["labels"]["team"], "platform");
        assert_eq!(metadata["labels"].get("owner"), None);
        assert_eq!(metadata["annotations"], json!({ "example.com/scrape": "true" }));
    }
}

#[test]
fn conditions_of_a_webhook_are_added_to_ours() {
    let Some(_) = programs() else { return };
    let objects = render_file("v4", "everything");
    let validating = &objects[&name("ValidatingWebhookConfiguration", "", "callgate")]["webhooks"];
    let mutating = &objects[&name("MutatingWebhookConfiguration", "", "callgate")]["webhooks"];
    let names = |webhook: &Value| {
        let conditions = webhook["matchConditions"].as_array().expect("a list");
        conditions
            .iter()
            .map(|it| it["name"].as_str().expect("a name").to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(names(&mutating[0]), ["something-to-fix", "not-robots"]);
    assert_eq!(
        names(&validating[0]),
        ["no-update-or-new-images", "something-to-judge", "not-robots"]
    );
    assert_eq!(names(&validating[1]), ["not-robots"]);
    assert_eq!(names(&validating[2]), ["something-of-ours", "not-robots"]);
    let left_out = json!({
        "key": "kubernetes.io/metadata.name", "operator": "NotIn",
        "values": ["calico-system", "callgate-system", "kube-node-lease", "kube-public", "kube-system"],
    });
    let teams = json!({ "key": "team", "operator": "In", "values": ["a", "b"] });
    for webhook in [&mutating[0], &validating[0]] {
        assert_eq!(webhook["namespaceSelector"]["matchExpressions"], json!([left_out, teams]));
    }
    let of_namespaces = json!([{ "key": "team", "operator": "DoesNotExist" }]);
    assert_eq!(validating[2]["namespaceSelector"]["matchExpressions"], of_namespaces);
    let all = mutating.as_array().into_iter().chain(validating.as_array()).flatten();
    let told: Vec<_> = all
        .map(|it| {
            (
                it["timeoutSeconds"].clone(),
                it["failurePolicy"].clone(),
                it["clientConfig"]["caBundle"].clone(),
            )
        })
        .collect();
    assert_eq!(told, [2, 3, 4, 6].map(|it| (json!(it), json!("Fail"), json!("LS0tLS1CRUdJTg=="))));
}

/// `global` is the only map that takes what the chart does not know: a parent chart shares it.
#[test]
fn a_parent_chart_may_set_further_globals() {
    let Some(_) = programs() else { return };
    render("v4", "callgate-system", &["global.storageClass=fast"]);
}
