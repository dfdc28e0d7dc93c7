//! The files of this tree that are applied to a cluster.

use std::{collections::BTreeMap, fs};

use serde_json::Value;

use super::api::Api;
use crate::wait::eventually;

/// The profiles of `profiles/`, by path.
pub fn profiles() -> BTreeMap<String, String> {
    let entries = fs::read_dir("profiles").expect("the tree has profiles");
    entries
        .map(|it| it.expect("the tree is readable"))
        .map(|it| {
            let name = it.file_name().to_string_lossy().into_owned();
            (name, fs::read_to_string(it.path()).expect("profiles are text"))
        })
        .collect()
}

/// The documents of a file in manifests/base.
pub fn manifests(name: &str) -> Vec<Value> {
    let path = format!("manifests/base/{name}.yaml");
    let text = fs::read_to_string(&path).expect("the manifest is there");
    serde_saphyr::from_multiple(&text).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Where the API server has an object: plurals as English makes them.
pub fn path_of(object: &Value) -> String {
    let text = |it: &Value| it.as_str().expect("a string").to_owned();
    let version = text(&object["apiVersion"]);
    let root = if version.contains('/') { "/apis" } else { "/api" };
    let place = match object["metadata"].get("namespace") {
        Some(namespace) => format!("/namespaces/{}", text(namespace)),
        None => String::new(),
    };
    let kind = text(&object["kind"]).to_lowercase();
    let plural = match kind.strip_suffix('y') {
        Some(it) => format!("{it}ies"),
        None if kind.ends_with('s') => kind,
        None => format!("{kind}s"),
    };
    format!("{root}/{version}{place}/{plural}/{}", text(&object["metadata"]["name"]))
}

/// Installs our types, and waits until they are served.
pub async fn define(api: &Api) {
    for definition in manifests("../crds/crds") {
        let name = definition["metadata"]["name"].as_str().expect("it has a name").to_owned();
        let path = format!("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{name}");
        api.apply(&path, &definition).await.expect_ok("the definition");
        let plural = definition["spec"]["names"]["plural"].as_str().expect("it has a plural");
        let list = format!("/apis/callgate.dev/v1alpha1/{plural}");
        eventually("the type is served", async || api.get(&list).await.is_ok().then_some(())).await;
    }
}
