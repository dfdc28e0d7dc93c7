//! What is found on a node.

use std::collections::{BTreeMap, BTreeSet};

use super::{host::HostError, name::Name};
use crate::{
    causes::chain,
    profile::{Digest, Doubt, Problem},
};

/// Who put a file there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// We did.
    Callgate,
    /// We did, and nobody wants it any more.
    Released,
    /// Somebody else.
    Node,
}

/// A file, as the report has it.
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

/// The kind of a failure that no node can mend: the profile itself is no good.
pub(super) const REFUSED: &str = "lint";

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The profile that is not in place for it; none, where all are.
    pub name: Option<Name>,
    pub kind: &'static str,
    /// In words, with its causes.
    pub why: String,
}

/// What a pass found, and what it did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Whether it was known which profiles are wanted.
    pub is_decided: bool,
    /// Whether the seccomp directory is no longer the one that the kubelet
    /// reads: nothing was looked at, and nothing will be before another agent
    /// begins.
    pub is_replaced: bool,
    /// How many are wanted.
    pub wanted: usize,
    /// Files, our own first, and then in alphabetical order.
    pub entries: Vec<Entry>,
    /// How many more files there are, at least.
    pub unlisted: usize,
    /// The profiles that are wanted and there, and of use.
    pub usable: BTreeMap<Name, Digest>,
    /// Why some are not in place. Empty means that all are.
    pub failures: Vec<Failure>,
    /// Anything else that went wrong.
    pub troubles: Vec<Failure>,
    pub written: Vec<Name>,
    pub removed: Vec<Name>,
}

impl Found {
    /// Whether the API server would be told the same of both.
    pub(super) fn says_the_same(&self, other: &Self) -> bool {
        (self.is_decided, self.is_replaced, self.wanted, self.unlisted)
            == (other.is_decided, other.is_replaced, other.wanted, other.unlisted)
            && self.entries == other.entries
            && self.usable == other.usable
            && self.failures == other.failures
    }

    /// Whether every profile that is wanted is in place.
    pub fn is_ready(&self) -> bool {
        self.is_decided && self.failures.is_empty()
    }

    /// Whether pods may land: every profile is in place that can ever be. One
    /// that the linter refuses is on no node, and keeps nobody from this one.
    pub fn lets_in(&self) -> bool {
        self.is_decided && self.failures.iter().all(|it| it.kind == REFUSED)
    }

    /// How many of the profiles that are wanted are not in place.
    pub fn lacking(&self) -> usize {
        let by_name: BTreeSet<_> = self.failures.iter().map(|it| it.name.as_ref()).collect();
        if by_name.contains(&None) { self.wanted } else { by_name.len() }
    }
}

impl Source {
    /// As the schema of `SeccompNode` has it.
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
