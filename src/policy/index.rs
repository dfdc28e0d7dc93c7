//! Which policy governs which namespace, and in which mode.

use std::collections::BTreeMap;

use crate::{
    policy::{BUILTIN, Builtin, Mode, Policy},
    profile::ProfilePath,
};

/// The label by which a namespace opts in.
pub const POLICY_LABEL: &str = "callgate.dev/policy";

/// The label that sets the mode of a namespace.
pub const MODE_LABEL: &str = "callgate.dev/mode";

/// All policies, and the namespaces that they govern, at one moment.
///
/// A namespace is governed by at most one policy, so there is no precedence.
#[derive(Clone, Debug)]
pub struct PolicyIndex {
    policies: BTreeMap<String, Policy>,
    /// Policies that exist and cannot be read, with the reason.
    unreadable: BTreeMap<String, String>,
    namespaces: Namespaces,
    /// The policy of namespaces without a label; `None`: they are not governed.
    default: Option<String>,
    /// The mode of namespaces without a mode label.
    default_mode: Mode,
}

#[derive(Clone, Debug)]
enum Namespaces {
    /// Every namespace is governed by the default: there is no cluster.
    All,
    /// The namespaces of the cluster, with their labels.
    Known(BTreeMap<String, Labels>),
}

/// The labels of a namespace that callgate reads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Labels {
    pub policy: Option<String>,
    pub mode: Option<String>,
}

