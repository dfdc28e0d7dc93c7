//! What was found in the pods of one namespace, counted; and how counts are added up.

use std::{cmp::Reverse, collections::BTreeMap};

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::{
    api::{EvidenceFinding, EvidenceOwner, SeccompEvidenceStatus},
    cluster::cut,
};

/// How many findings are listed: what the schema allows.
const MOST: usize = 100;

/// In bytes: the schema allows more characters than that have.
const LONGEST_NAME: usize = 253;
const LONGEST_TEXT: usize = 512;

/// A pod that was denied, or would have been in mode enforce.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    pub namespace: String,
    pub policy: String,
    pub owner: EvidenceOwner,
    /// The rule, the field and the message of each finding.
    pub findings: Vec<(&'static str, String, String)>,
}

/// The counts of one namespace. The list of findings is bounded: what was found last stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) pods: i64,
    last: Option<Timestamp>,
    findings: BTreeMap<Key, Count>,
    unlisted: i64,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    owner: EvidenceOwner,
    policy: String,
    rule: String,
    field: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Count {
    message: String,
    times: i64,
    first: Timestamp,
    last: Timestamp,
}

// === impl Refused ===

impl Refused {
    /// Cuts the texts to the limits of the schema.
    #[must_use]
    pub(super) fn shortened(self) -> Self {
        let Self { namespace, policy, owner, findings } = self;
        let EvidenceOwner { api_version, kind, name } = owner;
        let [api_version, kind, name] =
            [api_version, kind, name].map(|it| cut(&it, LONGEST_NAME).to_owned());
        let text = |it: String| cut(&it, LONGEST_TEXT).to_owned();
        let findings =
            findings.into_iter().map(|(rule, field, message)| (rule, text(field), text(message)));
        let findings = findings.collect();
        Self { namespace, policy, owner: EvidenceOwner { api_version, kind, name }, findings }
    }
}

// === impl Tally ===

impl Tally {
    pub(super) fn is_empty(&self) -> bool {
        self.pods == 0
    }

    /// How many findings it lists.
    pub(super) fn listed(&self) -> usize {
        self.findings.len()
    }

    /// Counts a pod. With `may_grow` false, no finding is added to the list, and those that are not
    /// on it are only counted.
    pub(super) fn note(&mut self, pod: Refused, may_grow: bool, now: Timestamp) {
        let Refused { namespace: _, policy, owner, findings } = pod;
        self.pods = self.pods.saturating_add(1);
        self.last = self.last.max(Some(now));
        for (rule, field, message) in findings {
            let key =
                Key { owner: owner.clone(), policy: policy.clone(), rule: rule.to_owned(), field };
            let count = Count { message, times: 1, first: now, last: now };
            if may_grow || self.findings.contains_key(&key) {
                self.add(key, count);
            } else {
                self.unlisted = self.unlisted.saturating_add(1);
            }
        }
        self.make_room();
    }

    /// Adds what another has counted.
    pub(super) fn merge(&mut self, other: Self) {
        let Self { pods, last, findings, unlisted } = other;
        self.pods = self.pods.saturating_add(pods);
        self.last = self.last.max(last);
        self.unlisted = self.unlisted.saturating_add(unlisted);
        for (key, count) in findings {
            self.add(key, count);
        }
        self.make_room();
    }

    fn add(&mut self, key: Key, it: Count) {
        let Some(known) = self.findings.get_mut(&key) else {
            self.findings.insert(key, it);
            return;
        };
        if it.last >= known.last {
            known.message = it.message;
        }
        known.times = known.times.saturating_add(it.times);
        known.first = known.first.min(it.first);
        known.last = known.last.max(it.last);
    }

    /// Of those that were found last at the same time, the first by owner stay.
    fn make_room(&mut self) {
        let surplus = self.findings.len().saturating_sub(MOST);
        if surplus == 0 {
            return;
        }
        let mut all: Vec<_> =
            self.findings.iter().map(|(key, it)| (it.last, key.clone())).collect();
        all.sort_by(|a, b| (a.0, Reverse(&a.1)).cmp(&(b.0, Reverse(&b.1))));
        for (_, key) in all.into_iter().take(surplus) {
            let gone = self.findings.remove(&key).map_or(0, |it| it.times);
            self.unlisted = self.unlisted.saturating_add(gone);
        }
    }
}

impl From<SeccompEvidenceStatus> for Tally {
    fn from(status: SeccompEvidenceStatus) -> Self {
        let SeccompEvidenceStatus { pods, last, findings, unlisted } = status;
        let mut tally = Self {
            pods,
            last: last.map(|Time(it)| it),
            findings: BTreeMap::new(),
            unlisted: unlisted.unwrap_or_default(),
        };
        for it in findings {
            let EvidenceFinding { policy, rule, owner, field, message, count, first, last } = it;
            let (Time(first), Time(last)) = (first, last);
            tally.add(
                Key { owner, policy, rule, field },
                Count { message, times: count, first, last },
            );
        }
        tally
    }
}

impl From<Tally> for SeccompEvidenceStatus {
    fn from(tally: Tally) -> Self {
        let Tally { pods, last, findings, unlisted } = tally;
        let findings = findings.into_iter().map(|(key, it)| {
            let Key { owner, policy, rule, field } = key;
            let Count { message, times: count, first, last } = it;
            let (first, last) = (Time(first), Time(last));
            EvidenceFinding { policy, rule, owner, field, message, count, first, last }
        });
        Self {
            pods,
            last: last.map(Time),
            findings: findings.collect(),
            unlisted: Some(unlisted).filter(|it| *it > 0),
        }
    }
}
