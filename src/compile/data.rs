//! A policy as data for the `MutatingAdmissionPolicy` of the component `in-process`, which is the
//! same for every policy and reads what it has to set from an object.
//!
//! The API server copies that object three times for each pod, with all policies. So what a policy
//! sets is one text, which costs little to copy and which CEL takes apart only for the policy of the
//! namespace. From top to bottom, the first line decides that applies to the pod:
//!
//! ```text
//! exempt namespaces shop,bank serviceAccounts * containers agent images r.io/*/agent@*
//! pin
//! app=web|app=api,!tier=back,team => Localhost callgate/web.json
//! app=batch => webhook
//! * => RuntimeDefault
//! generation 7 of 0e2a44b1
//! ```
//!
//! A pod to which a line applies that names no profile is left to the webhook. A line that says
//! something else than these applies to every pod.

use super::{choices, expressions::Choice, sets_profiles, unset_exemptions};
use crate::policy::{
    Exemption, Glob, Match, Operator, Placement, Policy, Profile, Requirement, Revision, Selector,
};

/// What the API server sets for a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Data {
    /// What it is to read.
    pub text: String,
    /// Whether it sets a profile for any pod.
    pub sets_some: bool,
    /// What is left to the webhook, and why.
    pub left: Vec<String>,
}

/// The first line of a text that leaves all pods to the webhook, before the reason.
const LEFT: &str = "left to the webhook: ";

/// None: the policy sets no profile.
pub fn data(policy: &Policy) -> Option<Data> {
    if !sets_profiles(policy) {
        return None;
    }
    let (choices, mut left) = choices(policy);
    let (exemptions, exempt) = unset_exemptions(policy);
    left.extend(exempt);
    let sets_some = choices.iter().any(|it| it.profile.is_some());
    let exemptions = exemptions.into_iter().filter_map(exemption);
    let pin = (policy.placement() == Placement::Pin).then(|| "pin".to_owned());
    let choices = choices.iter().filter_map(choice);
    let lines: Vec<_> = exemptions.chain(pin).chain(choices).collect();
    Some(Data { text: lines.join("\n"), sets_some, left })
}

/// The text that leaves all pods to the webhook.
pub fn left(why: &str) -> String {
    format!("{LEFT}{why}")
}

/// Why a text leaves all pods to the webhook, if it does nothing else.
pub fn why_left(text: &str) -> Option<&str> {
    text.lines().next()?.strip_prefix(LEFT)
}

/// The text with the version of the policy of which it was made.
pub fn with_source(text: &str, revision: &Revision) -> String {
    let Revision { generation, .. } = revision;
    format!("{text}\ngeneration {generation} of {}", object(revision))
}

/// The version of the policy of which a text was made: the object and its generation.
pub fn source(text: &str) -> Option<(&str, i64)> {
    let last = text.lines().next_back()?.strip_prefix("generation ")?;
    let (generation, object) = last.split_once(" of ")?;
    Some((object, generation.parse().ok()?))
}

/// The same of a version.
pub fn source_of(revision: &Revision) -> (&str, i64) {
    (object(revision), revision.generation)
}

/// The first part of a uid is enough to tell the objects apart that had the same name.
fn object(Revision { uid, .. }: &Revision) -> &str {
    uid.split('-').next().unwrap_or_default()
}

/// None: no pod is selected.
fn choice(Choice { selector, profile, .. }: &Choice<'_>) -> Option<String> {
    let requirements = selector.map_or(Some(Vec::new()), requirements)?;
    let pods = if requirements.is_empty() { "*".to_owned() } else { requirements.join(",") };
    // A path has no line break (`ProfilePath`).
    let profile = match profile {
        None => "webhook".to_owned(),
        Some(Profile::RuntimeDefault) => "RuntimeDefault".to_owned(),
        Some(Profile::Localhost(path)) => format!("Localhost {}", path.as_str()),
    };
    Some(format!("{pods} => {profile}"))
}

/// None: no labels fulfil them.
fn requirements(Selector { match_labels, match_expressions }: &Selector) -> Option<Vec<String>> {
    let mut all = Vec::new();
    for (key, value) in match_labels {
        all.push(among(key, [value])?);
    }
    for Requirement { key, operator } in match_expressions {
        match operator {
            Operator::In(values) => all.push(among(key, values)?),
            Operator::NotIn(values) => all.extend(among(key, values).map(|it| format!("!{it}"))),
            Operator::Exists => all.push(is_plain(key).then(|| key.clone())?),
            Operator::DoesNotExist => all.extend(is_plain(key).then(|| format!("!{key}"))),
        }
    }
    Some(all)
}

/// None: no label is among them.
fn among<'a>(key: &str, values: impl IntoIterator<Item = &'a String>) -> Option<String> {
    let values = values.into_iter().filter(|it| is_plain(it));
    let all: Vec<_> = values.map(|it| format!("{key}={it}")).collect();
    (is_plain(key) && !all.is_empty()).then(|| all.join("|"))
}

/// Whether a label, or the name of a namespace, an account or a container, can be this text: the API
/// server rejects pods with others. None of these characters separates parts of a line.
fn is_plain(text: &str) -> bool {
    text.bytes().all(|it| it.is_ascii_alphanumeric() || b"-_./".contains(&it))
}

