//! The seccomp profile that a pod or container declares, and the one it gets.

use std::fmt;

use crate::pod::view::{RawProfile, SecurityContext};

/// A `seccompProfile` as declared; it may be invalid (S1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seccomp<'a> {
    RuntimeDefault,
    Unconfined,
    /// `None` if `localhostProfile` is missing.
    Localhost(Option<&'a str>),
    /// Any other `type`; empty if it is missing.
    Unrecognised(&'a str),
    /// A type that takes no `localhostProfile`, with one.
    Contradictory {
        kind: &'a str,
        path: &'a str,
    },
}

/// The profile of a container, as far as the pod determines it (S5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effective<'a> {
    /// The container declares the profile.
    Own(Seccomp<'a>),
    /// The pod declares the profile, and the container does not.
    Inherited(Seccomp<'a>),
    /// Neither declares one. The kubelet's `seccompDefault` decides; where it is
    /// off, the container is unconfined (S6).
    Unset,
}

impl<'a> Seccomp<'a> {
    pub(super) fn declared_in(context: Option<&'a SecurityContext<'_>>) -> Option<Self> {
        context?.seccomp_profile.as_ref().map(Self::of)
    }

    fn of(RawProfile { kind, localhost_profile }: &'a RawProfile<'_>) -> Self {
        match (kind.as_deref().unwrap_or_default(), localhost_profile.as_deref()) {
            ("Localhost", path) => Self::Localhost(path),
            (kind @ ("RuntimeDefault" | "Unconfined"), Some(path)) => {
                Self::Contradictory { kind, path }
            }
            ("RuntimeDefault", None) => Self::RuntimeDefault,
            ("Unconfined", None) => Self::Unconfined,
            (other, _) => Self::Unrecognised(other),
        }
    }

    /// The value of the `type` field.
    pub fn kind(&self) -> &'a str {
        match self {
            Self::RuntimeDefault => "RuntimeDefault",
            Self::Unconfined => "Unconfined",
            Self::Localhost(_) => "Localhost",
            Self::Unrecognised(kind) | Self::Contradictory { kind, .. } => kind,
        }
    }
}

impl fmt::Display for Seccomp<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Localhost(Some(path)) => write!(f, "Localhost {path:?}"),
            it => f.write_str(it.kind()),
        }
    }
}
