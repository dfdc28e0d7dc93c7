//! `--output openreports` against the schema of that project, from its Go module.

use std::{fs, path::Path, process::Command};

use serde_json::{Value, json};
use support::report::report;

use crate::server::{Server, command};

const MODULE: &str = "github.com/openreports/reports-api@v0.2.1";

/// The schema of a Report; `None` if the module cannot be had.
fn schema() -> Option<Value> {
    let output = Command::new("go").args(["mod", "download", "-json", MODULE]).output();
    let module: Value = serde_json::from_slice(&output.ok()?.stdout).ok()?;
    let folder = Path::new(module["Dir"].as_str()?).join("config/crd/openreports.io_reports.yaml");
    let text = fs::read_to_string(folder).expect("the module has the definition");
    let definition: Value = serde_saphyr::from_str(&text).expect("it is YAML");
    let mut schema = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone();
    close(&mut schema);
    Some(schema)
}

/// The API server drops fields that are not in a schema; here they are an error.
fn close(schema: &mut Value) {
    let Some(fields) = schema.as_object_mut() else { return };
    if fields.contains_key("properties") {
        fields.insert("additionalProperties".to_owned(), json!(false));
    }
    for key in ["properties", "items"] {
        match (key, fields.get_mut(key)) {
            ("properties", Some(Value::Object(all))) => all.values_mut().for_each(close),
            (_, Some(it)) => close(it),
            (_, None) => {}
        }
    }
}

#[test]
fn a_report_has_the_form_that_openreports_defines() {
    let server = Server::start(|path| match path {
        "/api/v1/pods" => concat!(
            r#"{"metadata":{},"items":[{"metadata":{"namespace":"shop","name":"web"},"spec":{"#,
            r#""containers":[{"name":"app","securityContext":{"privileged":true}}]}}]}"#
        )
        .to_owned(),
        _ => r#"{"metadata":{},"items":[]}"#.to_owned(),
    });
    let output = command(&server).args(["--output", "openreports"]).output().expect("it starts");
    let list: Value = serde_json::from_slice(&output.stdout).expect("it is JSON");
    let Some(schema) = schema() else {
        return report("skipped: cannot download the Go module of openreports");
    };
    let mut report = list["items"][0].clone();
    assert_eq!(report["metadata"]["namespace"], "shop");
    // The schema says nothing about metadata.
    report.as_object_mut().expect("it is one").remove("metadata");
    let validator = jsonschema::validator_for(&schema).expect("it is a schema");
    let mistakes: Vec<_> = validator.iter_errors(&report).map(|it| it.to_string()).collect();
    assert_eq!(mistakes, Vec::<String>::new(), "{report:#}");
    report["results"][0]["result"] = json!("bad");
    assert!(!validator.is_valid(&report), "it finds mistakes");
}
