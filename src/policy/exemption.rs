//! Who is let off, from what, why, and until when.

use std::{collections::BTreeSet, fmt};

use jiff::civil::Date;
use serde::{Deserialize, Deserializer, de};

use crate::{
    pod::Pod,
    policy::{Place, document::RuleName, place::Place as At},
};

/// An exemption is part of a policy, so that only those who may write policies
/// can grant one: never a label or an annotation of the pod, which its author
/// could set himself.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exemption {
    pub name: Filled,
    pub reason: Filled,
    pub owner: Filled,
    /// The last day on which it applies, in UTC; without one it never ends.
    #[serde(default, deserialize_with = "day")]
    pub expires: Option<Date>,
    #[serde(deserialize_with = "some_rules")]
    rules: BTreeSet<RuleName>,
    #[serde(rename = "match")]
    scope: Match,
}

/// A text that says something.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct Filled(String);

/// Every list that is given must hold a match.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", try_from = "RawMatch")]
struct Match {
    namespaces: Option<BTreeSet<String>>,
    service_accounts: Option<BTreeSet<String>>,
    containers: Option<BTreeSet<String>>,
    images: Option<Vec<Glob>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RawMatch {
    namespaces: Option<BTreeSet<String>>,
    service_accounts: Option<BTreeSet<String>>,
    containers: Option<BTreeSet<String>>,
    images: Option<Vec<Glob>>,
}

/// A pattern in which `*` stands for any text.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
struct Glob(String);

impl Exemption {
    /// Whether this exemption is about what `rule` found at `place`, be it in
    /// force or not.
    pub(super) fn is_about(
        &self,
        rule: &str,
        place: Place<'_>,
        pod: &Pod<'_>,
        namespace: &str,
    ) -> bool {
        let Match { namespaces, service_accounts, containers, images } = &self.scope;
        let allows = |set: &Option<BTreeSet<String>>, it: &str| {
            set.as_ref().is_none_or(|set| set.contains(it))
        };
        self.rules.iter().any(|it| it.as_str() == rule)
            && allows(namespaces, namespace)
            && allows(service_accounts, pod.service_account())
            && match place {
                At::Container { name, image, .. } => {
                    allows(containers, name)
                        && images.as_ref().is_none_or(|it| it.iter().any(|it| it.matches(image)))
                }
                // What the pod sets holds for every container, those to come included:
                // who may do it in one container may not do it for all.
                At::Pod | At::Annotation { .. } => containers.is_none() && images.is_none(),
            }
    }

    pub(super) fn is_in_force(&self, today: Date) -> bool {
        self.expires.is_none_or(|it| today <= it)
    }
}

impl Filled {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Filled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl TryFrom<String> for Filled {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        if text.trim().is_empty() {
            return Err("an exemption needs a name, a reason and an owner, this one is empty");
        }
        Ok(Self(text))
    }
}

impl TryFrom<RawMatch> for Match {
    type Error = &'static str;

    fn try_from(raw: RawMatch) -> Result<Self, Self::Error> {
        let RawMatch { namespaces, service_accounts, containers, images } = raw;
        let all = [&namespaces, &service_accounts, &containers];
        if all.iter().all(|it| it.is_none()) && images.is_none() {
            return Err("an exemption must match something: give namespaces, serviceAccounts, \
                        containers or images");
        }
        if service_accounts.is_some() && namespaces.is_none() {
            return Err(
                "serviceAccounts need namespaces beside them: whoever may create accounts \
                        in another namespace may give one the same name",
            );
        }
        if all.iter().any(|it| it.as_ref().is_some_and(BTreeSet::is_empty))
            || images.as_ref().is_some_and(Vec::is_empty)
        {
            return Err("an empty list matches nothing, leave it out or fill it");
        }
        Ok(Self { namespaces, service_accounts, containers, images })
    }
}

fn some_rules<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeSet<RuleName>, D::Error> {
    let rules = BTreeSet::deserialize(deserializer)?;
    if rules.is_empty() {
        return Err(de::Error::custom("an exemption must name the rules it is from"));
    }
    Ok(rules)
}

/// A day and nothing else: jiff also takes a time of day, and drops it.
fn day<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Date>, D::Error> {
    let Some(text) = Option::<String>::deserialize(deserializer)? else { return Ok(None) };
    let date = text.parse::<Date>().ok().filter(|it| it.to_string() == text);
    let no_date = || de::Error::custom(format!("{text:?} is no date, write it like 2027-03-01"));
    date.map(Some).ok_or_else(no_date)
}

impl Glob {
    /// Linear in the text for every star: the first piece must begin it, the
    /// last must end it, the others are taken where they come first.
    fn matches(&self, text: &str) -> bool {
        let Some((first, rest)) = self.0.split_once('*') else {
            return self.0 == text;
        };
        let Some(mut text) = text.strip_prefix(first) else {
            return false;
        };
        let (middle, last) = rest.rsplit_once('*').unwrap_or(("", rest));
        for piece in middle.split('*') {
            let Some(at) = text.find(piece) else {
                return false;
            };
            text = &text[at + piece.len()..];
        }
        text.ends_with(last)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("a", "a", true)]
    #[case("a", "ab", false)]
    #[case("*", "", true)]
    #[case("a*", "abc", true)]
    #[case("*c", "abc", true)]
    #[case("a*c", "ac", true)]
    #[case("ab*bc", "abc", false)]
    #[case("a*b*c", "aXbYc", true)]
    #[case("a*b*c", "aXcYb", false)]
    #[case("r.example.com/exporter@*", "r.example.com/exporter@sha256:00", true)]
    #[case("r.example.com/exporter@*", "r.example.com/exporter-evil@sha256:00", false)]
    #[case("r.example.com/*", "evil.com/r.example.com/x", false)]
    fn glob(#[case] pattern: &str, #[case] text: &str, #[case] expected: bool) {
        assert_eq!(Glob(pattern.to_owned()).matches(text), expected);
    }
}
