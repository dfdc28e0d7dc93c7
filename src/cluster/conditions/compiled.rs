//! The condition `Compiled` of a policy: whether the API server itself sets its profiles.

use serde_json::Value;

use super::verdict::{Verdict, Wanted};
use crate::{
    cluster::read::policy_of,
    compile::{Data, data, source, source_of, why_left},
    policy::Revision,
};

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
    pub(super) sets: Sets,
}

/// What a policy sets.
#[derive(Clone, Debug)]
pub(super) enum Sets {
    /// It cannot be read.
    Unknown,
    Nothing,
    Profiles {
        /// Whether the API server can set any of them.
        some: bool,
        left: Vec<String>,
    },
}

impl PolicySeen {
    pub(super) fn new(name: &str, revision: Revision, manifest: &Result<Value, String>) -> Self {
        let policy = manifest.as_ref().ok().and_then(|it| policy_of(it).ok());
        let sets = match policy.map(|it| data(&it.policy)) {
            None => Sets::Unknown,
            Some(None) => Sets::Nothing,
            Some(Some(Data { sets_some, left, .. })) => Sets::Profiles { some: sets_some, left },
        };
        Self { name: name.to_owned(), revision, sets }
    }

    /// The condition that a policy is to have. It is unknown while the API server still has what was
    /// made of another version of the policy.
    pub(super) fn wanted(&self, in_process: &InProcess) -> Wanted {
        match (in_process, &self.sets) {
            (InProcess::Off, _) => Wanted::Nothing,
            (InProcess::Unknown, _) => Wanted::Unknown,
            (_, Sets::Unknown) => no("Unreadable", "callgate cannot read the policy"),
            (InProcess::Unavailable(why), Sets::Profiles { .. }) => {
                no("NotServed", &format!("the webhook alone sets its profiles: {why}"))
            }
            (InProcess::Unavailable(_), Sets::Nothing) => yes("SetsNoProfile", NOTHING),
            (InProcess::Holds(spec), sets) => match (sets, spec["policies"].get(&self.name)) {
                (Sets::Nothing, None) => yes("SetsNoProfile", NOTHING),
                (Sets::Profiles { some, left }, Some(Value::String(text)))
                    if source(text) == Some(source_of(&self.revision)) =>
                {
                    of_text(text, *some, left)
                }
                _ => Wanted::Unknown,
            },
        }
    }
}

const NOTHING: &str = "it sets no profile";

/// `text` is what is stored for the policy.
fn of_text(text: &str, sets_some: bool, left: &[String]) -> Wanted {
    let why = match why_left(text) {
        Some(why) => format!("all pods: {why}"),
        None => left.join("; "),
    };
    let is_set = sets_some && why_left(text).is_none();
    match (is_set, why.is_empty()) {
        (true, true) => yes("Complete", "the API server sets its profiles"),
        (true, false) => yes("Partial", &format!("left to the webhook: {why}")),
        (false, _) => no("LeftToWebhook", &format!("left to the webhook: {why}")),
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

    fn exempts() -> Value {
        let exemption = |name: &str| {
            json!({
                "name": name, "reason": "r", "owner": "o", "rules": ["unset"],
                "match": { "containers": ["agent"] },
            })
        };
        json!({
            "default": { "type": "RuntimeDefault" }, "exemptions": [exemption("a"), exemption("b")],
        })
    }

    fn pins() -> Value {
        let profile = json!({ "type": "Localhost", "localhostProfile": "callgate/a.json" });
        json!({ "default": profile, "placement": "Pin" })
    }

    /// An object with this text for the policy.
    fn holds(text: &str) -> InProcess {
        InProcess::Holds(json!({ "policies": { "shop": text } }))
    }

    #[rstest]
    #[case::all_of_it(
        &sets(), holds("* => RuntimeDefault\ngeneration 3 of u"),
        "True", "Complete", "the API server sets its profiles"
    )]
    #[case::a_part(
        &exempts(), holds("* => RuntimeDefault\ngeneration 3 of u"),
        "True", "Partial", "left to the webhook: exemption \"a\" from unset: pods that it may apply \
        to; exemption \"b\" from unset: pods that it may apply to"
    )]
    #[case::nothing_since_it_is_too_large(
        &sets(), holds("left to the webhook: it is too large\ngeneration 3 of u"),
        "False", "LeftToWebhook", "left to the webhook: all pods: it is too large"
    )]
    #[case::nothing_since_it_pins(
        &pins(), holds("pin\n* => webhook\ngeneration 3 of u"),
        "False", "LeftToWebhook", "left to the webhook: spec.default, Localhost \
        \"callgate/a.json\": under placement Pin its pods also get a node affinity"
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
        &json!({ "default": 7 }), holds("* => RuntimeDefault\ngeneration 3 of u"),
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
    #[case::of_an_earlier_version(&sets(), holds("* => RuntimeDefault\ngeneration 2 of u"))]
    #[case::of_a_policy_that_was_deleted(&sets(), holds("* => RuntimeDefault\ngeneration 3 of v"))]
    #[case::before_it_is_there(&sets(), InProcess::Holds(json!({ "policies": {} })))]
    #[case::of_a_version_that_set_profiles(&json!({}), holds("* => RuntimeDefault\ngeneration 2 of u"))]
    #[case::there_is_no_object(&sets(), InProcess::Holds(Value::Null))]
    #[case::of_an_earlier_callgate(&sets(), InProcess::Holds(json!({ "policies": { "shop": {
        "source": { "uid": "u", "generation": 3 }, "choices": [], "left": [],
    } } })))]
    fn nothing_is_known_of_a_policy(#[case] spec: &Value, #[case] in_process: InProcess) {
        assert_eq!(policy(spec).wanted(&in_process), Wanted::Unknown);
    }

    #[test]
    fn a_replica_that_does_not_keep_the_object_has_no_verdict() {
        assert_eq!(policy(&sets()).wanted(&InProcess::Off), Wanted::Nothing);
    }
}
