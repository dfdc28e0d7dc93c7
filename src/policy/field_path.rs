//! The field of a pod that a finding is about.

use std::fmt;

use crate::pod::{Container, List};

/// The field of a pod that a finding is about, written below the path of the pod itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FieldPath<'a> {
    Annotation {
        key: &'a str,
    },
    /// The security context of the pod, which its containers inherit.
    Pod,
    RuntimeClass,
    Container {
        list: List,
        index: usize,
        name: &'a str,
        image: &'a str,
    },
}

impl<'a> FieldPath<'a> {
    pub(super) fn of(container: &Container<'a>) -> Self {
        let Container { list, index, name, image, .. } = *container;
        Self::Container { list, index, name, image }
    }
}

impl fmt::Display for FieldPath<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Annotation { key } => write!(f, "metadata.annotations[{key:?}]"),
            Self::Pod => f.write_str("spec.securityContext"),
            Self::RuntimeClass => f.write_str("spec.runtimeClassName"),
            Self::Container { list, index, name, .. } => {
                write!(f, "spec.{}[{index}] {name:?}", list.field())
            }
        }
    }
}
