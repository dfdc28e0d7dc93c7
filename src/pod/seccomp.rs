//! The seccomp profile that a pod or container declares, and the one it gets.

use std::fmt;

use crate::pod::view::{RawProfile, SecurityContext};

/// A `seccompProfile` as it is declared, which need not be valid (S1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seccomp<'a> {
    RuntimeDefault,
    Unconfined,
    /// `None` where `localhostProfile` is missing.
    Localhost(Option<&'a str>),
    /// Any other `type`; empty where it is missing.
    Unrecognised(&'a str),
    /// A `localhostProfile` beside a type that takes none.
    Contradictory {
        kind: &'a str,
        path: &'a str,
    },
}

/// What a container runs under, as far as the pod tells (S5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effective<'a> {
    /// The container declares it itself.
    Own(Seccomp<'a>),
    /// The pod declares it for all containers that declare nothing.
    Inherited(Seccomp<'a>),
    /// Nobody declares anything: the kubelet's `seccompDefault` decides, and
    /// where that is off, nothing is filtered (S6).
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
