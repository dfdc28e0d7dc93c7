//! The types of objects that are watched.

/// A type of objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Namespace,
    Policy,
    Profile,
    RuntimeClass,
    Node,
    /// What the agent of a node says.
    SeccompNode,
}

impl Kind {
    pub const ALL: [Self; 6] = [
        Self::Namespace,
        Self::Policy,
        Self::Profile,
        Self::RuntimeClass,
        Self::Node,
        Self::SeccompNode,
    ];

    /// What metrics and logs call it: the plural by which the API server knows it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Namespace => "namespaces",
            Self::Policy => "seccomppolicies",
            Self::Profile => "seccompprofiles",
            Self::RuntimeClass => "runtimeclasses",
            Self::Node => "nodes",
            Self::SeccompNode => "seccompnodes",
        }
    }

    /// What one of them calls itself.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Namespace => "Namespace",
            Self::Policy => "SeccompPolicy",
            Self::Profile => "SeccompProfile",
            Self::RuntimeClass => "RuntimeClass",
            Self::Node => "Node",
            Self::SeccompNode => "SeccompNode",
        }
    }

    /// Where all of them are.
    pub(super) fn path(self) -> String {
        let root = match self {
            Self::Namespace | Self::Node => "/api/v1",
            Self::RuntimeClass => "/apis/node.k8s.io/v1",
            Self::Policy | Self::Profile | Self::SeccompNode => "/apis/callgate.dev/v1alpha1",
        };
        format!("{root}/{}", self.as_str())
    }

    /// How many a list brings at once.
    pub(super) fn page(self) -> usize {
        match self {
            Self::Namespace | Self::RuntimeClass | Self::Node | Self::SeccompNode => 100,
            // A profile of ten kilobytes takes ten times that while it is read.
            Self::Policy | Self::Profile => 20,
        }
    }

    /// In which form they come; of namespaces the metadata alone.
    pub(super) fn accept(self, is_list: bool) -> &'static str {
        match (self, is_list) {
            (Self::Namespace, true) => {
                "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
            }
            (Self::Namespace, false) => {
                "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
            }
            _ => "application/json",
        }
    }
}
