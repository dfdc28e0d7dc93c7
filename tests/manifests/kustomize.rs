//! The output of `kubectl kustomize` for the manifests, by the kubectl of e2e/cluster; no cluster is needed.

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use serde_json::{Value, json};

/// The objects of everything that can be installed, by overlay or component.
#[derive(Debug)]
pub(crate) struct Built(BTreeMap<String, Vec<Value>>);

/// Everything, built once; none where the programs of the cluster have not been
/// built yet, which `make test` does first.
pub(crate) fn all() -> Option<&'static Built> {
    static BUILT: OnceLock<Option<Built>> = OnceLock::new();
    let built = BUILT.get_or_init(|| kubectl().map(|it| Built::by(&it)));
    if built.is_none() {
        say("skipped: there is no kubectl yet; e2e/cluster/build makes it");
    }
    built.as_ref()
}

/// The base with these components, moved to another namespace as kustomize does it.
pub(crate) fn moved_to(namespace: &str, components: &[String]) -> Option<Vec<Value>> {
    Some(build_by(&kubectl()?, json!({ "namespace": namespace }), components))
}

/// The webhooks of a configuration; of other objects, none.
pub(crate) fn webhooks(object: &Value) -> &[Value] {
    object["webhooks"].as_array().map(Vec::as_slice).unwrap_or_default()
}

impl Built {
    fn by(kubectl: &Path) -> Self {
        let mut built = BTreeMap::from([("base".to_owned(), build(kubectl, "manifests/base"))]);
        for overlay in folders("manifests/overlays") {
            built.insert(format!("overlays/{overlay}"), {
                build(kubectl, &format!("manifests/overlays/{overlay}"))
            });
        }
        let components = folders("manifests/components");
        for component in &components {
            let objects = build_with(kubectl, std::slice::from_ref(component));
            built.insert(format!("components/{component}"), objects);
        }
        // Others bring these.
        let brought = ["tls-secret", "evidence"];
        let mut all: Vec<_> =
            components.into_iter().filter(|it| !brought.contains(&it.as_str())).collect();
        // It changes what another one brings.
        all.sort_by_key(|it| it == "everywhere");
        built.insert("all components".to_owned(), build_with(kubectl, &all));
        assert!(built.len() > 7, "{:?}", built.keys());
        Self(built)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &[Value])> {
        self.0.iter().map(|(name, objects)| (name.as_str(), objects.as_slice()))
    }

    pub(crate) fn base(&self) -> &[Value] {
        &self.0["base"]
    }

    pub(crate) fn overlay(&self, name: &str) -> &[Value] {
        &self.0[&format!("overlays/{name}")]
    }

    /// The base with that component.
    pub(crate) fn component(&self, name: &str) -> &[Value] {
        &self.0[&format!("components/{name}")]
    }
}

/// Any that was ever built will do.
fn kubectl() -> Option<PathBuf> {
    let folder = |name: &str| env::var_os(name).map(PathBuf::from);
    let cache = folder("CALLGATE_CACHE")
        .or_else(|| Some(folder("XDG_CACHE_HOME")?.join("callgate")))
        .or_else(|| Some(folder("HOME")?.join(".cache/callgate")))?;
    let versions = fs::read_dir(cache.join("cluster")).ok()?.filter_map(Result::ok);
    versions.map(|it| it.path().join("kubectl")).find(|it| it.exists())
}

fn build(kubectl: &Path, folder: &str) -> Vec<Value> {
    let output = Command::new(kubectl).arg("kustomize").arg(folder).output();
    let output = output.expect("kubectl starts");
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && words.is_empty(), "{folder}: {words}");
    let text = String::from_utf8(output.stdout).expect("manifests are text");
    serde_saphyr::from_multiple(&text).unwrap_or_else(|error| panic!("{folder}: {error}"))
}

/// Builds a kustomization of the base with these components.
fn build_with(kubectl: &Path, components: &[String]) -> Vec<Value> {
    build_by(kubectl, json!({}), components)
}

/// The same with further lines.
fn build_by(kubectl: &Path, mut wish: Value, components: &[String]) -> Vec<Value> {
    let directory = tempfile::tempdir().expect("there is room for temporary files");
    let own = directory.path().canonicalize().expect("it is there");
    // kustomize takes relative paths alone.
    let root = "../".repeat(own.components().count() - 1);
    let manifests = format!("{}{}/manifests", &root[..root.len() - 1], env!("CARGO_MANIFEST_DIR"));
    let components = components.iter().map(|it| format!("{manifests}/components/{it}"));
    wish["resources"] = json!([format!("{manifests}/base")]);
    wish["components"] = components.collect();
    fs::write(own.join("kustomization.yaml"), wish.to_string()).expect("it is ours");
    build(kubectl, &own.to_string_lossy())
}

fn folders(of: &str) -> Vec<String> {
    let entries = fs::read_dir(of).expect("the tree is readable");
    let names = entries.map(|it| it.expect("the tree is readable").file_name());
    let mut names: Vec<_> = names.map(|it| it.to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[expect(clippy::print_stderr, reason = "a test reports")]
pub(crate) fn say(text: &str) {
    eprintln!("{text}");
}
