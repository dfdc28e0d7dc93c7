//! What a finding leads to.

use serde::Deserialize;

/// What a rule does when it finds something, from nothing to refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
pub enum Level {
    /// The rule is not asked.
    Off,
    /// An audit annotation and a metric; the user sees nothing, the pod stays as it is.
    Audit,
    /// A warning to the user.
    Warn,
    /// A refusal.
    Deny,
}

/// How seriously a namespace takes its policy (label `callgate.dev/mode`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Levels mean what they say, and fixes are applied.
    #[default]
    Enforce,
    /// What would be refused is warned about; pods stay as they are.
    Warn,
    /// What would be refused or warned about is only recorded; pods stay as they are.
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

    /// As metric labels spell it.
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

    /// The mode that is spelt so.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.as_str() == text)
    }

    /// The same, for flags: the error says which modes there are.
    pub fn of_flag(text: &str) -> Result<Self, String> {
        let known = || Self::ALL.map(Self::as_str).join(", ");
        Self::parse(text).ok_or_else(|| format!("expected one of {}", known()))
    }

    /// As the label spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Enforce => "enforce",
            Self::Warn => "warn",
            Self::Audit => "audit",
        }
    }
}
