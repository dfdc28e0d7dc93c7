//! A policy as a cluster stores it, which a newer version of callgate may have written.
//!
//! While replicas of two versions run, the older ones read fields that they do not know. They
//! enforce the policy without such a field, unless an exemption could then apply to more, or a
//! binding select other pods. CONTRIBUTING.md has the rules by which the types may change.

use serde_json::{Map, Value};

use crate::policy::{Policy, rules::RULES};

/// A policy, and the fields of it that this version does not know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    pub policy: Policy,
    /// A message for each such field.
    pub unknown: Vec<String>,
    /// The version of the object that it was read from.
    pub revision: Revision,
}

/// A version of an object of the cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Revision {
    /// `metadata.uid`, which differs if the object was deleted and created again.
    pub uid: String,
    /// `metadata.generation`, which counts the changes of the spec.
    pub generation: i64,
}

const OBJECT: &[&str] = &["apiVersion", "kind", "metadata", "spec", "status"];
const SPEC: &[&str] =
    &["default", "bindings", "placement", "templates", "rules", "runtimeHandlers", "exemptions"];
const PROFILE: &[&str] = &["type", "localhostProfile"];
const EXEMPTION: &[&str] = &["name", "reason", "owner", "expires", "rules", "match"];
const MATCH: &[&str] = &["namespaces", "serviceAccounts", "containers", "images"];

impl Stored {
    /// Reads an object of a cluster.
    ///
    /// Unknown fields of the object, of its spec and of its profiles are left out, and levels of
    /// unknown rules; so is every exemption with an unknown field, since the field may narrow it.
    ///
    /// # Errors
    /// What makes it unreadable. Unknown fields of a binding or its selector are among that: whether
    /// it selects a pod is then unknown, and either answer may be the weaker one. So are unknown
    /// values of known fields.
    pub fn read(object: &Value) -> Result<Self, serde_json::Error> {
        let mut object = object.clone();
        let mut unknown = Vec::new();
        leave_out(&mut object, &mut unknown);
        let policy = Policy::read(&object)?;
        Ok(Self { policy, unknown, revision: Revision::default() })
    }
}

fn leave_out(object: &mut Value, unknown: &mut Vec<String>) {
    keep_known(object, OBJECT, "", unknown);
    let Some(spec) = object.get_mut("spec") else { return };
    keep_known(spec, SPEC, "spec.", unknown);
    if let Some(profile) = spec.get_mut("default") {
        keep_known(profile, PROFILE, "spec.default.", unknown);
    }
    for (at, binding) in list(spec, "bindings").into_iter().flatten().enumerate() {
        if let Some(profile) = binding.get_mut("profile") {
            keep_known(profile, PROFILE, &format!("spec.bindings[{at}].profile."), unknown);
        }
    }
    let rules: Vec<_> = RULES.iter().map(|it| it.id).collect();
    if let Some(levels) = spec.get_mut("rules") {
        keep_known(levels, &rules, "spec.rules.", unknown);
    }
    if let Some(exemptions) = list(spec, "exemptions") {
        let mut at = 0;
        exemptions.retain_mut(|it| {
            let path = format!("spec.exemptions[{at}]");
            at += 1;
            applies(it, &path, &rules, unknown)
        });
    }
}

/// Whether this version knows all fields of an exemption; unknown rules are removed from it.
fn applies(
    exemption: &mut Value,
    path: &str,
    known_rules: &[&str],
    unknown: &mut Vec<String>,
) -> bool {
    let strange = strange(exemption, EXEMPTION, "")
        .chain(exemption.get("match").into_iter().flat_map(|it| strange(it, MATCH, "match.")));
    let before = unknown.len();
    unknown.extend(strange.map(|it| format!("{path}.{it}, so that exemption does not apply")));
    if unknown.len() > before {
        return false;
    }
    let Some(rules) = list(exemption, "rules") else { return true };
    let there_were_some = !rules.is_empty();
    rules.retain(|rule| {
        let Some(id) = rule.as_str() else { return true };
        let is_known = known_rules.contains(&id);
        if !is_known {
            unknown.push(format!("{path}.rules: {id}"));
        }
        is_known
    });
    !(there_were_some && rules.is_empty())
}

/// The fields of an object that are not in a list.
fn strange<'a>(
    object: &'a Value,
    known: &'a [&str],
    prefix: &'a str,
) -> impl Iterator<Item = String> + 'a {
    let fields = object.as_object().into_iter().flat_map(Map::keys);
    fields.filter(|it| !known.contains(&it.as_str())).map(move |it| format!("{prefix}{it}"))
}

fn keep_known(object: &mut Value, known: &[&str], prefix: &str, unknown: &mut Vec<String>) {
    unknown.extend(strange(object, known, prefix));
    if let Some(fields) = object.as_object_mut() {
        fields.retain(|key, _| known.contains(&key.as_str()));
    }
}

