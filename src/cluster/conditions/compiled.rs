//! The condition `Compiled` of a policy: whether the API server itself sets its profiles.

use serde_json::Value;

use super::verdict::{Verdict, Wanted};
use crate::{cluster::read::policy_of, compile::sets_profiles, policy::Revision};

/// What the API server sets by policies, as far as this replica knows.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum InProcess {
    /// This replica does not keep that.
    #[default]
    Off,
    /// It keeps it, and has yet to find out what is stored.
    Unknown,
    /// The API server cannot set profiles itself; why.
    Unavailable(String),
    /// The spec of the stored `CompiledPolicies`.
    Holds(Value),
}

/// What is needed of a policy.
#[derive(Clone, Debug)]
pub(super) struct PolicySeen {
    pub(super) name: String,
    pub(super) revision: Revision,
    /// Whether it sets profiles; `None` if it cannot be read.
    pub(super) sets_profiles: Option<bool>,
}

impl PolicySeen {
    pub(super) fn new(name: &str, revision: Revision, manifest: &Result<Value, String>) -> Self {
        let policy = manifest.as_ref().ok().and_then(|it| policy_of(it).ok());
        let sets_profiles = policy.map(|it| sets_profiles(&it.policy));
        Self { name: name.to_owned(), revision, sets_profiles }
    }

    /// The condition that a policy is to have. It is unknown while the API server still has what was
    /// made of another version of the policy.
    pub(super) fn wanted(&self, in_process: &InProcess) -> Wanted {
        match (in_process, self.sets_profiles) {
            (InProcess::Off, _) => Wanted::Nothing,
            (InProcess::Unknown, _) => Wanted::Unknown,
            (_, None) => no("Unreadable", "callgate cannot read the policy"),
            (InProcess::Unavailable(why), Some(true)) => {
                no("NotServed", &format!("the webhook alone sets its profiles: {why}"))
            }
            (InProcess::Unavailable(_), Some(false)) => yes("SetsNoProfile", NOTHING),
            (InProcess::Holds(spec), Some(sets_profiles)) => {
                let entry = &spec["policies"][&self.name];
                if !sets_profiles && entry.is_null() {
                    yes("SetsNoProfile", NOTHING)
                } else if sets_profiles && self.is_source_of(entry) {
                    of_entry(entry)
                } else {
                    Wanted::Unknown
                }
            }
        }
    }

    fn is_source_of(&self, entry: &Value) -> bool {
        let Revision { uid, generation } = &self.revision;
        let source = &entry["source"];
        source["uid"] == uid.as_str() && source["generation"] == *generation
    }
}

const NOTHING: &str = "it sets no profile";

/// `entry` is what is stored for the policy.
fn of_entry(entry: &Value) -> Wanted {
    let list = |key: &str| entry[key].as_array().map(Vec::as_slice).unwrap_or_default();
    let left: Vec<_> = list("left").iter().filter_map(Value::as_str).collect();
    let left = left.join("; ");
    let sets_some = list("choices").iter().any(|it| it.get("profile").is_some());
    match (sets_some, left.is_empty()) {
        (true, true) => yes("Complete", "the API server sets its profiles"),
        (true, false) => yes("Partial", &format!("left to the webhook: {left}")),
        (false, _) => no("LeftToWebhook", &format!("left to the webhook: {left}")),
    }
}

fn yes(reason: &'static str, message: &str) -> Wanted {
    Wanted::Is(Verdict::new("True", reason, message))
}

fn no(reason: &'static str, message: &str) -> Wanted {
    Wanted::Is(Verdict::new("False", reason, message))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    fn policy(spec: &Value) -> PolicySeen {
        let manifest = json!({
            "apiVersion": "callgate.dev/v1alpha1", "kind": "SeccompPolicy",
            "metadata": { "name": "shop" }, "spec": spec,
        });
        let revision = Revision { uid: "u".to_owned(), generation: 3 };
        PolicySeen::new("shop", revision, &Ok(manifest))
    }

    fn sets() -> Value {
        json!({ "default": { "type": "RuntimeDefault" } })
    }

    /// An object with an entry for the policy, made of this version of it.
    fn holds(uid: &str, generation: i64, choices: &Value, left: &Value) -> InProcess {
        let source = json!({ "uid": uid, "generation": generation });
        let entry = json!({ "source": source, "choices": choices, "left": left });
        InProcess::Holds(json!({ "policies": { "shop": entry } }))
    }

    fn chosen() -> Value {
        json!([{ "requirements": [], "profile": { "type": "RuntimeDefault" } }])
    }

    #[rstest]
    #[case::all_of_it(
        &sets(), holds("u", 3, &chosen(), &json!([])),
        "True", "Complete", "the API server sets its profiles"
    )]
    #[case::a_part(
        &sets(), holds("u", 3, &chosen(), &json!(["exemption \"a\"", "exemption \"b\""])),
        "True", "Partial", "left to the webhook: exemption \"a\"; exemption \"b\""
    )]
    #[case::nothing_of_it(
        &sets(), holds("u", 3, &json!([]), &json!(["all pods: it is too large"])),
        "False", "LeftToWebhook", "left to the webhook: all pods: it is too large"
    )]
    #[case::a_choice_without_a_profile(
        &sets(), holds("u", 3, &json!([{ "requirements": [] }]), &json!(["spec.default"])),
        "False", "LeftToWebhook", "left to the webhook: spec.default"
    )]
    #[case::it_sets_none(
        &json!({}), InProcess::Holds(json!({ "policies": {} })),
        "True", "SetsNoProfile", "it sets no profile"
    )]
    #[case::the_api_is_missing(
        &sets(), InProcess::Unavailable("the API server is old".to_owned()),
        "False", "NotServed", "the webhook alone sets its profiles: the API server is old"
    )]
    #[case::it_sets_none_where_the_api_is_missing(
        &json!({}), InProcess::Unavailable("the API server is old".to_owned()),
        "True", "SetsNoProfile", "it sets no profile"
    )]
    #[case::it_cannot_be_read(
        &json!({ "default": 7 }), holds("u", 3, &chosen(), &json!([])),
        "False", "Unreadable", "callgate cannot read the policy"
    )]
    fn a_policy_is_compiled(
        #[case] spec: &Value,
        #[case] in_process: InProcess,
        #[case] status: &'static str,
        #[case] reason: &'static str,
        #[case] message: &str,
    ) {
        let expected = Wanted::Is(Verdict { status, reason, message: message.to_owned() });
        assert_eq!(policy(spec).wanted(&in_process), expected);
    }

    #[rstest]
    #[case::before_the_object_is_listed(&sets(), InProcess::Unknown)]
    #[case::of_an_earlier_version(&sets(), holds("u", 2, &chosen(), &json!([])))]
    #[case::of_a_policy_that_was_deleted(&sets(), holds("v", 3, &chosen(), &json!([])))]
    #[case::before_it_is_there(&sets(), InProcess::Holds(json!({ "policies": {} })))]
    #[case::of_a_version_that_set_profiles(&json!({}), holds("u", 2, &chosen(), &json!([])))]
    #[case::there_is_no_object(&sets(), InProcess::Holds(Value::Null))]
    fn nothing_is_known_of_a_policy(#[case] spec: &Value, #[case] in_process: InProcess) {
        assert_eq!(policy(spec).wanted(&in_process), Wanted::Unknown);
    }

    #[test]
    fn a_replica_that_does_not_keep_the_object_has_no_verdict() {
        assert_eq!(policy(&sets()).wanted(&InProcess::Off), Wanted::Nothing);
    }
}
