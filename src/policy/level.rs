//! Levels of rules and modes of namespaces.

use serde::Deserialize;

/// What a finding of a rule leads to, from nothing to a denial.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
pub enum Level {
    /// The rule does not run.
    Off,
    /// An audit annotation and a metric; no warning, and the pod is not changed.
    Audit,
    /// A warning to the user.
    Warn,
    /// A denial.
    Deny,
}

/// How a namespace applies its policy (label `callgate.dev/mode`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Levels apply as they are, and fixes are applied.
    #[default]
    Enforce,
    /// Denials become warnings; pods are not changed.
    Warn,
    /// Denials and warnings are only recorded; pods are not changed.
    Audit,
}

impl Level {
    pub const ALL: [Self; 4] = [Self::Off, Self::Audit, Self::Warn, Self::Deny];

    /// This level in a namespace of the given mode.
    #[must_use]
    pub fn under(self, mode: Mode) -> Self {
        match mode {
            Mode::Enforce => self,
            Mode::Warn => self.min(Self::Warn),
            Mode::Audit => self.min(Self::Audit),
        }
    }

    /// The value of the metric label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Audit => "audit",
            Self::Warn => "warn",
            Self::Deny => "deny",
        }
    }
}

impl Mode {
    pub const ALL: [Self; 3] = [Self::Enforce, Self::Warn, Self::Audit];

    /// The mode of this name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.as_str() == text)
    }

    /// The same, for flags: the error lists the modes.
    pub fn of_flag(text: &str) -> Result<Self, String> {
        let known = || Self::ALL.map(Self::as_str).join(", ");
        Self::parse(text).ok_or_else(|| format!("expected one of {}", known()))
    }

    /// The value of the namespace label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Enforce => "enforce",
            Self::Warn => "warn",
            Self::Audit => "audit",
        }
    }
}