fn list<'a>(object: &'a mut Value, key: &str) -> Option<&'a mut Vec<Value>> {
    object.get_mut(key)?.as_array_mut()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;
    use crate::policy::Level;

    /// Every field that there is.
    fn object() -> Value {
        let exemption = |name: &str| {
            json!({
                "name": name, "reason": "it must", "owner": "team-a", "expires": "2999-12-31",
                "rules": ["privileged", "unset"],
                "match": {
                    "namespaces": ["shop"], "serviceAccounts": ["web"], "containers": ["app"],
                    "images": ["app"],
                },
            })
        };
        let profile = json!({ "type": "Localhost", "localhostProfile": "a.json" });
        json!({
            "apiVersion": "callgate.dev/v1alpha1", "kind": "SeccompPolicy",
            "metadata": { "name": "own", "uid": "1" },
            "spec": {
                "default": profile,
                "bindings": [{
                    "podSelector": {
                        "matchLabels": { "app": "web" },
                        "matchExpressions": [{ "key": "a", "operator": "In", "values": ["b"] }],
                    },
                    "profile": profile,
                }],
                "placement": "Check",
                "templates": "Warn",
                "rules": { "privileged": "Deny" },
                "exemptions": [exemption("one"), exemption("two")],
            },
            "status": { "conditions": [] },
        })
    }

    fn with(pointer: &str, field: &str) -> Value {
        let mut object = object();
        let at = object.pointer_mut(pointer).expect("it is there");
        at[field] = json!("anything");
        object
    }

    #[test]
    fn what_this_version_writes_it_knows() {
        let stored = Stored::read(&object()).unwrap();
        assert_eq!(stored.unknown, Vec::<String>::new());
        assert_eq!(stored.policy, Policy::read(&object()).unwrap());
    }

    #[rstest]
    #[case::of_the_object("", "extra", "extra")]
    #[case::of_the_spec("/spec", "extra", "spec.extra")]
    #[case::of_the_default("/spec/default", "extra", "spec.default.extra")]
    #[case::of_a_bound_profile(
        "/spec/bindings/0/profile",
        "extra",
        "spec.bindings[0].profile.extra"
    )]
    #[case::a_level_of_a_rule_to_come("/spec/rules", "no-such-rule", "spec.rules.no-such-rule")]
    fn an_unknown_field_is_reported_and_changes_nothing(
        #[case] pointer: &str,
        #[case] field: &str,
        #[case] message: &str,
    ) {
        let object = with(pointer, field);
        let stored = Stored::read(&object).unwrap();
        assert_eq!(stored.unknown, [message]);
        assert_eq!(stored.policy, Policy::read(&self::object()).unwrap());
        assert!(Policy::read(&object).is_err(), "to be written it is refused");
    }

    #[rstest]
    #[case::of_the_exemption("/spec/exemptions/0", "spec.exemptions[0].extra")]
    #[case::of_its_match("/spec/exemptions/0/match", "spec.exemptions[0].match.extra")]
    fn an_exemption_with_a_field_to_come_does_not_apply(
        #[case] pointer: &str,
        #[case] message: &str,
    ) {
        let stored = Stored::read(&with(pointer, "extra")).unwrap();
        assert_eq!(stored.unknown, [format!("{message}, so that exemption does not apply")]);
        let names: Vec<_> =
            stored.policy.exemptions().iter().map(|it| it.name.as_str().to_owned()).collect();
        assert_eq!(names, ["two"]);
    }

    #[test]
    fn an_exemption_from_a_rule_to_come_is_one_from_the_others() {
        let mut object = object();
        object["spec"]["exemptions"][0]["rules"] = json!(["no-such-rule"]);
        object["spec"]["exemptions"][1]["rules"] = json!(["privileged", "no-such-rule"]);
        let stored = Stored::read(&object).unwrap();
        let message = [0, 1].map(|at| format!("spec.exemptions[{at}].rules: no-such-rule"));
        assert_eq!(stored.unknown, message);
        let mut expected = self::object();
        expected["spec"]["exemptions"][1]["rules"] = json!(["privileged"]);
        expected["spec"]["exemptions"].as_array_mut().unwrap().remove(0);
        assert_eq!(stored.policy, Policy::read(&expected).unwrap());
    }

    #[rstest]
    #[case::a_field_of_a_binding("/spec/bindings/0", "extra")]
    #[case::a_field_of_a_selector("/spec/bindings/0/podSelector", "extra")]
    #[case::a_field_of_a_requirement("/spec/bindings/0/podSelector/matchExpressions/0", "extra")]
    #[case::an_operator("/spec/bindings/0/podSelector/matchExpressions/0", "operator")]
    #[case::a_placement("/spec", "placement")]
    #[case::an_answer_to_templates("/spec", "templates")]
    #[case::a_level("/spec/rules", "privileged")]
    #[case::a_type_of_profile("/spec/default", "type")]
    #[case::a_version("", "apiVersion")]
    fn an_unknown_field_that_could_weaken_a_policy_makes_it_unreadable(
        #[case] pointer: &str,
        #[case] field: &str,
    ) {
        assert!(Stored::read(&with(pointer, field)).is_err());
    }

    #[test]
    fn what_is_no_policy_at_all_is_an_error_and_no_panic() {
        for object in [
            json!(null),
            json!([]),
            json!({ "spec": [] }),
            json!({ "spec": {
            "rules": [], "exemptions": {}, "bindings": 1, "default": "a",
        } }),
        ] {
            assert!(Stored::read(&object).is_err(), "{object}");
        }
        let stored = Stored::read(&with("/spec/rules", "no-such-rule")).unwrap();
        let privileged = RULES.iter().find(|it| it.id == "privileged").unwrap();
        assert_eq!(stored.policy.level(privileged), Level::Deny);
    }
}
