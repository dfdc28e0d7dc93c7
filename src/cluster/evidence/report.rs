//! Evidence as a Report of openreports.io, for those who collect such reports.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::{Value, json};

use crate::api::{EvidenceFinding, EvidenceOwner, SeccompEvidenceStatus};

/// The API version of Reports.
const API_VERSION: &str = "openreports.io/v1alpha1";

/// The path of the Reports of a namespace.
pub(super) fn path(namespace: &str) -> String {
    format!("/apis/{API_VERSION}/namespaces/{namespace}/reports")
}

/// The Report on a namespace. It has a result for each finding of the evidence, whose list is
/// bounded.
pub fn report(namespace: &str, status: &SeccompEvidenceStatus) -> Value {
    let findings = &status.findings;
    let results: Vec<_> = findings.iter().map(|it| result(namespace, it)).collect();
    json!({
        "apiVersion": API_VERSION, "kind": "Report",
        "metadata": {
            "name": super::NAME, "namespace": namespace,
            "labels": { "app.kubernetes.io/managed-by": "callgate" },
        },
        "source": "callgate",
        "scope": { "apiVersion": "v1", "kind": "Namespace", "name": namespace },
        "summary": { "pass": 0, "fail": findings.len(), "warn": 0, "error": 0, "skip": 0 },
        "results": results,
    })
}

fn result(namespace: &str, finding: &EvidenceFinding) -> Value {
    let EvidenceFinding { policy, rule, owner, field, message, count, first, last } = finding;
    let EvidenceOwner { api_version, kind, name } = owner;
    let Time(moment) = last;
    let time = |it: &Time| it.0.to_string();
    json!({
        "source": "callgate", "policy": policy, "rule": rule, "category": "seccomp",
        "result": "fail", "severity": "high", "scored": true, "message": message,
        "timestamp": { "seconds": moment.as_second(), "nanos": moment.subsec_nanosecond() },
        "resources": [{
            "apiVersion": api_version, "kind": kind, "name": name, "namespace": namespace,
        }],
        "properties": {
            "field": field, "count": count.to_string(), "first": time(first), "last": time(last),
        },
    })
}
