//! From which findings on a command fails.

use clap::ValueEnum;

use crate::scan::Grade;

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum FailOn {
    /// What would be refused
    Deny,
    /// Warnings too
    Warn,
    /// Nothing
    Never,
}

impl FailOn {
    pub(super) fn fails(self, worst: Option<Grade>) -> bool {
        match self {
            Self::Deny => worst >= Some(Grade::Refused),
            Self::Warn => worst >= Some(Grade::Warned),
            Self::Never => false,
        }
    }
}
