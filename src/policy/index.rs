//! Which policy governs which namespace, and in which mode.

use std::collections::BTreeMap;

use crate::{
    policy::{BUILTIN, Builtin, Mode, Policy},
    profile::ProfilePath,
};

/// All policies, and the namespaces that they govern, at one moment.
///
/// A namespace is governed by at most one policy, so there is no precedence.
#[derive(Clone, Debug)]
pub struct PolicyIndex {
    pub(super) policies: BTreeMap<String, Policy>,
    /// Policies that exist and cannot be read, with the reason.
    pub(super) unreadable: BTreeMap<String, String>,
    namespaces: Namespaces,
    /// The policy of namespaces without a label; `None`: they are not governed.
    pub(super) default: Option<String>,
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
    Ungoverned,
    /// The namespace names a policy that does not exist: its pods cannot be judged, so they are
    /// denied.
    UnknownPolicy(&'a str),
    /// The index does not know this namespace yet.
    Unknown,
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
            // An unknown mode counts as the strictest one, whatever the default is.
            Some(it) => Mode::parse(it).unwrap_or_default(),
        };
        self.by(policy.as_deref().or(self.default.as_deref()), mode)
    }

    fn by<'a>(&'a self, name: Option<&'a str>, mode: Mode) -> Governed<'a> {
        let Some(name) = name else {
            return Governed::Ungoverned;
        };
        self.policies.get(name).map_or(Governed::UnknownPolicy(name), |it| Governed::By(it, mode))
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

#[cfg(test)]
pub(super) mod tests {
    use rstest::rstest;

    use super::*;
    use crate::policy::Builtin;

    pub(in crate::policy) fn labels(policy: Option<&str>, mode: Option<&str>) -> Labels {
        Labels { policy: policy.map(str::to_owned), mode: mode.map(str::to_owned) }
    }

    pub(in crate::policy) fn index(default: Option<&str>) -> PolicyIndex {
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
            Governed::Ungoverned => "no policy".to_owned(),
            Governed::UnknownPolicy(name) => format!("what is {name}?"),
            Governed::Unknown => "unknown".to_owned(),
        }
    }

    #[rstest]
    #[case::labelled("shop", None, "restricted warn")]
    #[case::enforced_unless_said_otherwise("bank", None, "restricted enforce")]
    #[case::misspelt("typo", None, "what is restrictd?")]
    #[case::an_unknown_mode_is_the_strictest("odd", None, "baseline enforce")]
    #[case::not_opted_in("free", None, "no policy")]
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

    #[test]
    fn knows_who_obeys_a_policy() {
        assert_eq!(index(None).obeying("restricted"), ["bank", "shop"]);
        assert!(index(None).obeying("other").is_empty());
    }
}
