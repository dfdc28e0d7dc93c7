//! Generated nodes, and generated scheduling constraints of pods.
//!
//! There are few different values, so that constraints are often met; an API
//! server accepts all of them.

use std::collections::BTreeMap;

use callgate::placement::{Node, Taint};
use proptest::{
    collection::{btree_map, vec},
    option,
    prelude::*,
    sample::{select, subsequence},
};
use serde_json::{Value, json};

pub const NAMES: [&str; 6] = ["node-a", "node-b", "node-c", "node-d", "node-e", "node-f"];

const KEYS: [&str; 5] = ["zone", "cores", "example.com/disk", "gpu", "lost"];
const VALUES: [&str; 7] = ["z1", "z2", "8", "16", "016", "many", ""];
const EFFECTS: [&str; 3] = ["NoSchedule", "NoExecute", "PreferNoSchedule"];
const TAINTS: [&str; 3] = ["dedicated", "spot", "node.kubernetes.io/unschedulable"];
const TAINT_VALUES: [&str; 3] = ["", "true", "db"];

/// Some nodes by their names.
pub fn nodes() -> impl Strategy<Value = BTreeMap<&'static str, Node>> {
    btree_map(select(NAMES.to_vec()), node(), NAMES.len())
}

pub fn node() -> impl Strategy<Value = Node> {
    // The last key is on no node.
    let labels = btree_map(select(KEYS[..4].to_vec()), select(VALUES.to_vec()), 0..4);
    let taint = (select(TAINTS.to_vec()), select(TAINT_VALUES.to_vec()), select(EFFECTS.to_vec()));
    // The API server takes no two taints of the same key and effect.
    let taints = vec(taint, 0..4).prop_map(|it| {
        let taints = it.into_iter().map(|(key, value, effect)| ((key, effect), value));
        taints.collect::<BTreeMap<_, _>>()
    });
    let taints = prop_oneof![1 => Just(BTreeMap::new()), 1 => taints];
    (labels, taints, any::<u8>()).prop_map(|(labels, taints, cordon)| Node {
        labels: labels.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect(),
        taints: taints
            .into_iter()
            .map(|((key, effect), value)| Taint {
                key: key.to_owned(),
                value: value.to_owned(),
                effect: effect.to_owned(),
            })
            .collect(),
        unschedulable: cordon < 40,
    })
}

/// A spec with only scheduling constraints, not bound to a node.
pub fn demands() -> impl Strategy<Value = Value> {
    let selector = btree_map(select(KEYS[..3].to_vec()), select(VALUES.to_vec()), 0..2);
    (option::weighted(0.3, selector), option::weighted(0.8, vec(term(), 1..4)), tolerations())
        .prop_map(|(selector, terms, tolerations)| {
            let mut spec = json!({ "tolerations": tolerations });
            if let Some(selector) = selector {
                spec["nodeSelector"] = json!(selector);
            }
            if let Some(terms) = terms {
                spec["affinity"] = json!({ "nodeAffinity": {
                    "requiredDuringSchedulingIgnoredDuringExecution": { "nodeSelectorTerms": terms },
                }});
            }
            spec
        })
}

fn tolerations() -> impl Strategy<Value = Vec<Value>> {
    prop_oneof![
        3 => vec(toleration(), 0..5),
        1 => Just(vec![json!({ "operator": "Exists" })]),
    ]
}

pub fn toleration() -> impl Strategy<Value = Value> {
    let effect = prop_oneof![Just(None), select(EFFECTS.to_vec()).prop_map(Some)];
    let operator = option::of(select(vec!["Equal", "Exists"]));
    let value = select(TAINT_VALUES.to_vec());
    (option::weighted(0.9, select(TAINTS.to_vec())), operator, value, effect).prop_map(
        |(key, operator, value, effect)| {
            let mut toleration = json!({});
            // Without a key it has to be `Exists`, with which there is no value.
            let operator = if key.is_none() { Some("Exists") } else { operator };
            let value = (operator != Some("Exists")).then_some(value);
            let fields =
                [("key", key), ("operator", operator), ("value", value), ("effect", effect)];
            for (field, text) in fields {
                if let Some(text) = text {
                    toleration[field] = json!(text);
                }
            }
            toleration
        },
    )
}

fn term() -> impl Strategy<Value = Value> {
    (vec(expression(), 0..3), vec(field(), 0..=1), 0..4_u8).prop_map(
        |(expressions, fields, which)| match which {
            0 => json!({ "matchExpressions": expressions, "matchFields": fields }),
            1 => json!({ "matchFields": fields }),
            _ => json!({ "matchExpressions": expressions }),
        },
    )
}

pub fn expression() -> impl Strategy<Value = Value> {
    let key = || select(KEYS.to_vec());
    let among = select(vec!["In", "NotIn"]);
    let values = subsequence(VALUES.to_vec(), 1..5);
    let than = select(vec!["Gt", "Lt"]);
    // Of these the API server takes also those that the scheduler cannot parse.
    let bound = select(vec!["8", "12", "0016", "many", "", "9223372036854775808"]);
    prop_oneof![
        4 => (key(), among, values).prop_map(
            |(key, operator, values)| json!({ "key": key, "operator": operator, "values": values })
        ),
        3 => (key(), select(vec!["Exists", "DoesNotExist"]))
            .prop_map(|(key, operator)| json!({ "key": key, "operator": operator })),
        2 => (key(), than, bound).prop_map(
            |(key, operator, bound)| json!({ "key": key, "operator": operator, "values": [bound] })
        ),
    ]
}

fn field() -> impl Strategy<Value = Value> {
    (select(vec!["In", "NotIn"]), select(NAMES.to_vec())).prop_map(
        |(operator, name)| json!({ "key": "metadata.name", "operator": operator, "values": [name] }),
    )
}
