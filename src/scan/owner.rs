//! Whose a pod is: the workload that makes it.

use std::collections::BTreeMap;

use serde::Serialize;

use super::read::Reference;
use crate::pod::Kind;

/// A workload, or a pod that nothing makes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Owner {
    pub kind: String,
    pub name: String,
    pub api_version: String,
}

/// What makes the replica sets and jobs that other workloads make.
#[derive(Debug, Default)]
pub(super) struct Controllers(BTreeMap<(String, &'static str, String), Owner>);

impl Owner {
    pub(super) fn new(api_version: &str, kind: &str, name: &str) -> Self {
        let plain =
            |it: &str| it.chars().map(|it| if it.is_control() { '\u{fffd}' } else { it }).collect();
        Self { kind: plain(kind), name: plain(name), api_version: plain(api_version) }
    }

    pub(super) fn of(it: &Reference<'_>) -> Self {
        let text = |it: &Option<crate::json::Str<'_>>| it.as_deref().unwrap_or_default().to_owned();
        Self::new(&text(&it.api_version), &text(&it.kind), &text(&it.name))
    }

    /// An object of that kind and name.
    pub fn of_kind(kind: Kind, name: &str) -> Self {
        let group = kind.group();
        let version = if group.is_empty() { "v1".to_owned() } else { format!("{group}/v1") };
        Self::new(&version, kind.name(), name)
    }

    /// The kind and the name, for messages.
    pub fn title(&self) -> String {
        format!("{} {:?}", self.kind.to_lowercase(), self.name)
    }

    /// The group of the kind.
    pub fn group(&self) -> &str {
        self.api_version.split_once('/').map_or("", |(group, _)| group)
    }

    /// The kind, if it is one whose objects other workloads make.
    fn between(&self) -> Option<&'static str> {
        match (self.group(), self.kind.as_str()) {
            ("apps", "ReplicaSet") => Some("ReplicaSet"),
            ("batch", "Job") => Some("Job"),
            _ => None,
        }
    }

    /// Whether the templates of its kind are read, so that those of what it makes need not be.
    pub(super) fn is_read(&self) -> bool {
        matches!((self.group(), self.kind.as_str()), ("apps", "Deployment") | ("batch", "CronJob"))
    }
}

impl Controllers {
    pub(super) fn insert(&mut self, namespace: &str, it: Owner, controller: Owner) {
        if let Some(kind) = it.between() {
            self.0.insert((namespace.to_owned(), kind, it.name), controller);
        }
    }

    /// The workload at the top: the Deployment of a `ReplicaSet`, the `CronJob` of a Job.
    pub(super) fn top(&self, namespace: &str, owner: Owner) -> Owner {
        let Some(kind) = owner.between() else { return owner };
        let key = (namespace.to_owned(), kind, owner.name.clone());
        self.0.get(&key).cloned().unwrap_or(owner)
    }
}
