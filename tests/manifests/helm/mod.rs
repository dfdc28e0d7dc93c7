//! The chart gives the objects of the manifests, and does with values what its README says.

mod effects;
mod refusals;
mod values;

use std::{collections::BTreeMap, env, fs, path::Path, process::Command, sync::OnceLock};

use serde_json::{Value, json};
use support::helm;

use crate::kustomize;

const CHART: &str = "charts/callgate";

/// What makes the chart complete: by default `helm install` makes the namespace, and CRDs are kept.
const COMPLETE: [&str; 2] = ["namespace.create=true", "crds.keep=false"];

/// The manifests of each folder, and the values that give them.
const EQUAL: [(&str, &[&str]); 15] = [
    (
        "all components",
        &[
            "certManager.enabled=true",
            DENIALS,
            "everywhere.enabled=true",
            IN_PROCESS,
            MONITORING,
            OPEN_REPORTS,
            WITNESS,
        ],
    ),
    ("base", &[WITHOUT_AGENT]),
    ("components/agent", &[]),
    ("components/cert-manager", &[WITHOUT_AGENT, "certManager.enabled=true"]),
    ("components/denials", &[WITHOUT_AGENT, DENIALS]),
    ("components/everywhere", &[WITHOUT_AGENT, "everywhere.enabled=true"]),
    ("components/evidence", &[WITHOUT_AGENT, EVIDENCE]),
    ("components/in-process", &[WITHOUT_AGENT, IN_PROCESS]),
    ("components/monitoring", &[WITHOUT_AGENT, MONITORING]),
    ("components/open-reports", &[WITHOUT_AGENT, OPEN_REPORTS]),
    ("components/tls-secret", &[WITHOUT_AGENT, "tlsSecret.enabled=true"]),
    // It changes the agent alone.
    ("components/witness", &[WITHOUT_AGENT, WITNESS]),
    ("overlays/audit", &["mode=audit", EVIDENCE]),
    ("overlays/e2e", &["-f", "tests/manifests/values/e2e.yaml"]),
    ("overlays/enforce", &[]),
];
const WITHOUT_AGENT: &str = "agent.enabled=false";
const EVIDENCE: &str = "evidence.enabled=true";
const OPEN_REPORTS: &str = "evidence.openReports=true";
const IN_PROCESS: &str = "inProcess.enabled=true";
const DENIALS: &str = "agent.denials=true";
const WITNESS: &str = "agent.witness=true";
const MONITORING: &str = "monitoring.serviceMonitor.enabled=true,\
    monitoring.prometheusRule.enabled=true,monitoring.dashboards.enabled=true";

/// Objects by kind, namespace and name.
type Objects = BTreeMap<[String; 3], Value>;

/// Helm 3 and 4; none where they have not been built yet, which `make test` does first.
fn programs() -> Option<&'static Path> {
    static PROGRAMS: OnceLock<Option<std::path::PathBuf>> = OnceLock::new();
    let programs = PROGRAMS.get_or_init(helm::programs);
    if programs.is_none() {
        kustomize::say("skipped: there is no Helm yet; e2e/helm/build makes it");
    }
    programs.as_deref()
}

/// Runs one of both.
fn run(version: &str, words: &[&str]) -> Result<String, String> {
    let program = programs().expect("callers have looked").join(version);
    let output = Command::new(program).args(words).output().expect("Helm starts");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("it writes text");
    let (said, complaints) = (text(output.stdout), text(output.stderr));
    if !output.status.success() {
        return Err(said + &complaints);
    }
    assert_eq!(complaints, "", "{version}: {words:?}");
    Ok(said)
}

/// The objects that the chart renders in this namespace; a value is set, an option is followed by its argument.
fn render(version: &str, namespace: &str, values: &[&str]) -> Objects {
    let mut words = vec!["template", "callgate", CHART, "--namespace", namespace];
    let mut rest = values.iter();
    while let Some(word) = rest.next() {
        if word.starts_with('-') {
            words.extend([word, rest.next().expect("an argument")]);
        } else {
            words.extend(["--set", word]);
        }
    }
    let text = run(version, &words).unwrap_or_else(|error| panic!("{version} {words:?}: {error}"));
    let all: Vec<Value> = serde_saphyr::from_multiple(&text).expect("Helm renders YAML");
    by_name(&all.into_iter().filter(|it| !it.is_null()).collect::<Vec<_>>())
}

fn by_name(objects: &[Value]) -> Objects {
    let mut named = Objects::new();
    for object in objects {
        let text = |it: &Value| it.as_str().unwrap_or_default().to_owned();
        let metadata = &object["metadata"];
        let name = [&object["kind"], &metadata["namespace"], &metadata["name"]].map(text);
        assert!(named.insert(name.clone(), object.clone()).is_none(), "{name:?} is there twice");
    }
    named
}

fn name(kind: &str, namespace: &str, name: &str) -> [String; 3] {
    [kind, namespace, name].map(str::to_owned)
}

/// Removes the Secret of the CA, the one object of the chart that the manifests lack: it is empty, and is there to
/// be deleted with the release.
fn without_secret(mut objects: Objects, namespace: &str) -> Objects {
    let secret = objects.remove(&name("Secret", namespace, "callgate-ca")).expect("a Secret");
    assert!(secret.get("data").is_none() && secret.get("stringData").is_none(), "{secret}");
    objects
}

#[track_caller]
fn assert_same(what: &str, chart: &Objects, manifests: &Objects) {
    let names = |it: &Objects| it.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(chart), names(manifests), "{what}");
    for (name, object) in chart {
        assert_eq!(*object, manifests[name], "{what}: {name:?}");
    }
}

