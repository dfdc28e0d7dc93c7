//! Mistakes in labels of namespaces and in policies, denied when they are written.

use crate::{
    group::{MODE_LABEL, POLICY_LABEL},
    policy::{Builtin, Labels, Mode, Policy, PolicyIndex, list},
};

/// What the API server says of a policy at this moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Presence {
    /// The API server was not asked, or did not answer: the index decides.
    #[default]
    Unknown,
    Absent,
    /// The policy exists and cannot be read, for this reason.
    Unreadable(String),
    There,
}

/// How many names a message lists; the others are counted.
const MOST_NAMED: usize = 5;

/// The first names of a list.
fn first<T>(names: &[T]) -> &[T] {
    &names[..names.len().min(MOST_NAMED)]
}

impl PolicyIndex {
    /// Why labels must not be written, or `None`. `before` are the labels that they replace: a
    /// label that does not change is not denied. `policy` is what the API server says of the policy
    /// that they name, unless it is built in.
    pub fn validate_labels(
        &self,
        before: &Labels,
        after: &Labels,
        policy: &Presence,
    ) -> Option<String> {
        if let Some(name) = after.policy.as_deref().filter(|_| after.policy != before.policy) {
            let why = match policy {
                Presence::There => None,
                Presence::Absent => Some(self.only_others_than(name)),
                Presence::Unreadable(why) => Some(cannot_be_read(name, why)),
                Presence::Unknown => {
                    (!self.policies.contains_key(name)).then(|| self.no_such_policy(name))
                }
            };
            if let Some(why) = why {
                return Some(format!("{POLICY_LABEL}={name}: {why}"));
            }
        }
        // With a new policy, a mode that had no effect takes effect.
        let counts = after.mode != before.mode || before.policy.is_none() && after.policy.is_some();
        if let Some(mode) = after.mode.as_deref().filter(|_| counts)
            && Mode::parse(mode).is_none()
        {
            let known = Mode::ALL.map(Mode::as_str).join(", ");
            return Some(format!(
                "{MODE_LABEL}={mode}: mode {mode:?} does not exist; the modes are {known}"
            ));
        }
        None
    }

    /// Why this policy must not be written, or `None`.
    pub fn validate_policy(&self, policy: &Policy) -> Option<String> {
        Builtin::reserves(policy.name())
    }

    /// Why the policy of this name must not be deleted, or `None`: all pods of the namespaces that
    /// name it would be denied. `obeying` are these namespaces as the API server lists them; without
    /// it the index decides.
    pub fn validate_policy_deletion(
        &self,
        policy: &str,
        obeying: Option<&[String]>,
    ) -> Option<String> {
        if self.default.as_deref() == Some(policy) {
            return Some(format!(
                "policy {policy:?} is what namespaces without a label obey (--default-policy)"
            ));
        }
        let obeying: Vec<&str> = match obeying {
            Some(live) => live.iter().map(String::as_str).collect(),
            None => self.obeying(policy),
        };
        let named = list::quoted(first(&obeying), obeying.len());
        (!obeying.is_empty()).then(|| {
            format!(
                "policy {policy:?} governs namespaces {named}; change their label {POLICY_LABEL} first"
            )
        })
    }

    /// Why a policy cannot be used: it does not exist, or cannot be read.
    pub fn no_such_policy(&self, name: &str) -> String {
        if let Some(why) = self.unreadable.get(name) {
            return cannot_be_read(name, why);
        }
        self.only_others_than(name)
    }

    fn only_others_than(&self, name: &str) -> String {
        let others = self.policies.keys().map(String::as_str).filter(|it| *it != name);
        let (mut others, own): (Vec<_>, Vec<_>) =
            others.partition(|it| Builtin::named(it).is_some());
        others.extend(own);
        let named = list::of(first(&others), others.len());
        format!("policy {name:?} does not exist; the policies are {named}")
    }
}

