//! What alerts and dashboards ask for is there. What Prometheus makes of it, e2e/oracle asks it.

use std::{collections::BTreeSet, fs, time::Duration};

use callgate::telemetry::Metrics;
use serde_json::Value;

const ALERTS: &str = "manifests/components/monitoring/alerts.yaml";
const DASHBOARD: &str = "manifests/components/monitoring/callgate.json";

/// Everything that is asked of Prometheus.
fn expressions() -> Vec<String> {
    let read = |path: &str| fs::read_to_string(path).expect("it is there");
    let alerts: Value = serde_saphyr::from_str(&read(ALERTS)).expect("it is YAML");
    let dashboard: Value = serde_json::from_str(&read(DASHBOARD)).expect("it is JSON");
    let list = |it: &Value| it.as_array().cloned().unwrap_or_default();
    let alerts = list(&alerts["spec"]["groups"][0]["rules"]);
    let panels = list(&dashboard["panels"]);
    let targets = panels.iter().flat_map(|it| list(&it["targets"]));
    let all = alerts.into_iter().chain(targets);
    all.map(|it| it["expr"].as_str().expect("it asks for something").to_owned()).collect()
}

#[test]
fn every_metric_that_is_asked_for_is_there() {
    let metrics = Metrics::new("0.0.0");
    metrics.review("mutate", "create", "patched", Duration::ZERO);
    metrics.finding("unset", "deny");
    let page = metrics.render();
    let known: BTreeSet<_> = page.lines().filter_map(|it| it.split(['{', ' ']).next()).collect();
    let mut asked = BTreeSet::new();
    for expression in expressions() {
        let is_part = |it: char| it.is_ascii_alphanumeric() || it == '_';
        for name in expression.split(|it| !is_part(it)).filter(|it| it.starts_with("callgate_")) {
            assert!(known.contains(name), "there is no {name}: {expression}");
            asked.insert(name.to_owned());
        }
    }
    assert!(asked.len() > 7, "{asked:?}");
}