/// To which pods an exemption may apply. None: to no pod.
fn exemption(it: &Exemption) -> Option<String> {
    let Match { namespaces, service_accounts, containers, images } = it.scope();
    let mut words = vec!["exempt".to_owned()];
    let lists = [
        ("namespaces", namespaces),
        ("serviceAccounts", service_accounts),
        ("containers", containers),
    ];
    for (what, names) in lists {
        let all = names.as_ref().map(|it| it.iter().filter(|it| is_plain(it)));
        let all = all.map(|it| it.map(String::as_str).collect::<Vec<_>>());
        let all = all.unwrap_or_else(|| vec!["*"]);
        if all.is_empty() {
            return None;
        }
        words.extend([what.to_owned(), all.join(",")]);
    }
    let images = images.as_ref().map(|it| it.iter().map(image).collect::<Vec<_>>());
    let images = images.unwrap_or_else(|| vec!["*".to_owned()]);
    words.extend(["images".to_owned(), images.join(",")]);
    Some(words.join(" "))
}

/// A pattern that holds for every image for which the given one holds, and for few others: what
/// separates parts of a line is any text in it.
fn image(pattern: &Glob) -> String {
    let is_separator = |it: char| it == ',' || it.is_whitespace() || it.is_control();
    pattern.pieces().join("*").replace(is_separator, "*")
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;

    fn text(spec: &Value) -> String {
        let object = json!({
            "apiVersion": "callgate.dev/v1alpha1", "kind": "SeccompPolicy",
            "metadata": { "name": "shop" }, "spec": spec,
        });
        data(&Policy::parse(&object.to_string()).expect("a policy")).expect("it sets profiles").text
    }

    fn binding(selector: &Value) -> Value {
        let profile = json!({ "type": "Localhost", "localhostProfile": "a => b, c.json" });
        json!({ "bindings": [{ "podSelector": selector, "profile": profile }] })
    }

    /// The API server rejects pods with a label of other characters, so no pod has it.
    #[rstest]
    #[case::one_of_two(json!({ "key": "app", "operator": "In", "values": ["a|b", "c"] }), "app=c")]
    #[case::of_several(json!({ "key": "a.b/c_d", "operator": "In", "values": ["", "e-f"] }), "a.b/c_d=|a.b/c_d=e-f")]
    #[case::none_of_two(json!({ "key": "app", "operator": "NotIn", "values": ["a=b", "c", "d"] }), "!app=c|app=d")]
    #[case::none_of_what_cannot_be(json!({ "key": "app", "operator": "NotIn", "values": [",", "\n"] }), "*")]
    #[case::the_name_of_another_line(json!({ "key": "exempt", "operator": "Exists" }), "exempt")]
    #[case::a_key_that_cannot_be(json!({ "key": "a b", "operator": "DoesNotExist" }), "*")]
    fn a_requirement_is_written_for_labels_that_can_be(
        #[case] requirement: Value,
        #[case] expected: &str,
    ) {
        let spec = binding(&json!({ "matchExpressions": [requirement] }));
        assert_eq!(text(&spec), format!("{expected} => Localhost a => b, c.json"));
    }

    #[rstest]
    #[case::a_value(json!({ "matchLabels": { "app": "a, b" } }))]
    #[case::all_values(json!({ "matchExpressions": [{ "key": "app", "operator": "In", "values": ["!", "*"] }] }))]
    #[case::a_key(json!({ "matchExpressions": [{ "key": "a => b", "operator": "Exists" }] }))]
    fn a_binding_for_labels_that_cannot_be_is_left_out(#[case] selector: Value) {
        assert_eq!(text(&binding(&selector)), "");
    }

    #[rstest]
    #[case::any_image(json!({ "containers": ["a", "b"] }), "namespaces * serviceAccounts * containers a,b images *")]
    #[case::an_account(
        json!({ "namespaces": ["shop"], "serviceAccounts": ["robot"] }),
        "namespaces shop serviceAccounts robot containers * images *"
    )]
    #[case::what_separates_images(
        json!({ "images": ["a, b\n=> *", "r.io/*:1"] }),
        "namespaces * serviceAccounts * containers * images a**b*=>**,r.io/*:1"
    )]
    #[case::one_name_that_cannot_be(
        json!({ "containers": ["a images *", "b"] }),
        "namespaces * serviceAccounts * containers b images *"
    )]
    fn an_exemption_covers_no_less_than_it_says(#[case] scope: Value, #[case] expected: &str) {
        let exemption =
            json!({ "name": "e", "reason": "r", "owner": "o", "rules": ["unset"], "match": scope });
        let spec = json!({ "default": { "type": "RuntimeDefault" }, "exemptions": [exemption] });
        assert_eq!(text(&spec), format!("exempt {expected}\n* => RuntimeDefault"));
    }

    #[test]
    fn the_version_of_a_policy_is_read_back() {
        let uid = "0e2a44b1-5c1f-4b53-9f0e-000000000000".to_owned();
        let revision = Revision { uid, generation: 7 };
        let written = with_source("* => RuntimeDefault", &revision);
        assert_eq!(written, "* => RuntimeDefault\ngeneration 7 of 0e2a44b1");
        assert_eq!(source(&written), Some(source_of(&revision)));
        assert_eq!(source("* => RuntimeDefault"), None);
        assert_eq!(why_left(&with_source(&left("why"), &revision)), Some("why"));
        assert_eq!(why_left(&written), None);
    }
}
