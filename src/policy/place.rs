//! Where in a pod something was found.

use std::fmt;

use crate::pod::{Container, List};

/// A place that a message can point at; the path to the pod itself comes before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place<'a> {
    Annotation {
        key: &'a str,
    },
    /// What the pod sets for all its containers.
    Pod,
    RuntimeClass,
    Container {
        list: List,
        index: usize,
        name: &'a str,
        image: &'a str,
    },
}

impl<'a> Place<'a> {
    pub(super) fn of(container: &Container<'a>) -> Self {
        let Container { list, index, name, image, .. } = *container;
        Self::Container { list, index, name, image }
    }
}

impl fmt::Display for Place<'_> {
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
