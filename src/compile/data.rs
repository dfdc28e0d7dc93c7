//! A policy as data for the `MutatingAdmissionPolicy` of the component `in-process`, which is the
//! same for every policy and reads what it has to set from an object.

use serde_json::{Map, Value, json};

use super::{choices, sets_profiles, unset_exemptions};
use crate::policy::{Glob, Match, Operator, Placement, Policy, Profile, Requirement, Selector};

/// What the API server sets for a policy, and what is left to the webhook.
///
/// None: the policy sets no profile.
pub fn data(policy: &Policy) -> Option<Value> {
    if !sets_profiles(policy) {
        return None;
    }
    let (choices, mut left) = choices(policy);
    let (exemptions, exempt) = unset_exemptions(policy);
    left.extend(exempt);
    let choices = choices.iter().map(|it| {
        let mut choice =
            json!({ "requirements": it.selector.map(requirements).unwrap_or_default() });
        if let Some(profile) = it.profile {
            choice["profile"] = of_profile(profile);
        }
        choice
    });
    let exemptions = exemptions.into_iter().map(|it| exemption(it.scope()));
    Some(json!({
        "choices": choices.collect::<Vec<_>>(),
        "exemptions": exemptions.collect::<Vec<_>>(),
        "pins": policy.placement() == Placement::Pin,
        "left": left,
    }))
}

fn of_profile(profile: &Profile) -> Value {
    match profile {
        Profile::RuntimeDefault => json!({ "type": "RuntimeDefault" }),
        Profile::Localhost(path) => {
            json!({ "type": "Localhost", "localhostProfile": path.as_str() })
        }
    }
}

fn requirements(Selector { match_labels, match_expressions }: &Selector) -> Vec<Value> {
    let equal = match_labels
        .iter()
        .map(|(key, value)| json!({ "key": key, "operator": "In", "values": [value] }));
    equal.chain(match_expressions.iter().map(requirement)).collect()
}

fn requirement(Requirement { key, operator }: &Requirement) -> Value {
    match operator {
        Operator::In(values) => json!({ "key": key, "operator": "In", "values": values }),
        Operator::NotIn(values) => json!({ "key": key, "operator": "NotIn", "values": values }),
        Operator::Exists => json!({ "key": key, "operator": "Exists" }),
        Operator::DoesNotExist => json!({ "key": key, "operator": "DoesNotExist" }),
    }
}

/// To what an exemption may apply; a field that is missing does not restrict it.
fn exemption(scope: &Match) -> Value {
    let Match { namespaces, service_accounts, containers, images } = scope;
    let mut all = Map::new();
    let names = [
        ("namespaces", namespaces),
        ("serviceAccounts", service_accounts),
        ("containers", containers),
    ];
    for (key, names) in names {
        all.extend(names.as_ref().map(|it| (key.to_owned(), json!(it))));
    }
    let images = images.as_ref().map(|it| it.iter().map(image).collect::<Vec<_>>());
    all.extend(images.map(|it| ("images".to_owned(), json!(it))));
    Value::Object(all)
}

/// Holds for every image that the pattern matches, and for few others: the pieces may overlap.
fn image(pattern: &Glob) -> Value {
    let pieces = pattern.pieces();
    let (prefix, suffix) = (pieces.first(), pieces.last());
    let middle = pieces.get(1..pieces.len() - 1).unwrap_or_default();
    json!({ "prefix": prefix, "contains": middle, "suffix": suffix })
}
