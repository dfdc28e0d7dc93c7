//! The record of a handled review, for logs and metrics.

use std::time::Duration;

use crate::{
    admission::{DeniedPod, RefusedPod},
    policy::Counts,
};

/// A handled review. It names things and holds no other part of the object.
pub struct ReviewRecord<'a> {
    pub webhook: Webhook,
    pub operation: Operation,
    pub outcome: Outcome,
    /// The plural name of the resource, such as `pods`.
    pub resource: &'a str,
    pub namespace: &'a str,
    pub name: Option<&'a str>,
    pub uid: &'a str,
    pub dry_run: bool,
    /// The number of findings, by rule and level.
    pub counts: &'a Counts,
    /// The new pod that was denied, if a controller owns it.
    pub denied: Option<DeniedPod<'a>>,
    /// The pod that is denied by the rules, or would be in mode enforce.
    pub refused: Option<RefusedPod<'a>>,
    /// The time from the last byte of the body to the answer.
    pub elapsed: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Webhook {
    Mutate,
    Validate,
}

/// The operation of the request; `Other` for an unknown one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    Create,
    Update,
    Other,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    Allowed,
    Patched,
    Denied,
    /// A pod or template that cannot be read.
    Unreadable,
    /// A request that is not judged.
    Ignored,
}

impl Webhook {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Mutate => "mutate",
            Self::Validate => "validate",
        }
    }
}

impl Operation {
    pub(super) fn of(name: &str) -> Self {
        match name {
            "CREATE" => Self::Create,
            "UPDATE" => Self::Update,
            _ => Self::Other,
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Other => "other",
        }
    }
}

impl Outcome {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Patched => "patched",
            Self::Denied => "denied",
            Self::Unreadable => "unreadable",
            Self::Ignored => "ignored",
        }
    }
}