#[test]
fn the_chart_renders_the_objects_of_every_overlay_and_component() {
    let (Some(built), Some(_)) = (kustomize::all(), programs()) else { return };
    let names: Vec<_> = built.iter().map(|(name, _)| name).collect();
    assert_eq!(names, EQUAL.map(|(name, _)| name), "each has values that render it");
    for (folder, manifests) in built.iter() {
        let (_, values) = EQUAL.iter().find(|(name, _)| *name == folder).expect("it has values");
        let values = [&COMPLETE[..], values].concat();
        for version in helm::VERSIONS {
            let mut chart = render(version, "callgate-system", &values);
            if !values.iter().any(|it| it.contains("certManager") || it.contains("tlsSecret")) {
                chart = without_secret(chart, "callgate-system");
            }
            assert_same(&format!("{version}, {folder}"), &chart, &by_name(manifests));
        }
    }
}

#[test]
fn by_default_the_namespace_is_left_to_helm_and_crds_are_kept() {
    let (Some(built), Some(_)) = (kustomize::all(), programs()) else { return };
    let mut expected = by_name(built.overlay("enforce"));
    expected.remove(&name("Namespace", "", "callgate-system")).expect("it has the namespace");
    for object in expected.values_mut().filter(|it| it["kind"] == "CustomResourceDefinition") {
        object["metadata"]["annotations"] = json!({ "helm.sh/resource-policy": "keep" });
    }
    for version in helm::VERSIONS {
        let chart = without_secret(render(version, "callgate-system", &[]), "callgate-system");
        assert_same(version, &chart, &expected);
    }
}

#[test]
fn in_another_namespace_the_chart_renders_what_kustomize_moves_there() {
    let Some(_) = programs() else { return };
    for component in ["everywhere", "cert-manager", "monitoring"] {
        let components = [component.to_owned()];
        let Some(moved) = kustomize::moved_to("elsewhere", &components) else { return };
        let folder = format!("components/{component}");
        let (_, values) = EQUAL.iter().find(|(name, _)| *name == folder).expect("it has values");
        let values = [&COMPLETE[..], values].concat();
        let mut chart = render("v4", "elsewhere", &values);
        let mut moved = by_name(&moved);
        match component {
            // kustomize does not know these names of our namespace.
            "cert-manager" => {
                let webhooks = chart.iter().filter(|(_, it)| it.get("webhooks").is_some());
                for (name, object) in webhooks {
                    let from = &object["metadata"]["annotations"]["cert-manager.io/inject-ca-from"];
                    assert_eq!(from, "elsewhere/callgate-tls");
                    moved.get_mut(name).expect("it is there")["metadata"]["annotations"]["cert-manager.io/inject-ca-from"] =
                        from.clone();
                }
                let name = name("Certificate", "elsewhere", "callgate-tls");
                let names = &chart[&name]["spec"]["dnsNames"];
                assert_eq!(*names, json!(["callgate.elsewhere.svc"]));
                moved.get_mut(&name).expect("it is there")["spec"]["dnsNames"] = names.clone();
            }
            _ => chart = without_secret(chart, "elsewhere"),
        }
        assert_same(component, &chart, &moved);
    }
}

#[test]
fn the_files_of_the_chart_are_copies_of_the_manifests() {
    let files = files(&Path::new(CHART).join("files"));
    assert!(files.len() > 8, "{files:?}");
    for file in files {
        let source = Path::new("manifests")
            .join(file.strip_prefix(format!("{CHART}/files")).expect("it is inside"));
        let text = fs::read_to_string(&source).expect("the manifest is there");
        if env::var_os("UPDATE").is_some() {
            fs::write(&file, &text).expect("the tree is writable");
        }
        let copy = fs::read_to_string(&file).expect("the copy is text");
        assert!(
            copy == text,
            "{source:?} has changed: `UPDATE=1 cargo test --test manifests` copies it"
        );
    }
}

fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(folder).expect("the tree is readable");
    let paths = entries.map(|it| it.expect("the tree is readable").path());
    paths.flat_map(|it| if it.is_dir() { files(&it) } else { vec![it] }).collect()
}

/// As a release has it.
#[test]
fn the_packed_chart_has_the_image_of_the_release_and_always_the_same_bytes() {
    let Some(_) = programs() else { return };
    let folder = tempfile::tempdir().expect("there is room for temporary files");
    let pack = |name: &str| {
        let path = folder.path().join(name);
        let mut pack = Command::new("release/chart");
        let output = pack.arg("registry.example.com/callgate").arg(&path).output();
        let output = output.expect("bash starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        path
    };
    let [first, second] = ["first.tgz", "second.tgz"].map(pack);
    let bytes = |path: &Path| fs::read(path).expect("it was written");
    assert!(bytes(&first) == bytes(&second), "the bytes differ");
    for version in helm::VERSIONS {
        let said = run(version, &["template", "callgate", first.to_str().expect("it is text")]);
        let said = said.unwrap_or_else(|error| panic!("{version}: {error}"));
        let image = concat!("image: registry.example.com/callgate:", env!("CARGO_PKG_VERSION"));
        assert!(said.contains(image), "{said}");
    }
}

#[test]
fn the_chart_has_the_version_of_the_program() {
    let text = fs::read_to_string(format!("{CHART}/Chart.yaml")).expect("there is a chart");
    let chart: Value = serde_saphyr::from_str(&text).expect("it is YAML");
    for field in ["version", "appVersion"] {
        assert_eq!(chart[field], env!("CARGO_PKG_VERSION"), "{field}");
    }
}