fn cannot_be_read(name: &str, why: &str) -> String {
    format!("the policy {name:?} cannot be read: {why}")
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::policy::index::tests::{index, labels};

    #[rstest]
    #[case::a_policy_that_is_there(labels(None, None), labels(Some("baseline"), None), None)]
    #[case::a_policy_that_is_not(
        labels(None, None),
        labels(Some("strict"), None),
        Some(
            "callgate.dev/policy=strict: policy \"strict\" does not exist; the policies are baseline, restricted"
        )
    )]
    #[case::no_such_mode(
        labels(None, None),
        labels(Some("baseline"), Some("loud")),
        Some(
            "callgate.dev/mode=loud: mode \"loud\" does not exist; the modes are enforce, warn, audit"
        )
    )]
    #[case::no_such_mode_without_a_policy(
        labels(None, None),
        labels(None, Some("loud")),
        Some(
            "callgate.dev/mode=loud: mode \"loud\" does not exist; the modes are enforce, warn, audit"
        )
    )]
    #[case::it_begins_to_count(
        labels(None, Some("loud")),
        labels(Some("baseline"), Some("loud")),
        Some(
            "callgate.dev/mode=loud: mode \"loud\" does not exist; the modes are enforce, warn, audit"
        )
    )]
    #[case::a_mode_that_was_there_before(
        labels(Some("baseline"), Some("loud")),
        labels(Some("restricted"), Some("loud")),
        None
    )]
    #[case::it_was_there_before(labels(Some("gone"), None), labels(Some("gone"), None), None)]
    #[case::it_is_taken_away(labels(Some("gone"), None), labels(None, None), None)]
    fn objects_to_labels_when_they_are_written(
        #[case] before: Labels,
        #[case] after: Labels,
        #[case] expected: Option<&str>,
    ) {
        assert_eq!(
            index(None).validate_labels(&before, &after, &Presence::Unknown).as_deref(),
            expected
        );
    }

    #[test]
    fn objects_to_the_end_of_a_policy_that_somebody_obeys() {
        let objection = |it: &str, default| index(default).validate_policy_deletion(it, None);
        assert_eq!(
            objection("restricted", None).unwrap(),
            "policy \"restricted\" governs namespaces \"bank\", \"shop\"; change their label callgate.dev/policy first"
        );
        assert_eq!(
            objection("own", Some("own")).unwrap(),
            "policy \"own\" is what namespaces without a label obey (--default-policy)"
        );
        assert_eq!(objection("own", None), None);
    }

    #[rstest]
    #[case::it_has_come_since("new", Presence::There, None)]
    #[case::it_has_gone_since(
        "restricted",
        Presence::Absent,
        Some("policy \"restricted\" does not exist; the policies are baseline")
    )]
    #[case::it_means_nothing("new", Presence::Unreadable("no spec".into()),
        Some("the policy \"new\" cannot be read: no spec"))]
    #[case::nobody_can_say(
        "new",
        Presence::Unknown,
        Some("policy \"new\" does not exist; the policies are baseline, restricted")
    )]
    fn a_live_look_up_overrides_the_snapshot(
        #[case] name: &str,
        #[case] policy: Presence,
        #[case] expected: Option<&str>,
    ) {
        let (before, after) = (labels(None, None), labels(Some(name), None));
        let expected = expected.map(|it| format!("callgate.dev/policy={name}: {it}"));
        assert_eq!(index(None).validate_labels(&before, &after, &policy), expected);
    }

    #[test]
    fn the_live_look_up_decides_which_namespaces_name_a_policy() {
        let objection =
            |live: &[String]| index(None).validate_policy_deletion("restricted", Some(live));
        assert_eq!(objection(&[]), None, "they have been labelled otherwise since");
        assert_eq!(
            objection(&["new".to_owned()]).unwrap(),
            "policy \"restricted\" governs namespaces \"new\"; change their label callgate.dev/policy first"
        );
    }
}
