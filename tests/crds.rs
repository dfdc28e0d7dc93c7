//! Compares our CRDs with those of the last release, and with the parser of policies.

use std::{collections::BTreeSet, fs};

use callgate::policy::{Policy, Stored};
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
fn the_previous_version_can_read_what_this_one_stores() {
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
fn a_change_that_the_previous_version_cannot_read_is_found(
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

/// What a replica of the previous version could not read.
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

/// A policy that has every field.
fn complete() -> Value {
    json!({
        "apiVersion": "callgate.dev/v1alpha1",
        "kind": "SeccompPolicy",
        "metadata": { "name": "complete" },
        "spec": {
            "default": { "type": "Localhost", "localhostProfile": "web.json" },
            "bindings": [{
                "podSelector": {
                    "matchLabels": { "app": "web" },
                    "matchExpressions": [{ "key": "tier", "operator": "In", "values": ["db"] }],
                },
                "profile": { "type": "Localhost", "localhostProfile": "db.json" },
            }],
            "placement": "Pin",
            "runtimeHandlers": ["runc"],
            "templates": "Deny",
            "rules": { "unset": "Warn" },
            "exemptions": [{
                "name": "agent",
                "reason": "dies under a filter",
                "owner": "sre@example.com",
                "expires": "2027-03-01",
                "rules": ["unset"],
                "match": {
                    "namespaces": ["shop"],
                    "serviceAccounts": ["agent"],
                    "containers": ["agent"],
                    "images": ["agent@*"],
                },
            }],
        },
    })
}

/// Fields of [`complete`] that are required because of another field; CEL rules say the same,
/// and for selectors the API server's own validation.
const REQUIRED_BY_ANOTHER: &[&str] = &[
    "/spec/bindings/0/podSelector/matchExpressions/0/values",
    "/spec/bindings/0/profile/localhostProfile",
    "/spec/default/localhostProfile",
    "/spec/exemptions/0/match/namespaces",
];

/// A value of [`complete`], by its pointer, and its schema.
struct Node {
    pointer: String,
    schema: Value,
    is_required: bool,
}

/// Every value below an object of which every field is there.
fn nodes(pointer: &str, schema: &Value, value: &Value, found: &mut Vec<Node>) {
    let mut visit = |key: &str, schema: &Value, is_required: bool| {
        let value = &value.pointer(&format!("/{key}"));
        let value = value.unwrap_or_else(|| panic!("`complete` lacks {pointer}/{key}"));
        let pointer = format!("{pointer}/{key}");
        found.push(Node { pointer: pointer.clone(), schema: schema.clone(), is_required });
        nodes(&pointer, schema, value, found);
    };
    for (key, property) in schema["properties"].as_object().into_iter().flatten() {
        visit(key, property, list(&schema["required"]).iter().any(|it| it == key));
    }
    if schema["items"].is_object() {
        visit("0", &schema["items"], false);
    }
    for key in value.as_object().into_iter().flatten().map(|it| it.0) {
        if schema["additionalProperties"].is_object() {
            visit(key, &schema["additionalProperties"], false);
        }
    }
}

fn nodes_of_policies() -> Vec<Node> {
    Policy::read(&complete()).expect("`complete` is a policy, so every field of it is read");
    let definitions = callgate::api::definitions();
    let policies = definitions.iter().find(|it| it["spec"]["names"]["kind"] == "SeccompPolicy");
    let schema = "/spec/versions/0/schema/openAPIV3Schema/properties/spec";
    let schema = policies.and_then(|it| it.pointer(schema)).expect("it is defined").clone();
    let mut found = Vec::new();
    nodes("/spec", &schema, &complete()["spec"], &mut found);
    found.push(Node { pointer: "/spec".to_owned(), schema, is_required: true });
    found
}

/// Why [`complete`] is not read with another value.
fn error_with(pointer: &str, value: Value) -> Option<String> {
    let mut policy = complete();
    *policy.pointer_mut(pointer).expect("it is there") = value;
    Policy::read(&policy).err().map(|it| it.to_string())
}

/// The names that serde expected, which it writes between backticks after the one that it found.
fn expected_names(error: &str) -> BTreeSet<String> {
    error.split('`').skip(1).step_by(2).skip(1).map(str::to_owned).collect()
}

#[test]
fn a_policy_has_the_fields_that_its_schema_has() {
    let stored = Stored::read(&complete()).expect("it is a policy");
    assert_eq!(stored.unknown, Vec::<String>::new(), "src/policy/stored.rs does not list these");
    let mut compared = 0;
    for Node { pointer, schema, .. } in nodes_of_policies() {
        let Some(fields) = schema["properties"].as_object() else { continue };
        let fields: BTreeSet<_> = fields.keys().cloned().collect();
        let mut value = complete().pointer(&pointer).expect("it is there").clone();
        value["unknown"] = json!(true);
        let error = error_with(&pointer, value).expect("no unknown field is read");
        assert_eq!(expected_names(&error), fields, "{pointer}: what is read, and the schema");
        compared += fields.len();
    }
    assert!(compared > 20, "only {compared}");
}

#[test]
fn a_field_of_a_policy_takes_what_its_schema_takes() {
    for Node { pointer, schema, .. } in nodes_of_policies() {
        let kind = text(&schema["type"]);
        let there = complete().pointer(&pointer).expect("it is there").clone();
        let (has_kind, other) = match kind.as_str() {
            "string" => (there.is_string(), json!(7)),
            "integer" => (there.is_i64(), json!("seven")),
            "boolean" => (there.is_boolean(), json!("true")),
            "array" => (there.is_array(), json!(7)),
            "object" => (there.is_object(), json!(7)),
            _ => panic!("{pointer}: a test for {kind:?} is missing"),
        };
        assert!(has_kind, "{pointer}: the schema takes {kind}, and {there} is read");
        assert!(error_with(&pointer, other).is_some(), "{pointer}: read is not only {kind}");
        let takes_null = error_with(&pointer, Value::Null).is_none();
        if !REQUIRED_BY_ANOTHER.contains(&pointer.as_str()) {
            assert_eq!(takes_null, schema["nullable"] == true, "{pointer}: null");
        }
        if schema["enum"].is_array() {
            let values: BTreeSet<_> = list(&schema["enum"]).iter().map(text).collect();
            let error = error_with(&pointer, json!("Unknown")).expect("it is no value");
            assert_eq!(expected_names(&error), values, "{pointer}: what is read, and the schema");
        }
    }
}

#[test]
fn a_field_of_a_policy_is_required_where_its_schema_says_so() {
    for Node { pointer, is_required, .. } in nodes_of_policies() {
        let (parent, key) = pointer.rsplit_once('/').expect("it is a pointer");
        let mut policy = complete();
        let parent = policy.pointer_mut(parent).expect("it is there");
        let Some(object) = parent.as_object_mut() else { continue };
        object.remove(key).expect("it was there");
        let is_required = is_required || REQUIRED_BY_ANOTHER.contains(&pointer.as_str());
        assert_eq!(Policy::read(&policy).is_err(), is_required, "{pointer}");
    }
}

/// The reference is generated (docs/api.md); this page says what a field leads to.
#[test]
fn the_docs_describe_every_field_of_a_policy() {
    let page = fs::read_to_string("docs/policy.md").expect("it is there");
    for Node { pointer, .. } in nodes_of_policies() {
        let details = ["default/", "profile/", "podSelector/", "rules/"];
        let is_item = pointer.ends_with("/0") || pointer == "/spec";
        if is_item || details.iter().any(|it| pointer.contains(it)) {
            continue;
        }
        let name = pointer.trim_start_matches('/').replace("/0/", "[].").replace('/', ".");
        let name = name.strip_prefix("spec.exemptions[].").unwrap_or(&name);
        let starts = [format!("| `{name}` |"), format!("| `{name}[]` |")];
        let is_described = page.lines().any(|line| starts.iter().any(|it| line.starts_with(it)));
        assert!(is_described, "docs/policy.md has no row for {pointer}");
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
