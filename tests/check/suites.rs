//! `callgate test` on files of tests: those of rules, and the format that the schema describes.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use callgate::suite;
use serde_json::{Value, json};
use support::table;

fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_callgate"))
        .arg("test")
        .args(arguments)
        .env_clear()
        .output()
        .expect("the binary starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("it prints text")
}

#[test]
fn every_table_holds_in_callgate_test() {
    let output = run(&["tests/cases/*.yaml"]);
    let cases: usize =
        table::all(support::harness::TODAY).iter().map(|(_, it)| it.cases.len()).sum();
    let files = table::rules().len();
    assert_eq!(
        (text(&output.stdout), text(&output.stderr), output.status.code()),
        (
            String::new(),
            format!("tested {cases} cases in {files} files: {cases} passed, 0 failed\n"),
            Some(0)
        )
    );
    assert!(cases > 300, "only {cases}");
}

/// Each expectation of a table decides: with another one, its case fails.
#[test]
fn no_case_of_a_table_holds_with_another_expectation() {
    let source = callgate::report::Source::new("table.yaml", b"");
    for (rule, mut table) in table::all(support::harness::TODAY) {
        for case in &mut table.cases {
            let other = "spec: something else [unset]".to_owned();
            match case.denied.first_mut() {
                Some(first) => *first = other,
                None => case.denied.push(other),
            }
        }
        for checked in table.run(&source, false) {
            let fields: Vec<_> = checked.found.iter().map(|it| it.field.as_str()).collect();
            assert_eq!(fields, ["denied"], "{rule}: {}", checked.name);
        }
    }
}

/// The files of tests in the tree.
fn files() -> Vec<PathBuf> {
    let folders = ["tests/cases", "examples/tests"].map(Path::new);
    let mut all = Vec::new();
    for entry in folders.iter().flat_map(|it| fs::read_dir(it).expect("it is there")) {
        let path = entry.expect("the tree is readable").path();
        let name = path.to_string_lossy().into_owned();
        if path.starts_with("tests/cases") || name.ends_with(".test.yaml") {
            all.push(path);
        }
    }
    assert!(all.len() > 11, "{all:?}");
    all
}

#[test]
fn the_schema_takes_every_file_of_tests() {
    let schema = suite::schema();
    let validator = jsonschema::draft7::new(&schema).expect("it is a schema");
    for path in files() {
        let text = fs::read_to_string(&path).expect("it is text");
        let value: Value = serde_saphyr::from_str(&text).expect("it is YAML");
        let mistakes: Vec<_> = validator.iter_errors(&value).map(|it| it.to_string()).collect();
        assert!(mistakes.is_empty(), "{}: {mistakes:#?}", path.display());
    }
}

#[test]
fn the_schema_finds_mistakes() {
    let schema = suite::schema();
    let validator = jsonschema::draft7::new(&schema).expect("it is a schema");
    let case =
        |key: &str, value: Value| json!({ "cases": [{ "name": "a", "object": {}, key: value }] });
    assert!(validator.is_valid(&case("denied", json!(["unset"]))));
    for wrong in [
        json!({}),
        json!({ "cases": [] }),
        json!({ "cases": [{ "object": {} }] }),
        json!({ "cases": [{ "name": "a", "object": {} }], "polices": {} }),
        case("denied", json!("unset")),
        case("deny", json!([])),
        case("mode", json!("Enforce")),
        case("nodes", json!({ "a": { "label": {} } })),
    ] {
        assert!(!validator.is_valid(&wrong), "{wrong}");
    }
}

#[test]
fn the_schema_in_the_tree_is_that_of_the_code() {
    let path = "manifests/crds/schemas/callgate-test.json";
    let output = run(&["--schema"]);
    let shown = fs::read_to_string(path).expect("it is there");
    assert!(text(&output.stdout) == shown, "callgate test --schema >{path}");
}

#[test]
fn every_key_of_the_format_has_a_description() {
    let schema = suite::schema();
    let mut seen = 0;
    let of = schema["definitions"].as_object().expect("types").values().chain([&schema]);
    for properties in of.filter_map(|it| it["properties"].as_object()) {
        for (key, property) in properties {
            seen += 1;
            assert!(property["description"].is_string(), "{key}");
        }
    }
    assert!(seen > 35, "only {seen}");
}
