//! Known findings, by object, rule and container, each with a reason and an end.

use std::collections::BTreeMap;

use jiff::{ToSpan, civil::Date};
use serde::{Deserialize, Serialize};

use crate::{
    report::{Checked, Diagnostic, Severity, Suppressed},
    yaml::documents,
};

/// The findings that are known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Baseline(BTreeMap<Key, Known>);

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    object: String,
    rule: String,
    at: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Known {
    reason: String,
    expires: Date,
}

/// An entry as it is written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    /// Group, kind, namespace and name.
    object: String,
    rule: String,
    /// The container, or another part of the object.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    at: String,
    reason: String,
    expires: Date,
}

const HEAD: &str = "\
# Findings that callgate check --baseline accepts, each for a reason and until a day.
# callgate check --baseline FILE --write-baseline adds new ones and removes those that are gone.
";
/// The reason of an entry until a person writes a better one.
const NO_REASON: &str = "known when the baseline was written";

impl Baseline {
    /// Reads what [`text`](Self::text) writes.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(text: &str) -> Result<Self, String> {
        let mut all = BTreeMap::new();
        for document in documents(text) {
            let document = document.map_err(|it| it.message)?;
            let json = document.json(document.root());
            let entries: Vec<Entry> = serde_json::from_str(&json).map_err(|it| it.to_string())?;
            for Entry { object, rule, at, reason, expires } in entries {
                if reason.trim().is_empty() {
                    return Err(format!("the entry of {rule} in {object} has no reason"));
                }
                all.insert(Key { object, rule, at }, Known { reason, expires });
            }
        }
        Ok(Self(all))
    }

    /// Suppresses the findings that are known; returns the number of entries to which no finding
    /// belongs any more.
    pub fn apply(&self, found: &mut [Checked], today: Date) -> usize {
        let mut unused: BTreeMap<&Key, &Known> = self.0.iter().collect();
        for it in found.iter_mut().flat_map(|it| &mut it.found) {
            let Some(key) = Key::of(it) else { continue };
            let Some(Known { reason, expires }) = self.0.get(&key) else { continue };
            unused.remove(&key);
            if *expires < today {
                it.notes.push(format!("the baseline accepted it until {expires}: {reason}"));
            } else {
                let reason = format!("{reason} (until {expires})");
                it.suppressed.get_or_insert(Suppressed { is_inline: false, reason });
            }
        }
        unused.len()
    }

    /// The findings of today: the known ones as before, new ones for half a year.
    #[must_use]
    pub fn updated(&self, found: &[Checked], today: Date) -> Self {
        let expires = today.saturating_add(6.months());
        let new = || Known { reason: NO_REASON.to_owned(), expires };
        let found = found.iter().flat_map(|it| &it.found);
        let is_inline = |it: &Diagnostic| it.suppressed.as_ref().is_some_and(|it| it.is_inline);
        let counted = found.filter(|it| it.severity > Severity::Note && !is_inline(it));
        let keys = counted.filter_map(Key::of);
        Self(keys.map(|it| (it.clone(), self.0.get(&it).cloned().unwrap_or_else(new))).collect())
    }

    /// The text of a file.
    ///
    /// # Errors
    /// It cannot be written as YAML.
    pub fn text(&self) -> Result<String, String> {
        let entries = self.0.iter().map(|(key, known)| Entry {
            object: key.object.clone(),
            rule: key.rule.clone(),
            at: key.at.clone(),
            reason: known.reason.clone(),
            expires: known.expires,
        });
        let entries: Vec<_> = entries.collect();
        let yaml = serde_saphyr::to_string(&entries).map_err(|it| it.to_string())?;
        Ok(format!("{HEAD}{yaml}"))
    }
}

impl Key {
    /// `None` for what belongs to no object.
    fn of(found: &Diagnostic) -> Option<Self> {
        let (object, parts) = found.identity.split_first()?;
        let parts: Vec<_> = parts.iter().map(String::as_str).filter(|it| !it.is_empty()).collect();
        let rule = found.topic.id.to_owned();
        Some(Self { object: object.clone(), rule, at: parts.join(" ") })
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;
    use crate::report::{Place, Topic};

    fn found(rule: &'static str, at: &str) -> Diagnostic {
        let topic = Topic { id: rule, page: "" };
        let place = Place::of_file("a.yaml");
        Diagnostic {
            identity: vec!["apps/Deployment/shop/web".to_owned(), at.to_owned()],
            ..Diagnostic::new(Severity::Error, topic, "no", place)
        }
    }

    fn checked(found: Vec<Diagnostic>) -> Vec<Checked> {
        vec![Checked { file: "a.yaml".into(), name: "web".to_owned(), found }]
    }

    #[test]
    fn an_update_keeps_reasons_adds_what_is_new_and_removes_what_is_gone() {
        let before = "\
- { object: apps/Deployment/shop/web, rule: privileged, at: containers app, reason: it must, expires: 2027-01-31 }
- { object: apps/Deployment/shop/web, rule: unset, reason: gone, expires: 2027-01-31 }
";
        let known = Baseline::read(before).unwrap();
        let mut all =
            checked(vec![found("privileged", "containers app"), found("unconfined", "spec")]);
        assert_eq!(known.apply(&mut all, date(2026, 8, 31)), 1);
        let new = known.updated(&all, date(2026, 8, 31));
        let expected = "\
# Findings that callgate check --baseline accepts, each for a reason and until a day.
# callgate check --baseline FILE --write-baseline adds new ones and removes those that are gone.
- object: apps/Deployment/shop/web
  rule: privileged
  at: containers app
  reason: it must
  expires: \"2027-01-31\"
- object: apps/Deployment/shop/web
  rule: unconfined
  at: spec
  reason: known when the baseline was written
  expires: \"2027-02-28\"
";
        assert_eq!(new.text().unwrap(), expected);
        assert_eq!(Baseline::read(expected), Ok(new.clone()));
        assert_eq!(new.apply(&mut all, date(2026, 8, 31)), 0);
        assert!(all[0].found.iter().all(|it| it.suppressed.is_some()));
    }

    #[test]
    fn what_has_expired_counts_again() {
        let text =
            "- { object: apps/Deployment/shop/web, rule: unset, reason: so, expires: 2027-01-31 }";
        let known = Baseline::read(text).unwrap();
        let suppressed = |today| {
            let mut all = checked(vec![found("unset", "")]);
            known.apply(&mut all, today);
            all[0].found[0].suppressed.is_some()
        };
        assert_eq!([date(2027, 1, 31), date(2027, 2, 1)].map(suppressed), [true, false]);
    }
}
