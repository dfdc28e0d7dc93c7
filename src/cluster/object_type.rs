//! The types of objects that are watched.

use std::time::Duration;

use crate::{
    group::{API_PATH, NODE, POLICY, PROFILE},
    watch::{Source, Timing},
};

/// A watch is short: when the API server ends it, every change until then has been reported, which
/// shows a replica how fresh its state is. A watch that is silent for longer is given up together
/// with its connection. Three replicas with six watches each begin about two watches per second.
const TIMING: Timing = Timing {
    term: Duration::from_secs(10),
    // The end of the first watch confirms that the state is up to date again.
    first_term: Duration::from_secs(1),
    silence: Duration::from_secs(12),
    patience: Duration::from_secs(5),
    pauses: (Duration::from_millis(200), Duration::from_secs(5)),
};

/// A type of objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ObjectType {
    Namespace,
    Policy,
    Profile,
    RuntimeClass,
    Node,
    /// The report of a node's agent.
    SeccompNode,
}

impl ObjectType {
    pub const ALL: [Self; 6] = [
        Self::Namespace,
        Self::Policy,
        Self::Profile,
        Self::RuntimeClass,
        Self::Node,
        Self::SeccompNode,
    ];

    /// The plural name in the API, which metrics and logs use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Namespace => "namespaces",
            Self::Policy => POLICY.plural,
            Self::Profile => PROFILE.plural,
            Self::RuntimeClass => "runtimeclasses",
            Self::Node => "nodes",
            Self::SeccompNode => NODE.plural,
        }
    }

    /// The `kind` of an object.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Namespace => "Namespace",
            Self::Policy => POLICY.kind,
            Self::Profile => PROFILE.kind,
            Self::RuntimeClass => "RuntimeClass",
            Self::Node => "Node",
            Self::SeccompNode => NODE.kind,
        }
    }

    /// The API path of all objects of the type.
    pub(super) fn path(self) -> String {
        let root = match self {
            Self::Namespace | Self::Node => "/api/v1",
            Self::RuntimeClass => "/apis/node.k8s.io/v1",
            Self::Policy | Self::Profile | Self::SeccompNode => API_PATH,
        };
        format!("{root}/{}", self.as_str())
    }

    /// What a watch of the type requests: of namespaces only the metadata.
    pub(super) fn source(self) -> Source {
        let page = match self {
            Self::Namespace | Self::RuntimeClass | Self::Node | Self::SeccompNode => 100,
            // A profile of ten kilobytes takes ten times as much memory while it is parsed.
            Self::Policy | Self::Profile => 20,
        };
        let metadata_only = self == Self::Namespace;
        Source { path: self.path(), fields: String::new(), page, metadata_only, timing: TIMING }
    }
}
