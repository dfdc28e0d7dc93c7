//! What nodes report of profiles, while nodes are added, changed and removed.

use std::collections::BTreeMap;

use super::*;
use crate::{
    pod::Pod,
    profile::{File, Inventory, Problem},
};

fn labelled(key: &str, value: &str) -> Node {
    let labels = BTreeMap::from([(key.to_owned(), value.to_owned())]);
    Node { labels, ..Node::default() }
}

fn inventory(path: &str, byte: u8) -> Inventory {
    let file = File { digest: Some([byte; 32].into()), problem: None, doubt: None };
    Inventory { files: BTreeMap::from([(path.parse().unwrap(), file)]), is_cut: false }
}

fn pod(spec: &str) -> Pod<'_> {
    serde_json::from_str(spec).unwrap()
}

/// In a cluster that scales up and down, each node has a new name.
#[test]
fn what_is_gone_is_forgotten() {
    let mut nodes = Nodes::default();
    nodes.put("stays", labelled("zone", "z1"));
    nodes.report("stays", Some(inventory("web.json", 7)));
    let then = nodes.clone();
    for number in 0..10_000 {
        let name = format!("node-{number}");
        nodes.put(&name, labelled("hostname", &name));
        nodes.report(&name, Some(inventory(&format!("{name}.json"), 8)));
        nodes.gone(&name);
        assert!(nodes.interners.len() < 1_100, "{}", nodes.interners.len());
    }
    let path = "web.json".parse().unwrap();
    for nodes in [&then, &nodes] {
        assert_eq!(nodes.find(&path), Some(true));
        assert_eq!(nodes.paths().len(), 1);
        let pod = pod(r#"{"spec": {"nodeSelector": {"zone": "z1"}}}"#);
        let digest = Some([7; 32].into());
        let names = vec!["stays"];
        let found = FileVersion { digest, problem: None, doubt: None, nodes: 1, names };
        let distribution = ProfileDistribution {
            eligible: 1,
            found: vec![found],
            ..ProfileDistribution::default()
        };
        assert_eq!(nodes.distribution(&pod, &path), distribution);
    }
}

#[test]
fn a_pod_that_is_bound_to_an_unknown_node_has_one_unknown_node() {
    let mut nodes = Nodes::default();
    nodes.put("node-a", Node::default());
    nodes.report("node-a", Some(inventory("web.json", 7)));
    nodes.report("node-b", Some(Inventory::default()));
    let path = "web.json".parse().unwrap();
    let distribution = |spec| nodes.distribution(&pod(spec), &path);
    let unknown = ProfileDistribution { eligible: 1, unknown: 1, ..ProfileDistribution::default() };
    assert_eq!(distribution(r#"{"spec": {"nodeName": "node-z"}}"#), unknown);
    let lacking = ProfileDistribution {
        eligible: 1,
        lacking: 1,
        lacking_names: vec!["node-b"],
        ..ProfileDistribution::default()
    };
    assert_eq!(distribution(r#"{"spec": {"nodeName": "node-b"}}"#), lacking);
    // Without the node object, only a pod that is bound to the node needs the report.
    assert_eq!(distribution(r#"{"spec": {}}"#).eligible, 1);
}

#[test]
fn the_first_nodes_that_lack_it_are_named_and_the_most_common_content_comes_first() {
    let mut nodes = Nodes::default();
    let contents = [None, Some(1), Some(2), None, Some(2), None, None];
    for (number, content) in contents.into_iter().enumerate().rev() {
        let name = format!("node-{number}");
        nodes.put(&name, Node::default());
        let inventory = content.map_or_else(Inventory::default, |it| inventory("web.json", it));
        nodes.report(&name, Some(inventory));
    }
    nodes.put("node-x", Node::default());
    let found = |byte: u8, names: &[&'static str]| FileVersion {
        digest: Some([byte; 32].into()),
        problem: None,
        doubt: None,
        nodes: names.len(),
        names: names.to_vec(),
    };
    let expected = ProfileDistribution {
        eligible: 8,
        unknown: 1,
        lacking: 4,
        lacking_names: vec!["node-0", "node-3", "node-5"],
        found: vec![found(2, &["node-2", "node-4"]), found(1, &["node-1"])],
    };
    let pod = pod(r#"{"spec": {}}"#);
    assert_eq!(nodes.distribution(&pod, &"web.json".parse().unwrap()), expected);

    let nowhere = nodes.distribution(&pod, &"nowhere.json".parse().unwrap());
    let lacking_names = vec!["node-0", "node-1", "node-2"];
    let expected = ProfileDistribution {
        eligible: 8,
        unknown: 1,
        lacking: 7,
        lacking_names,
        found: Vec::new(),
    };
    assert_eq!(nowhere, expected);
}

#[test]
fn a_file_not_in_a_truncated_list_is_unknown_unless_a_label_has_its_digest() {
    let mut nodes = Nodes::default();
    let cut = |it| Inventory { is_cut: true, ..it };
    nodes.put("cut", Node::default());
    nodes.report("cut", Some(cut(Inventory::default())));
    nodes.put("labelled", labelled("profile.callgate.dev/web", "070707070707"));
    nodes.report("labelled", Some(cut(Inventory::default())));
    for (name, value) in [("before", "060606060606"), ("longer", "07070707070707"), ("odd", "")] {
        nodes.put(name, labelled("profile.callgate.dev/web", value));
        nodes.report(name, Some(cut(Inventory::default())));
    }
    nodes.put("lacking", labelled("profile.callgate.dev/web", "070707070707"));
    nodes.report("lacking", Some(Inventory::default()));
    nodes.put("listed", Node::default());
    nodes.report("listed", Some(cut(inventory("callgate/web.json", 7))));
    let pod = pod(r#"{"spec": {}}"#);
    let current = Some([7; 32].into());
    let distribution =
        |path: &str| nodes.eligible(&pod).distribution(&path.parse().unwrap(), current);
    let found = |name| {
        let names = vec![name];
        FileVersion { digest: current, problem: None, doubt: None, nodes: 1, names }
    };
    let expected = ProfileDistribution {
        eligible: 7,
        unknown: 4,
        lacking: 1,
        lacking_names: vec!["lacking"],
        found: vec![found("listed"), found("labelled")],
    };
    assert_eq!(distribution("callgate/web.json"), expected);
    // No agent installs this file, so no label names it.
    let expected =
        ProfileDistribution { unknown: 6, found: Vec::new(), ..distribution("web.json") };
    assert_eq!(distribution("web.json"), expected);
    assert_eq!((distribution("web.json").lacking, distribution("nowhere.json").unknown), (1, 6));
}

#[test]
fn a_taint_or_a_cordon_may_be_lifted_but_a_label_is_permanent() {
    let mut nodes = Nodes::default();
    let taint = Taint { key: "gpu".into(), value: String::new(), effect: "NoExecute".into() };
    nodes.put("tainted", Node { taints: vec![taint], ..labelled("zone", "z1") });
    nodes.put("cordoned", Node { unschedulable: true, ..labelled("zone", "z1") });
    nodes.put("elsewhere", labelled("zone", "z2"));
    let selecting = pod(r#"{"spec": {"nodeSelector": {"zone": "z1"}}}"#);
    assert_eq!(nodes.eligible(&selecting).names().count(), 0);
    assert_eq!(nodes.reachable(&selecting).names().collect::<Vec<_>>(), ["cordoned", "tainted"]);
    let bound = pod(r#"{"spec": {"nodeName": "elsewhere"}}"#);
    assert_eq!(nodes.reachable(&bound).names().collect::<Vec<_>>(), ["elsewhere"]);
}

#[test]
fn a_node_with_a_hollow_file_makes_it_worth_looking_for_one() {
    let mut nodes = Nodes::default();
    let of = |problem| {
        let file = File { digest: None, problem, doubt: None };
        let files = BTreeMap::from([("web.json".parse().unwrap(), file)]);
        Some(Inventory { files, is_cut: false })
    };
    nodes.report("node-a", of(None));
    nodes.report("node-b", of(Some(Problem::NotJson)));
    assert!(!nodes.may_have_hollow());
    nodes.report("node-b", of(Some(Problem::Hollow)));
    assert!(nodes.may_have_hollow());
}

#[test]
fn a_node_without_an_object_and_a_report_is_not_kept() {
    let mut nodes = Nodes::default();
    nodes.report("node-a", Some(Inventory::default()));
    nodes.report("node-a", None);
    assert!(nodes.by_name.is_empty());
}
