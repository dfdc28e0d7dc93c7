//! Runs the table of pods and nodes, `tests/placement.yaml`.
//! `e2e/tests/placement.rs` compares with the real scheduler.

mod denials;
mod laws;

use std::{collections::BTreeMap, fs};

use callgate::{
    placement::{Node, Nodes, Taint},
    pod::Pod,
};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Part {
    about: String,
    nodes: BTreeMap<String, RawNode>,
    pods: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawNode {
    #[serde(default)]
    labels: BTreeMap<String, String>,
    /// `key=value:effect`, as kubectl takes them.
    #[serde(default)]
    taints: Vec<String>,
    #[serde(default)]
    unschedulable: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    #[serde(default)]
    spec: Option<Value>,
    /// The `matchExpressions` of each required term, to add to the spec.
    requires: Option<Vec<Value>>,
    lands: Vec<String>,
}

#[test]
fn every_pod_of_the_table_can_land_on_the_expected_nodes() {
    let table = fs::read_to_string("tests/placement.yaml").expect("the table is there");
    let parts: Vec<Part> = serde_saphyr::from_str(&table).unwrap_or_else(|error| panic!("{error}"));
    let mut wrong = Vec::new();
    for Part { about, nodes, pods } in parts {
        let mut all = Nodes::default();
        for (name, node) in nodes {
            all.put(&name, node.into());
        }
        for case in pods {
            let text = json!({ "spec": case.spec() }).to_string();
            let pod: Pod<'_> = serde_json::from_str(&text).expect("pods of the table are readable");
            let actual: Vec<_> = all.eligible(&pod).names().collect();
            if actual != case.lands {
                let Case { name, lands, .. } = case;
                wrong.push(format!("{about}: {name}\n  expected {lands:?}\n  actual   {actual:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

impl Case {
    fn spec(&self) -> Value {
        let mut spec = self.spec.clone().unwrap_or(json!({}));
        if let Some(terms) = &self.requires {
            let terms = terms.iter().map(|it| json!({ "matchExpressions": it }));
            let terms = json!({ "nodeSelectorTerms": terms.collect::<Vec<_>>() });
            spec["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"] =
                terms;
        }
        spec
    }
}

impl From<RawNode> for Node {
    fn from(RawNode { labels, taints, unschedulable }: RawNode) -> Self {
        let taint = |it: &String| {
            let (taint, effect) = it.rsplit_once(':').expect("it has an effect");
            let (key, value) = taint.split_once('=').unwrap_or((taint, ""));
            Taint { key: key.to_owned(), value: value.to_owned(), effect: effect.to_owned() }
        };
        Self { labels, taints: taints.iter().map(taint).collect(), unschedulable }
    }
}
