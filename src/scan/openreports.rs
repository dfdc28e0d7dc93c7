//! The overview as Reports of openreports.io, one for each namespace.

use serde_json::{Value, json};

use super::{Grade, Overview, Safety, overview::NamespaceOverview};

/// More results make a report too large to be stored; the summary counts all.
const MOST_RESULTS: usize = 100;

/// The results of a namespace, by their names in a summary.
#[derive(Default)]
struct Summary {
    pass: usize,
    fail: usize,
    warn: usize,
    error: usize,
    skip: usize,
}

/// A list of Reports, which `kubectl apply` takes.
pub fn reports(overview: &Overview) -> Value {
    let items: Vec<_> = overview.namespaces.iter().map(report).collect();
    json!({ "apiVersion": "v1", "kind": "List", "items": items })
}

fn report(it: &NamespaceOverview) -> Value {
    let mut summary = Summary::default();
    let mut results = Vec::new();
    let policy = it.policy.as_deref().unwrap_or("unknown");
    let namespace = &it.name;
    let mut add = |result: &'static str, value: Value| {
        *match result {
            "fail" => &mut summary.fail,
            "warn" => &mut summary.warn,
            "error" => &mut summary.error,
            _ => &mut summary.skip,
        } += 1;
        if results.len() < MOST_RESULTS {
            results.push(value);
        }
    };
    // What is not known is an error, never a pass.
    if it.safe == Safety::Unknown {
        for why in &it.reasons {
            let value = json!({
                "source": "callgate", "policy": policy, "category": "seccomp", "result": "error",
                "message": why,
            });
            add("error", value);
        }
    }
    let mut with_findings = 0;
    for owner in &it.owners {
        let resource = json!({
            "apiVersion": owner.owner.api_version, "kind": owner.owner.kind,
            "name": owner.owner.name, "namespace": namespace,
        });
        let value = |result, rule: &str, severity: &str, message: &str, properties: Value| {
            json!({
                "source": "callgate", "policy": policy, "rule": rule, "category": "seccomp",
                "result": result, "severity": severity, "scored": true, "message": message,
                "resources": [resource], "properties": properties,
            })
        };
        if let Some(why) = owner.unreadable.as_deref() {
            let message = format!("it cannot be read: {why}");
            add("fail", value("fail", "unreadable", "high", &message, json!({})));
        }
        for it in &owner.findings {
            let (result, severity) = match it.grade {
                Grade::Denied => ("fail", "high"),
                Grade::Unknown => ("error", "medium"),
                Grade::Warned => ("warn", "low"),
                Grade::Recorded => ("skip", "info"),
            };
            let mut properties = json!({ "field": &*it.field, "pods": it.pods.to_string() });
            for (key, text) in [("fix", &it.fix), ("exemption", &it.exemption)] {
                if let Some(text) = text {
                    properties[key] = json!(&**text);
                }
            }
            add(result, value(result, it.rule, severity, &it.message, properties));
        }
        with_findings += usize::from(!owner.findings.is_empty() || owner.unreadable.is_some());
    }
    summary.pass = it.workloads.all - with_findings;
    let Summary { pass, fail, warn, error, skip } = summary;
    json!({
        "apiVersion": "openreports.io/v1alpha1", "kind": "Report",
        "metadata": {
            "name": "callgate-scan", "namespace": namespace,
            "labels": { "app.kubernetes.io/managed-by": "callgate" },
        },
        "source": "callgate",
        "scope": { "apiVersion": "v1", "kind": "Namespace", "name": namespace },
        "configuration": { "limits": { "maxResults": MOST_RESULTS } },
        "summary": { "pass": pass, "fail": fail, "warn": warn, "error": error, "skip": skip },
        "results": results,
    })
}
