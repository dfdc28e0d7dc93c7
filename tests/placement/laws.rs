//! Laws for all nodes and all scheduling constraints, not only for those of the table.
//!
//! `PROPTEST_CASES` sets how many are tried; `make test-long` sets it high.

use std::collections::BTreeMap;

use callgate::{
    placement::{MOST_REQUIREMENTS, Node, Nodes, ProfileDistribution, Taint},
    pod::Pod,
    profile::{Doubt, File, Inventory, Problem, ProfilePath},
};
use proptest::{collection::vec, option, prelude::*, sample::select};
use serde_json::{Value, json};
use support::generated::nodes::{NAMES, demands, expression, node, nodes, toleration};

const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";

/// What may happen to a node.
#[derive(Clone, Debug)]
enum Change {
    Put(Node),
    Gone,
    Report(Option<Inventory>),
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        4 => node().prop_map(Change::Put),
        4 => option::weighted(0.8, inventory()).prop_map(Change::Report),
        1 => Just(Change::Gone),
    ]
}

fn inventory() -> impl Strategy<Value = Inventory> {
    let path = select(vec!["web.json", "callgate/web.json", "old/db.json"]);
    let digest = option::weighted(0.8, (0..3_u8).prop_map(|it| [it; 32].into()));
    let problem = option::weighted(0.3, select(vec![Problem::Hollow, Problem::NotJson]));
    let doubt = option::weighted(0.3, select(vec![Doubt::NoStart, Doubt::DockerKeys]));
    let file = (digest, problem, doubt).prop_map(|(digest, problem, doubt)| File {
        digest,
        problem,
        doubt,
    });
    let files = proptest::collection::btree_map(path, file, 0..4);
    (files, any::<bool>()).prop_map(|(files, is_cut)| Inventory {
        files: files.into_iter().map(|(path, file)| (parsed(path), file)).collect(),
        is_cut,
    })
}

fn parsed(path: &str) -> ProfilePath {
    path.parse().expect("a path")
}

fn all(nodes: &BTreeMap<&str, Node>) -> Nodes {
    let mut all = Nodes::default();
    for (name, node) in nodes {
        all.put(name, node.clone());
    }
    all
}

pub(crate) fn eligible<'a>(nodes: &'a Nodes, spec: &Value) -> Vec<&'a str> {
    let text = json!({ "spec": spec }).to_string();
    let pod = serde_json::from_str(&text).expect("demands are readable");
    nodes.eligible(&pod).names().collect()
}

fn distribution<'a>(nodes: &'a Nodes, spec: &Value, path: &str) -> ProfileDistribution<'a> {
    let text = json!({ "spec": spec }).to_string();
    let pod: Pod<'_> = serde_json::from_str(&text).expect("demands are readable");
    nodes.distribution(&pod, &parsed(path))
}

fn terms(spec: &mut Value) -> Option<&mut Vec<Value>> {
    spec.pointer_mut(&format!("/affinity/nodeAffinity/{REQUIRED}/nodeSelectorTerms"))?
        .as_array_mut()
}

fn is_empty(term: &Value) -> bool {
    ["matchExpressions", "matchFields"]
        .iter()
        .all(|it| term[*it].as_array().is_none_or(Vec::is_empty))
}

