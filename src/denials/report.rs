//! What is reported of the calls that were denied on a node.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::witness::{Declared, Place};

/// How many calls a report names.
pub const MOST_LISTED: usize = 100;

/// What filters denied in the containers of a node. Its JSON is `status.denials` of a `SeccompNode`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Denials {
    /// When the program began to listen.
    pub since: Timestamp,
    /// The calls, in the order of namespaces, pods and containers.
    pub calls: Vec<DeniedCall>,
    /// How many further calls were denied for which the list has no room.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unlisted: Option<u64>,
    /// How many calls were denied of which the container could not be found.
    pub unknown: u64,
    /// How often the kernel had more records than could be read in time.
    pub lost: u64,
}

/// A call that was denied in a container, or logged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeniedCall {
    #[serde(flatten)]
    pub place: Place,
    /// The name of the call, or its number.
    pub syscall: String,
    /// `SCMP_ARCH_…`
    pub architecture: String,
    /// `SCMP_ACT_…`
    pub action: String,
    pub count: u64,
    /// When the last one was made.
    pub last: Timestamp,
}

impl Denials {
    /// Whether more calls were denied than those that are counted in the list.
    pub fn is_lower_bound(&self) -> bool {
        self.unlisted.is_some() || self.unknown > 0 || self.lost > 0
    }

    /// Whether the same is reported, except for calls of which the container is unknown: these are
    /// mostly made by short processes of the node, and are no reason to write a report.
    pub fn has_the_same_calls(&self, other: &Self) -> bool {
        let Self { since, calls, unlisted, unknown: _, lost } = self;
        (since, calls, unlisted, lost) == (&other.since, &other.calls, &other.unlisted, &other.lost)
    }
}

impl DeniedCall {
    /// The filter that decided, by what the pod declares.
    pub fn filter(&self) -> String {
        match &self.place.declared {
            Declared::Localhost(path) => format!("{path:?}"),
            Declared::RuntimeDefault => "RuntimeDefault".to_owned(),
            // One that a program has installed itself, or that of a kubelet with `seccompDefault`.
            _ => "a filter that its pod does not declare".to_owned(),
        }
    }

    /// Whether the call was stopped, and not only logged.
    pub fn was_stopped(&self) -> bool {
        self.action != "SCMP_ACT_LOG"
    }
}
