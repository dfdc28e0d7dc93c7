//! From which findings on a command fails.

use clap::ValueEnum;

use crate::{report::Severity, scan::Grade};

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum FailOn {
    /// What would be denied
    Deny,
    /// Warnings too
    Warn,
    /// Nothing
    Never,
}

impl FailOn {
    pub(super) fn fails(self, worst: Option<Grade>) -> bool {
        match self {
            Self::Deny => worst >= Some(Grade::Denied),
            Self::Warn => worst >= Some(Grade::Warned),
            Self::Never => false,
        }
    }

    /// The lowest severity on which the command fails.
    pub(super) fn severity(self) -> Option<Severity> {
        match self {
            Self::Deny => Some(Severity::Error),
            Self::Warn => Some(Severity::Warning),
            Self::Never => None,
        }
    }
}
