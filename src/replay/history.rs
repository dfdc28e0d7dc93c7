//! What an audit log remembers, by namespace and owner.

use serde::Serialize;

use crate::scan::{Grade, Owner};

/// The number goes up when a field changes its meaning or is removed.
pub(super) const VERSION: u32 = 1;

/// The result; its JSON is `--output json`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct History {
    pub version: u32,
    pub command: &'static str,
    pub policy: String,
    pub totals: Totals,
    /// The first lines that cannot be read, with their places.
    pub broken: Vec<String>,
    pub namespaces: Vec<NamespaceHistory>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Totals {
    pub lines: u64,
    /// Lines about something else.
    pub skipped: u64,
    pub broken: u64,
    /// Requests that were rejected or dry runs.
    pub not_stored: u64,
    /// Updates of pods, which are not judged.
    pub pod_updates: u64,
    pub pods: Counts,
    pub templates: Counts,
}

/// How many were written, and what would have become of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    pub all: u64,
    pub changed: u64,
    pub warned: u64,
    /// The log does not have the object, or it depends on nodes that were not given.
    pub unknown: u64,
    pub denied: u64,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NamespaceHistory {
    pub name: String,
    pub first: String,
    pub last: String,
    pub pods: Counts,
    pub templates: Counts,
    /// Of `unknown`, those whose object is not in the log.
    pub without_object: u64,
    pub owners: Vec<OwnerHistory>,
    /// How many were written by owners that are not listed.
    pub others: u64,
}

/// An owner whose pods would have been changed, warned of or denied.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OwnerHistory {
    #[serde(flatten)]
    pub owner: Owner,
    pub pods: Counts,
    pub templates: Counts,
    pub findings: Vec<FindingHistory>,
    /// How often findings were made that are not listed.
    pub more: u64,
}

#[derive(Clone, Debug, Serialize)]
pub struct FindingHistory {
    pub rule: &'static str,
    pub grade: Grade,
    pub field: String,
    pub message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
    pub times: u64,
    pub first: String,
    pub last: String,
}

impl Counts {
    pub(super) fn add(&mut self, is_changed: bool, grade: Option<Grade>) {
        self.all += 1;
        self.changed += u64::from(is_changed);
        match grade {
            Some(Grade::Denied) => self.denied += 1,
            Some(Grade::Unknown) => self.unknown += 1,
            Some(Grade::Warned) => self.warned += 1,
            Some(Grade::Recorded) | None => {}
        }
    }

    pub(super) fn is_notable(&self) -> bool {
        self.changed + self.warned + self.unknown + self.denied > 0
    }
}

impl History {
    /// The worst that would have happened to a pod.
    pub fn worst(&self) -> Option<Grade> {
        let Totals { pods, templates, .. } = &self.totals;
        let denied = pods.denied + templates.denied > 0;
        let warned = pods.warned + templates.warned > 0;
        denied.then_some(Grade::Denied).or(warned.then_some(Grade::Warned))
    }
}
