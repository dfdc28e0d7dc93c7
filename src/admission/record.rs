//! What is told of every answer to whoever logs and counts.

use std::time::Duration;

use crate::{admission::DeniedPod, policy::Counts};

/// One answered review. It names things and holds no other part of the object.
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
    /// How many findings there are, by rule and by what they lead to.
    pub counts: &'a Counts,
    /// The new pod that was denied, if a controller owns it.
    pub denied: Option<DeniedPod<'a>>,
    /// From the last byte of the body to the answer.
    pub elapsed: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Webhook {
    Mutate,
    Validate,
}

/// The operation of the request, as far as we know its name.
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
    /// A pod or template that could not be read.
    Unreadable,
    /// Not ours to judge.
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
