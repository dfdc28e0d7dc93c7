//! `--output openreports` against the schema of that project, from its Go module.

use callgate::{api::SeccompEvidenceStatus, cluster::evidence};
use serde_json::{Value, json};
use support::{openreports::definition, report::report};

use crate::server::{Server, command};

/// The schema of a Report; `None` if the module cannot be had.
fn schema() -> Option<Value> {
    let mut schema = definition()?["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone();
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

#[test]
fn evidence_as_a_report_has_that_form_too() {
    let status: SeccompEvidenceStatus = serde_json::from_value(json!({
        "pods": 9, "last": "2026-11-24T10:00:00Z", "unlisted": 4, "findings": [{
            "policy": "restricted", "rule": "privileged",
            "owner": { "apiVersion": "apps/v1", "kind": "Deployment", "name": "web" },
            "field": "spec.containers[0] \"app\"", "message": "privileged turns seccomp off",
            "count": 5, "first": "2026-11-23T10:00:00Z", "last": "2026-11-24T10:00:00Z",
        }],
    }))
    .expect("it is a status");
    let mut made = evidence::report("shop", &status);
    let expected = json!({
        "apiVersion": "openreports.io/v1alpha1", "kind": "Report",
        "metadata": {
            "name": "callgate", "namespace": "shop",
            "labels": { "app.kubernetes.io/managed-by": "callgate" },
        },
        "source": "callgate",
        "scope": { "apiVersion": "v1", "kind": "Namespace", "name": "shop" },
        "summary": { "pass": 0, "fail": 1, "warn": 0, "error": 0, "skip": 0 },
        "results": [{
            "source": "callgate", "policy": "restricted", "rule": "privileged",
            "category": "seccomp", "result": "fail", "severity": "high", "scored": true,
            "message": "privileged turns seccomp off",
            "timestamp": { "seconds": 1_795_514_400, "nanos": 0 },
            "resources": [{
                "apiVersion": "apps/v1", "kind": "Deployment", "name": "web", "namespace": "shop",
            }],
            "properties": {
                "field": "spec.containers[0] \"app\"", "count": "5",
                "first": "2026-11-23T10:00:00Z", "last": "2026-11-24T10:00:00Z",
            },
        }],
    });
    assert_eq!(made, expected);
    let Some(schema) = schema() else {
        return report("skipped: cannot download the Go module of openreports");
    };
    made.as_object_mut().expect("it is one").remove("metadata");
    let validator = jsonschema::validator_for(&schema).expect("it is a schema");
    let mistakes: Vec<_> = validator.iter_errors(&made).map(|it| it.to_string()).collect();
    assert_eq!(mistakes, Vec::<String>::new(), "{made:#}");
}