/// What governs a namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Governed<'a> {
    By(&'a Policy, Mode),
    /// The namespace has not opted in.
    ByNobody,
    /// The namespace names a policy that does not exist: its pods cannot be judged, so they are
    /// denied.
    UnknownPolicy(&'a str),
    /// The index does not know this namespace yet.
    Unknown,
}

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

fn and_more(count: usize) -> String {
    match count.saturating_sub(MOST_NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    }
}

impl PolicyIndex {
    /// One policy for every namespace.
    pub fn of_one(policy: Policy, default_mode: Mode) -> Self {
        let default = Some(policy.name().to_owned());
        let policies = BTreeMap::from([(policy.name().to_owned(), policy)]);
        let namespaces = Namespaces::All;
        Self { policies, unreadable: BTreeMap::new(), namespaces, default, default_mode }
    }

    /// The policies of a cluster beside the built-in ones, whose names are
    /// reserved, and its namespaces with their labels.
    pub fn of_cluster(
        policies: impl IntoIterator<Item = Policy>,
        namespaces: BTreeMap<String, Labels>,
        default: Option<String>,
    ) -> Self {
        let builtin = BUILTIN.iter().map(Builtin::policy);
        let all = policies.into_iter().chain(builtin);
        let policies = all.map(|it| (it.name().to_owned(), it)).collect();
        let namespaces = Namespaces::Known(namespaces);
        let default_mode = Mode::default();
        Self { policies, unreadable: BTreeMap::new(), namespaces, default, default_mode }
    }

    /// Whether a policy governs the namespaces of a cluster that have no label.
    pub fn has_default(&self) -> bool {
        self.default.is_some() && matches!(self.namespaces, Namespaces::Known(_))
    }

    /// The same, with this mode for namespaces without a mode label.
    #[must_use]
    pub fn with_default_mode(self, default_mode: Mode) -> Self {
        Self { default_mode, ..self }
    }

    /// The same, with policies that exist and cannot be read, and why.
    #[must_use]
    pub fn with_unreadable(self, unreadable: BTreeMap<String, String>) -> Self {
        Self { unreadable, ..self }
    }

    /// What governs a namespace of the index.
    pub fn governing(&self, namespace: &str) -> Governed<'_> {
        match &self.namespaces {
            Namespaces::All => self.by(self.default.as_deref(), self.default_mode),
            Namespaces::Known(known) => match known.get(namespace) {
                Some(labels) => self.governing_by(labels),
                None => Governed::Unknown,
            },
        }
    }

    /// What governs a namespace that has these labels.
    pub fn governing_by<'a>(&'a self, Labels { policy, mode }: &'a Labels) -> Governed<'a> {
        let mode = match mode.as_deref() {
            None => self.default_mode,
            // An unknown mode counts as the strictest, whatever the default.
            Some(it) => Mode::parse(it).unwrap_or_default(),
        };
        self.by(policy.as_deref().or(self.default.as_deref()), mode)
    }

    fn by<'a>(&'a self, name: Option<&'a str>, mode: Mode) -> Governed<'a> {
        let Some(name) = name else {
            return Governed::ByNobody;
        };
        self.policies.get(name).map_or(Governed::UnknownPolicy(name), |it| Governed::By(it, mode))
    }

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
        let reserved = Builtin::named(policy.name()).is_some();
        reserved.then(|| format!("the name {:?} is that of a built-in policy", policy.name()))
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
        let obeying = match obeying {
            Some(live) => live.iter().map(String::as_str).collect(),
            None => self.obeying(policy),
        };
        let named: Vec<_> = obeying.iter().take(MOST_NAMED).map(|it| format!("{it:?}")).collect();
        let more = and_more(obeying.len());
        (!obeying.is_empty()).then(|| {
            format!(
                "policy {policy:?} governs namespaces {}{more}; change their label {POLICY_LABEL} first",
                named.join(", ")
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
        let named = others[..others.len().min(MOST_NAMED)].join(", ");
        let more = and_more(others.len());
        format!("policy {name:?} does not exist; the policies are {named}{more}")
    }

    /// The namespaces whose label names this policy, in alphabetical order.
    pub fn obeying(&self, policy: &str) -> Vec<&str> {
        let Namespaces::Known(known) = &self.namespaces else {
            return Vec::new();
        };
        let obeying = known.iter().filter(|(_, it)| it.policy.as_deref() == Some(policy));
        obeying.map(|(name, _)| name.as_str()).collect()
    }

    /// The names of the policies that set the profile at `path`, in alphabetical order.
    pub fn setting(&self, path: &ProfilePath) -> impl Iterator<Item = &str> {
        let setting = self.iter().filter(move |it| it.injected_paths().any(|it| it == path));
        setting.map(Policy::name)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Policy> {
        self.policies.values()
    }
}

fn cannot_be_read(name: &str, why: &str) -> String {
    format!("the policy {name:?} cannot be read: {why}")
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::policy::Builtin;

    fn labels(policy: Option<&str>, mode: Option<&str>) -> Labels {
        Labels { policy: policy.map(str::to_owned), mode: mode.map(str::to_owned) }
    }

    fn index(default: Option<&str>) -> PolicyIndex {
        let namespaces = [
            ("shop", labels(Some("restricted"), Some("warn"))),
            ("bank", labels(Some("restricted"), None)),
            ("typo", labels(Some("restrictd"), None)),
            ("odd", labels(Some("baseline"), Some("loud"))),
            ("free", labels(None, None)),
        ];
        let namespaces = namespaces.into_iter().map(|(name, it)| (name.to_owned(), it)).collect();
        PolicyIndex::of_cluster([], namespaces, default.map(str::to_owned))
    }

    fn governing(index: &PolicyIndex, namespace: &str) -> String {
        match index.governing(namespace) {
            Governed::By(policy, mode) => format!("{} {}", policy.name(), mode.as_str()),
            Governed::ByNobody => "nobody".to_owned(),
            Governed::UnknownPolicy(name) => format!("what is {name}?"),
            Governed::Unknown => "unknown".to_owned(),
        }
    }

    #[rstest]
    #[case::labelled("shop", None, "restricted warn")]
    #[case::enforced_unless_said_otherwise("bank", None, "restricted enforce")]
    #[case::misspelt("typo", None, "what is restrictd?")]
    #[case::an_unknown_mode_is_the_strictest("odd", None, "baseline enforce")]
    #[case::not_opted_in("free", None, "nobody")]
    #[case::never_heard_of("new", None, "unknown")]
    #[case::by_default("free", Some("baseline"), "baseline enforce")]
    #[case::a_label_wins_over_the_default("shop", Some("baseline"), "restricted warn")]
    #[case::never_heard_of_even_so("new", Some("baseline"), "unknown")]
    fn governs(#[case] namespace: &str, #[case] default: Option<&str>, #[case] expected: &str) {
        assert_eq!(governing(&index(default), namespace), expected);
    }

    #[rstest]
    #[case::of_those_that_name_no_mode("bank", "restricted audit")]
    #[case::not_of_those_that_do("shop", "restricted warn")]
    #[case::not_of_those_whose_mode_is_unknown("odd", "baseline enforce")]
    #[case::of_those_without_any_label("free", "baseline audit")]
    fn the_default_mode_is_that(#[case] namespace: &str, #[case] expected: &str) {
        let index = index(Some("baseline")).with_default_mode(Mode::Audit);
        assert_eq!(governing(&index, namespace), expected);
    }

    #[test]
    fn a_book_of_one_policy_governs_every_namespace() {
        let policy = Builtin::named("restricted").unwrap().policy();
        let index = PolicyIndex::of_one(policy, Mode::Audit);
        assert_eq!(governing(&index, "anywhere"), "restricted audit");
    }

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
    fn knows_who_obeys_a_policy() {
        assert_eq!(index(None).obeying("restricted"), ["bank", "shop"]);
        assert!(index(None).obeying("other").is_empty());
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
    fn the_cluster_knows_better_than_the_book(
        #[case] name: &str,
        #[case] policy: Presence,
        #[case] expected: Option<&str>,
    ) {
        let (before, after) = (labels(None, None), labels(Some(name), None));
        let expected = expected.map(|it| format!("callgate.dev/policy={name}: {it}"));
        assert_eq!(index(None).validate_labels(&before, &after, &policy), expected);
    }

    #[test]
    fn who_obeys_a_policy_is_for_the_cluster_to_say() {
        let objection =
            |live: &[String]| index(None).validate_policy_deletion("restricted", Some(live));
        assert_eq!(objection(&[]), None, "they have been labelled otherwise since");
        assert_eq!(
            objection(&["new".to_owned()]).unwrap(),
            "policy \"restricted\" governs namespaces \"new\"; change their label callgate.dev/policy first"
        );
    }
}
