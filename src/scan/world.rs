//! All that the verdicts of a scan depend on besides workloads and pods.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;
use serde::Serialize;

use super::Seen;
use crate::{
    group::{NODE, POLICY, PROFILE},
    placement::Nodes,
    policy::{Builtin, Facts, Governed, Labels, Policy, PolicyIndex, RuntimeClasses},
    profile::Catalog,
};

/// A type of objects that could not be read, or not all of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unread {
    pub resource: String,
    #[serde(skip)]
    pub plural: &'static str,
    pub why: String,
}

/// The facts of a cluster at the time of the scan.
#[derive(Debug)]
pub struct World {
    /// The policy for every namespace; `None`: the label of each namespace says which.
    pub policy: Option<Policy>,
    /// The policy of namespaces whose label names none.
    pub fallback: Policy,
    pub index: PolicyIndex,
    pub namespaces: BTreeMap<String, Labels>,
    pub catalog: Catalog,
    pub nodes: Nodes,
    pub classes: RuntimeClasses,
    pub today: Date,
    pub unread: Vec<Unread>,
    /// What agents saw of containers.
    pub seen: Seen,
    /// Whether only the objects that a selector chooses are read.
    pub is_selected: bool,
}

/// Why no policy can be applied to a namespace.
pub(super) enum Ungovernable {
    /// Its pods would be denied.
    NoSuchPolicy(String),
    NotRead(String),
}

impl World {
    /// The policy that would be enforced in a namespace.
    pub(super) fn governing(&self, namespace: &str) -> Result<&Policy, Ungovernable> {
        if let Some(policy) = &self.policy {
            return Ok(policy);
        }
        match self.index.governing(namespace) {
            Governed::By(policy, _) => Ok(policy),
            Governed::UnknownPolicy(name)
                if self.is_unread(POLICY.plural) && Builtin::named(name).is_none() =>
            {
                Err(Ungovernable::NotRead(format!("policy {name:?} was not read")))
            }
            Governed::UnknownPolicy(name) => {
                Err(Ungovernable::NoSuchPolicy(self.index.no_such_policy(name)))
            }
            Governed::Ungoverned | Governed::Unknown => Ok(&self.fallback),
        }
    }

    pub(super) fn facts<'a>(&'a self, policy: &'a Policy, namespace: &'a str) -> Facts<'a> {
        let Self { catalog, nodes, classes, today, .. } = self;
        Facts { policy, catalog, nodes, classes, namespace, today: *today }
    }

    pub(super) fn is_unread(&self, plural: &str) -> bool {
        self.unread.iter().any(|it| it.plural == plural)
    }

    /// What was not read and decides about a pod that names a profile on the nodes, or a runtime
    /// class.
    pub(super) fn doubts(&self, is_localhost: bool, has_class: bool) -> BTreeSet<String> {
        let mut needed = Vec::new();
        if is_localhost {
            needed.extend(["nodes", NODE.plural, PROFILE.plural]);
        }
        if has_class {
            needed.push("runtimeclasses");
        }
        let unread = needed.into_iter().filter(|it| self.is_unread(it));
        unread.map(|it| format!("its pods depend on {it}, which were not read")).collect()
    }
}
