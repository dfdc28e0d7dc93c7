//! The metrics in alerts and dashboards exist. e2e/oracle evaluates the expressions with Prometheus.

use std::{
    collections::BTreeSet,
    fs,
    time::{Duration, UNIX_EPOCH},
};

use callgate::{
    denials::Totals,
    telemetry::{AgentMetrics, DenialMetrics, Metrics, Profiles},
};
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
fn the_runbook_has_a_section_for_every_alert() {
    let page = fs::read_to_string("docs/runbook.md").expect("there is a runbook");
    let (_, alerts) = page.split_once("\n## Alerts\n").expect("it is about alerts");
    let sections = alerts.split("\n### ").skip(1).map(|it| it.split_once('\n').expect("words"));
    let mut told = Vec::new();
    for (alert, words) in sections {
        assert!(words.trim().len() > 80, "{alert}: {words}");
        told.push(alert);
    }
    let text = fs::read_to_string(ALERTS).expect("there are alerts");
    let rules: Value = serde_saphyr::from_str(&text).expect("it is YAML");
    let rules = rules["spec"]["groups"][0]["rules"].as_array().expect("a list");
    let names: Vec<_> = rules.iter().map(|it| it["alert"].as_str().expect("a name")).collect();
    assert_eq!(told, names);
    for rule in rules {
        let anchor = rule["alert"].as_str().expect("a name").to_lowercase();
        assert_eq!(rule["annotations"]["runbook"], format!("docs/runbook.md#{anchor}"));
    }
}

#[test]
fn every_metric_in_alerts_and_the_dashboard_exists() {
    let metrics = Metrics::new("0.0.0");
    metrics.review("mutate", "create", "patched", Duration::ZERO);
    metrics.finding("unset", "deny");
    metrics.watches().confirmed("nodes", UNIX_EPOCH);
    metrics.watches().unreadable("nodes", 0);
    let agents = AgentMetrics::new("0.0.0");
    agents.profiles(Profiles::default());
    agents.containers(&[("none", 0)], 0);
    agents.failed("io");
    let denials = DenialMetrics::new("0.0.0");
    denials.set(&Totals { by_action: [("SCMP_ACT_ERRNO", 1)].into(), ..Totals::default() });
    let page = metrics.render() + &agents.render() + &denials.render();
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
