//! Exemptions: of what, from which rules, why, and until when.

use std::{collections::BTreeSet, fmt};

use jiff::civil::Date;
use serde::{Deserialize, Deserializer, de};

use crate::{
    pod::{List, Pod},
    policy::{FieldPath, document::RuleName, field_path::FieldPath as At},
};

/// An exemption is part of a policy, so that only people who may write policies can grant one.
/// Labels and annotations of the pod never exempt it, since its author sets them.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exemption {
    pub name: NonEmptyString,
    pub reason: NonEmptyString,
    pub owner: NonEmptyString,
    /// The last day on which it applies, in UTC; without one it never ends.
    #[serde(default, deserialize_with = "day")]
    pub expires: Option<Date>,
    #[serde(deserialize_with = "some_rules")]
    rules: BTreeSet<RuleName>,
    #[serde(rename = "match")]
    scope: Match,
}

/// A string with something other than spaces.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct NonEmptyString(String);

/// What an exemption applies to: each list that is given must contain a match.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", try_from = "RawMatch")]
pub struct Match {
    pub namespaces: Option<BTreeSet<String>>,
    pub service_accounts: Option<BTreeSet<String>>,
    pub containers: Option<BTreeSet<String>>,
    pub images: Option<Vec<Glob>>,
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
#[serde(try_from = "String")]
pub struct Glob(String);

/// The exemptions of a policy that may apply to the pod, and which of them apply to one
/// container.
pub(super) struct Exemptions<'a> {
    candidates: Vec<&'a Exemption>,
    /// The last container that was looked up, and which candidates apply to it.
    about: Option<((List, usize), Vec<bool>)>,
    /// How many characters may still be compared.
    steps: usize,
}

/// How many characters are compared for one pod. A policy has room for tens of thousands of
/// patterns, and a pod for thousands of images. Beyond the limit no exemption by image applies.
const MOST_STEPS: usize = 1 << 24;

/// The length of an image reference in bytes: a domain, a path of 255 characters, a tag and a
/// digest are shorter.
const LONGEST_IMAGE: usize = 1024;

impl<'a> Exemptions<'a> {
    pub(super) fn of(all: &'a [Exemption], pod: &Pod<'_>, namespace: &str) -> Self {
        let candidates = all.iter().filter(|it| it.is_about_pod(pod, namespace)).collect();
        Self { candidates, about: None, steps: MOST_STEPS }
    }

    /// The exemptions from `rule` that apply at `field`, expired ones included.
    pub(super) fn about(
        &mut self,
        rule: &str,
        field: FieldPath<'_>,
    ) -> impl Iterator<Item = &'a Exemption> {
        let about = match field {
            At::Container { list, index, name, image } => {
                if self.about.as_ref().is_none_or(|(of, _)| *of != (list, index)) {
                    let Self { candidates, steps, .. } = self;
                    let about =
                        candidates.iter().map(|it| it.is_about_container(name, image, steps));
                    self.about = Some(((list, index), about.collect()));
                }
                self.about.as_ref().map(|(_, about)| &**about)
            }
            At::Pod | At::RuntimeClass | At::Annotation { .. } => None,
        };
        let candidates = self.candidates.iter().enumerate();
        candidates
            .map(move |(at, it)| (*it, about.map_or(it.is_about_all(), |about| about[at])))
            .filter(move |(it, is_about)| *is_about && it.is_from(rule))
            .map(|(it, _)| it)
    }

    /// Whether the limit of comparisons was reached.
    pub(super) fn is_exhausted(&self) -> bool {
        self.steps == 0
    }
}

impl Exemption {
    /// Whether it is from this rule.
    pub fn is_from(&self, rule: &str) -> bool {
        self.rules.iter().any(|it| it.as_str() == rule)
    }

    /// What it applies to.
    pub fn scope(&self) -> &Match {
        &self.scope
    }

    fn is_about_pod(&self, pod: &Pod<'_>, namespace: &str) -> bool {
        let Match { namespaces, service_accounts, .. } = &self.scope;
        allows(namespaces.as_ref(), namespace)
            && allows(service_accounts.as_ref(), pod.service_account())
    }

    fn is_about_container(&self, name: &str, image: &str, steps: &mut usize) -> bool {
        let Match { containers, images, .. } = &self.scope;
        allows(containers.as_ref(), name)
            && images.as_ref().is_none_or(|it| it.iter().any(|it| it.matches(image, steps)))
    }

    /// The pod's own fields hold for all containers, later ones included: an exemption of one
    /// container or image does not cover them.
    fn is_about_all(&self) -> bool {
        self.scope.containers.is_none() && self.scope.images.is_none()
    }

    pub(super) fn is_in_force(&self, today: Date) -> bool {
        self.expires.is_none_or(|it| today <= it)
    }
}

