//! The consequences of one node's report for pods of all nodes.

use std::collections::BTreeMap;

use callgate::{
    placement::{Node, Nodes},
    pod::{Kind, Pod, Scope},
    policy::{Facts, Level, Mode, Policy, RuntimeClasses, Verdict},
    profile::{Catalog, File, Inventory, Problem},
};
use proptest::{option, prelude::*, sample::select};
use serde_json::{Value, json};
use support::generated::nodes::{NAMES, demands, node};

use crate::laws::{config, eligible};

type Reports = BTreeMap<&'static str, (Node, Option<Inventory>)>;

fn reports() -> impl Strategy<Value = Reports> {
    let file = option::of(select(vec![Problem::Hollow, Problem::NotJson]))
        .prop_map(|problem| File { problem, ..File::default() });
    let files = option::weighted(0.8, file).prop_map(|file| {
        let files = file.map(|it| ("web.json".parse().expect("a path"), it));
        Inventory { files: files.into_iter().collect(), is_cut: false }
    });
    let report = option::weighted(0.8, files);
    let names = select(NAMES.to_vec());
    proptest::collection::btree_map(names, (node(), report), 0..4)
}

fn all(reports: &Reports) -> Nodes {
    let mut nodes = Nodes::default();
    for (name, (node, inventory)) in reports {
        nodes.put(name, node.clone());
        nodes.report(name, inventory.clone());
    }
    nodes
}

/// Every finding about a profile is a denial, where the rule allows that.
const STRICT: &str = "
apiVersion: callgate.dev/v1alpha1
kind: SeccompPolicy
metadata: { name: strict }
spec: { rules: { partial-profile: Deny, faulty-profile: Deny } }
";

/// The lines of the denial of a pod.
fn denied(nodes: &Nodes, catalog: &Catalog, pod: &Value) -> Vec<String> {
    let text = pod.to_string();
    let pod: Pod<'_> = serde_json::from_str(&text).expect("demands are readable");
    let facts = Facts {
        policy: &Policy::parse(STRICT).expect("a policy"),
        catalog,
        nodes,
        classes: &RuntimeClasses::default(),
        namespace: "shop",
        today: jiff::civil::date(2026, 11, 24),
    };
    let verdict = Verdict::of(Kind::Pod, &pod, &Scope::Whole, facts, Mode::Enforce);
    let denied = verdict.judged().iter().filter(|it| it.level == Level::Deny);
    denied.map(|it| verdict.line(it)).collect()
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_node_on_which_a_pod_cannot_land_denies_nothing(
        reports in reports(),
        spec in prop_oneof![demands(), Just(json!({}))],
    ) {
        let nodes = all(&reports);
        let sound = nodes.paths().into_iter().filter(|it| it.1);
        let catalog: Catalog = sound.map(|(path, _)| (path.clone(), None)).collect();
        let names = eligible(&nodes, &spec);
        let mut there = reports.clone();
        there.retain(|name, _| names.contains(name));
        let mut spec = spec.clone();
        let profile = json!({ "type": "Localhost", "localhostProfile": "web.json" });
        spec["securityContext"] = json!({ "seccompProfile": profile });
        let pod = json!({ "spec": spec });
        prop_assert_eq!(denied(&nodes, &catalog, &pod), denied(&all(&there), &catalog, &pod));
    }
}
