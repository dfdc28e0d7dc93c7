//! What a pod really runs under.

use std::fmt;

use serde::{Serialize, Serializer};

use crate::{
    placement::Nodes,
    pod::{Container, Pod},
    profile::{Problem, ProfilePath},
    witness::Declared,
};

/// The weakest of what the containers of a pod run under, the weakest first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RunsUnder {
    /// S10: no filter, whatever is declared.
    Privileged,
    Unconfined,
    /// A file on its node that filters nothing.
    Hollow(String),
    /// S6: unconfined, unless a flag of the kubelet is set.
    Unset,
    /// A profile that the kubelet cannot use.
    Invalid,
    Localhost(String),
    RuntimeDefault,
    Windows,
}

impl RunsUnder {
    pub(super) fn of(pod: &Pod<'_>, nodes: &Nodes) -> Self {
        if pod.is_windows() {
            return Self::Windows;
        }
        let all = pod.containers().map(|it| Self::of_container(&it, pod, nodes));
        all.min().unwrap_or(Self::Unset)
    }

    fn of_container(container: &Container<'_>, pod: &Pod<'_>, nodes: &Nodes) -> Self {
        match Declared::of(container) {
            Declared::Privileged => Self::Privileged,
            Declared::Unset => Self::Unset,
            Declared::RuntimeDefault => Self::RuntimeDefault,
            Declared::Unconfined => Self::Unconfined,
            Declared::Localhost(path) => match path.parse::<ProfilePath>() {
                Ok(it) if is_hollow(pod, &it, nodes) => Self::Hollow(path),
                Ok(_) => Self::Localhost(path),
                Err(_) => Self::Invalid,
            },
            Declared::Invalid => Self::Invalid,
        }
    }

    /// Whether no filter limits it, as far as the pod decides that.
    pub fn is_unfiltered(&self) -> bool {
        matches!(self, Self::Privileged | Self::Unconfined | Self::Hollow(_) | Self::Unset)
    }
}

fn is_hollow(pod: &Pod<'_>, path: &ProfilePath, nodes: &Nodes) -> bool {
    let found = nodes.distribution(pod, path).found;
    found.iter().any(|it| it.problem.is_some_and(Problem::is_hollow))
}

impl fmt::Display for RunsUnder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Privileged => f.write_str("privileged"),
            Self::Unconfined => f.write_str("Unconfined"),
            Self::Hollow(path) => write!(f, "Localhost {path:?}, which filters nothing"),
            Self::Unset => f.write_str("no profile"),
            Self::Invalid => f.write_str("an invalid profile"),
            Self::Localhost(path) => write!(f, "Localhost {path:?}"),
            Self::RuntimeDefault => f.write_str("RuntimeDefault"),
            Self::Windows => f.write_str("Windows"),
        }
    }
}

impl Serialize for RunsUnder {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