pub(crate) fn config() -> ProptestConfig {
    ProptestConfig { failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn one_more_requirement_never_adds_a_node(
        nodes in nodes(), spec in demands(), which in any::<usize>(), new in expression(),
    ) {
        let nodes = all(&nodes);
        let mut more = spec.clone();
        if let Some(terms) = terms(&mut more) {
            let which = which % terms.len();
            // An empty term matches nothing: there any requirement adds.
            prop_assume!(!is_empty(&terms[which]));
            let term = terms[which].as_object_mut().expect("a term");
            let list = term.entry("matchExpressions").or_insert(json!([]));
            list.as_array_mut().expect("a list").push(new);
        } else {
            more["affinity"]["nodeAffinity"][REQUIRED] =
                json!({ "nodeSelectorTerms": [{ "matchExpressions": [new] }] });
        }
        let before = eligible(&nodes, &spec);
        prop_assert!(eligible(&nodes, &more).iter().all(|it| before.contains(it)));
    }

    #[test]
    fn one_more_label_in_a_selector_never_adds_a_node(
        nodes in nodes(), spec in demands(), value in select(vec!["", "8", "lost"]),
    ) {
        let nodes = all(&nodes);
        let mut more = spec.clone();
        more["nodeSelector"]["gpu"] = json!(value);
        let before = eligible(&nodes, &spec);
        prop_assert!(eligible(&nodes, &more).iter().all(|it| before.contains(it)));
    }

    #[test]
    fn one_more_term_never_removes_a_node(nodes in nodes(), spec in demands(), new in demands()) {
        let nodes = all(&nodes);
        let (mut more, mut new) = (spec.clone(), new);
        if let (Some(terms), Some(new)) = (terms(&mut more), terms(&mut new)) {
            terms.append(new);
            let after = eligible(&nodes, &more);
            prop_assert!(eligible(&nodes, &spec).iter().all(|it| after.contains(it)));
        }
    }

    #[test]
    fn one_more_toleration_never_removes_a_node(
        nodes in nodes(), spec in demands(), new in toleration(),
    ) {
        let nodes = all(&nodes);
        let mut more = spec.clone();
        more["tolerations"].as_array_mut().expect("a list").push(new);
        let after = eligible(&nodes, &more);
        prop_assert!(eligible(&nodes, &spec).iter().all(|it| after.contains(it)));
    }

    /// Nodes do not affect each other, so each can be checked alone.
    #[test]
    fn whether_a_node_is_eligible_does_not_depend_on_other_nodes(nodes in nodes(), spec in demands()) {
        let together = all(&nodes);
        let alone = nodes.iter().filter(|(name, node)| {
            let mut only = Nodes::default();
            only.put(name, (*node).clone());
            !eligible(&only, &spec).is_empty()
        });
        prop_assert_eq!(eligible(&together, &spec), alone.map(|it| *it.0).collect::<Vec<_>>());
    }

    #[test]
    fn a_required_node_name_leaves_only_that_node(
        nodes in nodes(), spec in demands(), name in select(NAMES.to_vec()),
    ) {
        let nodes = all(&nodes);
        let mut pinned = spec.clone();
        let field = json!({ "key": "metadata.name", "operator": "In", "values": [name] });
        match terms(&mut pinned) {
            Some(terms) => for term in terms.iter_mut().filter(|it| !is_empty(it)) {
                let term = term.as_object_mut().expect("a term");
                let fields = term.entry("matchFields").or_insert(json!([]));
                fields.as_array_mut().expect("a list").push(field.clone());
            },
            None => {
                pinned["affinity"]["nodeAffinity"][REQUIRED] =
                    json!({ "nodeSelectorTerms": [{ "matchFields": [field] }] });
            }
        }
        let mut expected = eligible(&nodes, &spec);
        expected.retain(|it| *it == name);
        prop_assert_eq!(eligible(&nodes, &pinned), expected);
    }

    #[test]
    fn the_order_of_terms_and_tolerations_changes_nothing(nodes in nodes(), spec in demands()) {
        let nodes = all(&nodes);
        let mut turned = spec.clone();
        turned["tolerations"].as_array_mut().expect("a list").reverse();
        for term in terms(&mut turned).into_iter().flatten() {
            for list in ["matchExpressions", "matchFields"] {
                if let Some(list) = term[list].as_array_mut() {
                    list.reverse();
                }
            }
        }
        if let Some(terms) = terms(&mut turned) {
            terms.reverse();
        }
        prop_assert_eq!(eligible(&nodes, &spec), eligible(&nodes, &turned));
    }

    /// The answer depends only on the current state of the nodes, not on the changes
    /// that led to it or their order. An older clone still has the older state.
    #[test]
    fn only_the_present_counts(
        changes in vec((select(NAMES.to_vec()), change()), 0..40),
        spec in demands(),
        path in select(vec!["web.json", "callgate/web.json", "nowhere.json"]),
    ) {
        let mut nodes = Nodes::default();
        let mut present: BTreeMap<&str, (Option<Node>, Option<Inventory>)> = BTreeMap::new();
        for (name, change) in changes {
            let before = nodes.clone();
            let seen = format!("{:?}", distribution(&nodes, &spec, path));
            let entry = present.entry(name).or_default();
            match change {
                Change::Put(node) => {
                    entry.0 = Some(node.clone());
                    nodes.put(name, node);
                }
                Change::Gone => {
                    present.remove(name);
                    nodes.gone(name);
                }
                Change::Report(inventory) => {
                    entry.1.clone_from(&inventory);
                    nodes.report(name, inventory);
                }
            }
            prop_assert_eq!(format!("{:?}", distribution(&before, &spec, path)), seen);
        }
        let fresh = rebuilt(&present);
        let bound = json!({ "nodeName": "node-a" });
        for spec in [&spec, &bound, &json!({})] {
            prop_assert_eq!(eligible(&nodes, spec), eligible(&fresh, spec));
            let ProfileDistribution { eligible, unknown, lacking, lacking_names, found } =
                distribution(&nodes, spec, path);
            let having: usize = found.iter().map(|it| it.nodes).sum();
            prop_assert_eq!(eligible, unknown + lacking + having);
            prop_assert_eq!(lacking_names.len(), lacking.min(3));
            prop_assert!(found.iter().is_sorted_by(|a, b| a.nodes >= b.nodes));
            let again = distribution(&fresh, spec, path);
            prop_assert_eq!(ProfileDistribution { eligible, unknown, lacking, lacking_names, found }, again);
        }
        prop_assert_eq!(nodes.paths(), fresh.paths());
        let path = parsed(path);
        prop_assert_eq!(nodes.find(&path), nodes.paths().get(&path).copied());
    }
}

/// The nodes as they are, put in order from the last to the first.
fn rebuilt(present: &BTreeMap<&str, (Option<Node>, Option<Inventory>)>) -> Nodes {
    let mut nodes = Nodes::default();
    for (name, (node, inventory)) in present.iter().rev() {
        nodes.report(name, inventory.clone());
        if let Some(node) = node {
            nodes.put(name, node.clone());
        }
    }
    nodes
}

#[test]
fn too_many_tolerations_count_as_tolerating_every_taint() {
    let mut nodes = Nodes::default();
    let text = |it: &str| it.to_owned();
    let taint = Taint { key: text("gpu"), value: text(""), effect: text("NoSchedule") };
    nodes.put("node-a", Node { taints: vec![taint], ..Node::default() });
    let spec = |count: usize| json!({ "tolerations": vec![json!({ "key": "spot" }); count] });
    assert_eq!(eligible(&nodes, &spec(MOST_REQUIREMENTS)), Vec::<&str>::new());
    assert_eq!(eligible(&nodes, &spec(MOST_REQUIREMENTS + 1)), ["node-a"]);
}

#[test]
fn an_affinity_that_is_too_long_counts_as_met_by_every_node() {
    let mut nodes = Nodes::default();
    nodes.put("node-a", Node::default());
    let spec = |count: usize| {
        let expression = json!({ "key": "zone", "operator": "Exists" });
        let terms = json!([{ "matchExpressions": vec![expression; count] }]);
        json!({ "affinity": { "nodeAffinity": { REQUIRED: { "nodeSelectorTerms": terms } } } })
    };
    assert_eq!(eligible(&nodes, &spec(MOST_REQUIREMENTS)), Vec::<&str>::new());
    assert_eq!(eligible(&nodes, &spec(MOST_REQUIREMENTS + 1)), ["node-a"]);
}
