//! The JSON Schemas of our objects, which editors use: they are current, and agree with callgate on what is a mistake.

use std::{env, fs, process::Command};

use callgate::api;
use jsonschema::Validator;
use rstest::rstest;
use serde_json::{Value, json};

fn schema_of(kind: &str) -> Value {
    let definitions = api::definitions();
    let definition = definitions.iter().find(|it| it["spec"]["names"]["kind"] == kind);
    definition.and_then(api::json_schema).expect("it is defined")
}

fn validator_of(kind: &str) -> Validator {
    jsonschema::draft7::new(&schema_of(kind)).expect("a schema of draft 7")
}

/// `PATH: MESSAGE` of each mistake.
fn mistakes(object: &Value) -> Vec<String> {
    let kind = object["kind"].as_str().expect("a kind");
    let errors = validator_of(kind);
    errors.iter_errors(object).map(|it| format!("{}: {it}", it.instance_path())).collect()
}

#[rstest]
fn they_are_generated_from_the_code(
    #[values("SeccompNode", "SeccompPolicy", "SeccompProfile")] kind: &str,
) {
    let path = format!("manifests/crds/schemas/{}_v1alpha1.json", kind.to_lowercase());
    let program =
        Command::new(env!("CARGO_BIN_EXE_callgate")).args(["crds", "--json-schema", kind]).output();
    let generated = String::from_utf8(program.expect("it starts").stdout).expect("JSON is text");
    assert_eq!(serde_json::from_str::<Value>(&generated).expect("it is JSON"), schema_of(kind));
    if env::var_os("UPDATE").is_some() {
        fs::write(&path, &generated).expect("the tree is writable");
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == generated,
        "{path} is out of date, `UPDATE=1 cargo test --test manifests` writes it"
    );
}

#[rstest]
fn they_accept_our_examples(#[files("examples/*.yaml")] file: std::path::PathBuf) {
    let text = fs::read_to_string(&file).expect("a file");
    for object in serde_saphyr::from_multiple::<Value>(&text).expect("YAML") {
        if object["apiVersion"] == callgate::group::API_VERSION {
            assert_eq!(mistakes(&object), Vec::<String>::new());
        }
    }
}

fn policy(spec: &Value) -> Value {
    json!({ "apiVersion": "callgate.dev/v1alpha1", "kind": "SeccompPolicy", "metadata": { "name": "shop" }, "spec": spec })
}

#[rstest]
#[case::a_misspelt_field(
    policy(&json!({ "exemption": [] })),
    "/spec: Additional properties are not allowed ('exemption' was unexpected)"
)]
#[case::a_level(
    policy(&json!({ "rules": { "privileged": "deny" } })),
    "/spec/rules/privileged: \"deny\" is not one of \"Deny\", \"Warn\" or 2 other candidates"
)]
#[case::no_spec(
    json!({ "apiVersion": "callgate.dev/v1alpha1", "kind": "SeccompPolicy", "metadata": {} }),
    ": \"spec\" is a required property"
)]
#[case::another_version(
    json!({ "apiVersion": "callgate.dev/v1", "kind": "SeccompPolicy", "metadata": {}, "spec": {} }),
    "/apiVersion: \"callgate.dev/v1alpha1\" was expected"
)]
fn they_find_mistakes(#[case] object: Value, #[case] message: &str) {
    assert_eq!(mistakes(&object), [message]);
}

#[test]
fn a_field_that_may_be_null_may_be_null() {
    let spec = json!({ "default": null, "runtimeHandlers": null });
    assert_eq!(mistakes(&policy(&spec)), Vec::<String>::new());
}

/// The API server stores both forms of such a number.
#[rstest]
fn a_number_of_64_bits_may_be_a_string(
    #[values(json!(1), json!("18446744073709551615"))] value: Value,
) {
    let arg = json!({ "index": 0, "op": "SCMP_CMP_EQ", "value": value });
    let call = json!({ "names": ["socket"], "action": "SCMP_ACT_ALLOW", "args": [arg] });
    let spec = json!({ "defaultAction": "SCMP_ACT_ERRNO", "syscalls": [call] });
    let mut object = policy(&spec);
    object["kind"] = "SeccompProfile".into();
    assert_eq!(mistakes(&object), Vec::<String>::new());
}
