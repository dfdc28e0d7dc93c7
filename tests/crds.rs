//! The definitions of our types, beside those of the last release.

use std::{collections::BTreeSet, fs};

use rstest::rstest;
use serde_json::{Value, json};

fn definitions(path: &str) -> Vec<Value> {
    let text = fs::read_to_string(path).expect("there are definitions");
    serde_saphyr::from_multiple(&text).expect("they are YAML")
}

fn before() -> Vec<Value> {
    definitions("tests/crds/0.1.0.yaml")
}

fn now() -> Vec<Value> {
    definitions("manifests/crds/crds.yaml")
}

#[test]
fn the_version_before_can_read_what_this_one_stores() {
    assert_eq!(offences(&before(), &now()), Vec::<String>::new());
}

const POLICY: &str = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties";
const EXEMPTION: &str = "/exemptions/items/properties";

#[rstest]
#[case::a_field_is_gone(
    |spec: &mut Value| { remove(spec, "templates"); },
    &["seccomppolicies.callgate.dev v1alpha1: spec.templates is gone"]
)]
#[case::a_field_has_another_type(
    |spec: &mut Value| spec["templates"]["type"] = json!("boolean"),
    &["seccomppolicies.callgate.dev v1alpha1: spec.templates has another type"]
)]
#[case::a_value_is_gone(
    |spec: &mut Value| spec["placement"]["enum"] = json!(["Check", "Pin"]),
    &["seccomppolicies.callgate.dev v1alpha1: spec.placement has lost \"Ignore\""]
)]
#[case::a_field_of_a_list_is_gone(
    |spec: &mut Value| { remove(&mut spec["exemptions"]["items"]["properties"], "owner"); },
    &["seccomppolicies.callgate.dev v1alpha1: spec.exemptions[].owner is gone"]
)]
#[case::an_optional_field_is_demanded(
    |spec: &mut Value| spec["exemptions"]["items"]["required"]
        .as_array_mut()
        .expect("a list")
        .push(json!("expires")),
    &["seccomppolicies.callgate.dev v1alpha1: spec.exemptions[].expires is demanded"]
)]
#[case::a_new_field(|spec: &mut Value| spec["audit"] = json!({ "type": "string", "default": "x" }), &[])]
#[case::a_new_field_of_an_exemption(
    |spec: &mut Value| spec["exemptions"]["items"]["properties"]["nodes"] = json!({ "type": "string" }),
    &[]
)]
#[case::one_that_every_exemption_would_get(
    |spec: &mut Value| spec["exemptions"]["items"]["properties"]["match"]["properties"]["nodes"] =
        json!({ "type": "string", "default": "all" }),
    &["seccomppolicies.callgate.dev v1alpha1: spec.exemptions[].match.nodes has a default"]
)]
#[case::one_that_every_binding_would_get(
    |spec: &mut Value| spec["bindings"]["items"]["properties"]["order"] =
        json!({ "type": "integer", "default": 1 }),
    &["seccomppolicies.callgate.dev v1alpha1: spec.bindings[].order has a default"]
)]
fn what_the_version_before_could_not_read_is_found(
    #[case] change: fn(&mut Value),
    #[case] expected: &[&str],
) {
    let mut changed = before();
    let policies = changed.iter_mut().find(|it| it["spec"]["names"]["kind"] == "SeccompPolicy");
    let spec = policies.and_then(|it| it.pointer_mut(POLICY)).expect("it is defined");
    assert!(spec.pointer(EXEMPTION).is_some());
    change(spec);
    assert_eq!(offences(&before(), &changed), expected);
}

#[test]
fn a_new_field_is_optional() {
    let mut changed = before();
    let version = "/spec/versions/0/schema/openAPIV3Schema/properties/spec";
    let policies = changed.iter_mut().find(|it| it["spec"]["names"]["kind"] == "SeccompPolicy");
    let spec = policies.and_then(|it| it.pointer_mut(version)).expect("it is defined");
    spec["properties"]["audit"] = json!({ "type": "string" });
    spec["required"] = json!(["audit"]);
    let expected = ["seccomppolicies.callgate.dev v1alpha1: spec.audit is demanded"];
    assert_eq!(offences(&before(), &changed), expected);
}

fn remove(object: &mut Value, key: &str) {
    object.as_object_mut().and_then(|it| it.remove(key)).expect("it was there");
}

/// What a replica of the version before would stumble over.
fn offences(before: &[Value], now: &[Value]) -> Vec<String> {
    let mut found = Vec::new();
    for old in before {
        let name = text(&old["metadata"]["name"]);
        let Some(new) = now.iter().find(|it| it["metadata"]["name"] == name) else {
            found.push(format!("{name} is gone"));
            continue;
        };
        for old in list(&old["spec"]["versions"]) {
            let version = text(&old["name"]);
            let mut all = list(&new["spec"]["versions"]).iter();
            let Some(new) = all.find(|it| it["name"] == version && it["served"] == true) else {
                found.push(format!("{name} {version} is gone"));
                continue;
            };
            let schema = |it: &Value| it["schema"]["openAPIV3Schema"].clone();
            let mut lines = Vec::new();
            compare("", &schema(old), &schema(new), &mut lines);
            found.extend(lines.into_iter().map(|it| format!("{name} {version}: {it}")));
        }
    }
    found
}

fn compare(path: &str, old: &Value, new: &Value, found: &mut Vec<String>) {
    let name = path.trim_start_matches('.');
    for key in ["type", "format", "x-kubernetes-preserve-unknown-fields"] {
        if old[key] != new[key] {
            found.push(format!("{name} has another {key}"));
        }
    }
    for value in list(&old["enum"]) {
        if new["enum"].is_array() && !list(&new["enum"]).contains(value) {
            found.push(format!("{name} has lost {value}"));
        }
    }
    let names = |it: &Value| list(it).iter().map(text).collect::<BTreeSet<_>>();
    let demanded = names(&new["required"]);
    for field in demanded.difference(&names(&old["required"])) {
        found.push(format!("{name}.{field} is demanded").trim_start_matches('.').to_owned());
    }
    let fields = |it: &Value| it["properties"].as_object().cloned().unwrap_or_default();
    for (key, old) in fields(old) {
        match fields(new).get(&key) {
            Some(new) => compare(&format!("{path}.{key}"), &old, new, found),
            None => found.push(format!("{path}.{key} is gone").trim_start_matches('.').to_owned()),
        }
    }
    let narrows = ["spec.exemptions[]", "spec.bindings[]"].iter().any(|it| name.starts_with(it))
        && !name.ends_with(".profile");
    for (key, new) in fields(new) {
        if narrows && !fields(old).contains_key(&key) && !new["default"].is_null() {
            found.push(format!("{name}.{key} has a default"));
        }
    }
    for (key, place) in [("items", "[]"), ("additionalProperties", ".*")] {
        if old[key].is_object() {
            compare(&format!("{path}{place}"), &old[key], &new[key], found);
        }
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
