//! The result of a pass over the files of a node.

use std::collections::{BTreeMap, BTreeSet};

use super::{host::HostError, name::Name};
use crate::{
    causes::chain,
    profile::{Digest, Doubt, Problem},
    witness::Containers,
};

/// The origin of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The agent wrote it from a `SeccompProfile`.
    Callgate,
    /// The agent wrote it, and the `SeccompProfile` was deleted since.
    Released,
    /// Another program or an administrator wrote it.
    Node,
}

/// A file, as it is reported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub path: String,
    pub digest: Option<Digest>,
    /// In bytes.
    pub size: u64,
    pub source: Source,
    pub problem: Option<Problem>,
    pub doubt: Option<Doubt>,
}

/// The kind of a failure that is the same on every node: the linter rejects the profile.
pub(super) const REFUSED: &str = "lint";

/// A failure to install profiles, or another problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The profile that is not installed because of it; `None` if it affects all profiles.
    pub name: Option<Name>,
    pub kind: &'static str,
    /// The message, with its causes.
    pub why: String,
}

/// What a pass found and did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PassResult {
    /// Whether the profiles of the cluster were known.
    pub is_decided: bool,
    /// Whether the seccomp directory is no longer the one that the kubelet reads. Then no file was
    /// looked at, and none will be before another agent starts.
    pub is_replaced: bool,
    /// How many profiles are wanted.
    pub wanted: usize,
    /// The files, our own first, each group in alphabetical order.
    pub entries: Vec<Entry>,
    /// How many more files there are, at least.
    pub unlisted: usize,
    /// The wanted profiles that are installed and usable.
    pub usable: BTreeMap<Name, Digest>,
    /// Why profiles are not installed; empty if all are.
    pub failures: Vec<Failure>,
    /// All other problems.
    pub troubles: Vec<Failure>,
    pub written: Vec<Name>,
    pub removed: Vec<Name>,
    /// What the containers of the node run under; `None` if that is not looked at, or not known yet.
    pub containers: Option<Containers>,
}

impl PassResult {
    /// Whether both lead to the same report.
    pub(super) fn has_the_same_report(&self, other: &Self) -> bool {
        (self.is_decided, self.is_replaced, self.wanted, self.unlisted)
            == (other.is_decided, other.is_replaced, other.wanted, other.unlisted)
            && self.entries == other.entries
            && self.containers == other.containers
            && self.usable == other.usable
            && self.failures == other.failures
    }

    /// Whether every wanted profile is installed.
    pub fn is_ready(&self) -> bool {
        self.is_decided && self.failures.is_empty()
    }

    /// Whether pods may be scheduled on the node: every profile that can be installed is. One that
    /// the linter rejects is on no node, so it does not keep pods off this one.
    pub fn admits_pods(&self) -> bool {
        self.is_decided && self.failures.iter().all(|it| it.kind == REFUSED)
    }

    /// How many of the wanted profiles are not installed.
    pub fn lacking(&self) -> usize {
        let by_name: BTreeSet<_> = self.failures.iter().map(|it| it.name.as_ref()).collect();
        if by_name.contains(&None) { self.wanted } else { by_name.len() }
    }
}

impl Source {
    /// The value in the schema of `SeccompNode`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Callgate => "callgate",
            Self::Released => "released",
            Self::Node => "node",
        }
    }
}

impl Failure {
    pub(super) fn of(name: Option<&Name>, error: &HostError) -> Self {
        Self { name: name.cloned(), kind: error.kind(), why: chain(error) }
    }
}