fn allows(set: Option<&BTreeSet<String>>, it: &str) -> bool {
    set.is_none_or(|set| set.contains(it))
}

impl NonEmptyString {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for NonEmptyString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl TryFrom<String> for NonEmptyString {
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

/// A date alone: jiff also takes a time of day, and drops it.
fn day<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Date>, D::Error> {
    let Some(text) = Option::<String>::deserialize(deserializer)? else { return Ok(None) };
    let date = text.parse::<Date>().ok().filter(|it| it.to_string() == text);
    let no_date = || de::Error::custom(format!("{text:?} is no date, write it like 2027-03-01"));
    date.map(Some).ok_or_else(no_date)
}

impl TryFrom<String> for Glob {
    type Error = String;

    fn try_from(pattern: String) -> Result<Self, String> {
        if pattern.len() > LONGEST_IMAGE {
            let length = pattern.len();
            return Err(format!(
                "a pattern for images has at most {LONGEST_IMAGE} characters, this one has {length}"
            ));
        }
        Ok(Self(pattern))
    }
}

impl Glob {
    /// The texts between its stars: the first begins a text that matches, the last ends it, and the
    /// others are in it. Without a star, the only one.
    pub fn pieces(&self) -> Vec<&str> {
        self.0.split('*').collect()
    }

    /// Matches in time linear in pattern and text: the first piece must begin the text, the last
    /// must end it, the others match where they first occur. Takes the cost from `steps`; with none
    /// left the pattern does not match.
    fn matches(&self, text: &str, steps: &mut usize) -> bool {
        let first = self.0.split('*').next().unwrap_or_default();
        // Most patterns differ in their first piece, which is cheap to compare.
        *steps = steps.saturating_sub(1 + first.len() / 64);
        if text.len() > LONGEST_IMAGE || !text.starts_with(first) {
            return false;
        }
        *steps = steps.saturating_sub(self.0.len() + text.len());
        *steps > 0 && self.matches_all(text)
    }

    fn matches_all(&self, text: &str) -> bool {
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
        let mut steps = MOST_STEPS;
        assert_eq!(Glob(pattern.to_owned()).matches(text, &mut steps), expected);
        assert!(MOST_STEPS - steps <= 1 + 2 * pattern.len() + text.len());
    }

    #[test]
    fn a_text_too_long_for_an_image_matches_no_pattern() {
        let matches =
            |length| Glob("*".to_owned()).matches(&"a".repeat(length), &mut { MOST_STEPS });
        assert_eq!([1024, 1025].map(matches), [true, false]);
        let why = Glob::try_from("a".repeat(1025)).unwrap_err();
        assert_eq!(why, "a pattern for images has at most 1024 characters, this one has 1025");
    }

    fn exempting(pattern: impl Fn(usize) -> String) -> Vec<Exemption> {
        let exemption = |number: usize| {
            let images: Vec<_> = (0..60).map(|it| pattern(number * 60 + it)).collect();
            serde_json::from_value(serde_json::json!({
                "name": format!("exemption-{number}"), "reason": "a", "owner": "b",
                "rules": ["privileged"], "match": { "images": images },
            }))
            .unwrap()
        };
        (0..256).map(exemption).collect()
    }

    fn container(index: usize, image: &str) -> FieldPath<'_> {
        FieldPath::Container { list: List::Main, index, name: "app", image }
    }

    #[test]
    fn a_thousand_containers_are_compared_with_fifteen_thousand_patterns() {
        let all = exempting(|it| format!("registry-{it}.example.com/exporter@*"));
        let pod: Pod<'_> = serde_json::from_str("{}").unwrap();
        let mut exemptions = Exemptions::of(&all, &pod, "shop");
        for index in 0..1000 {
            let image = format!("registry-{}.example.com/exporter@sha256:00", 15_359 - index);
            let mut about = exemptions.about("privileged", container(index, &image));
            let expected = format!("exemption-{}", (15_359 - index) / 60);
            assert_eq!(about.next().unwrap().name.as_str(), expected);
            assert!(about.next().is_none());
        }
        assert!(!exemptions.is_exhausted());
    }

    #[test]
    fn images_that_cost_too_much_to_compare_are_not_exempt() {
        let all = exempting(|it| format!("{}*{it}", "a*".repeat(400)));
        let pod: Pod<'_> = serde_json::from_str("{}").unwrap();
        let mut exemptions = Exemptions::of(&all, &pod, "shop");
        let image = "a".repeat(1000) + "15359";
        let counts =
            (0..1000).map(|it| exemptions.about("privileged", container(it, &image)).count());
        let counts: Vec<_> = counts.collect();
        assert!(counts[0] > 0 && counts[999] == 0 && exemptions.is_exhausted(), "{counts:?}");
    }
}
