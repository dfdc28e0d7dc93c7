//! Policy and profiles from files, for a webhook without a cluster.

mod follow;
mod policy;
mod profiles;

use std::path::PathBuf;

use clap::Args;

use crate::{
    policy::{Mode, Policy},
    profile::Catalog,
};

pub use follow::follow;
pub use policy::PolicyFileError;
pub use profiles::ProfilesError;

/// The files that a webhook without a cluster reads.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Standalone")]
pub struct Sources {
    /// Name of a built-in policy (baseline, restricted), or path of a file that holds a
    /// `SeccompPolicy`. Only with --standalone
    #[arg(
        long,
        value_name = "NAME|FILE",
        default_value = "restricted",
        requires = "standalone",
        env = "CALLGATE_POLICY"
    )]
    pub policy: String,

    /// Mode of the policy: enforce changes pods and denies; warn turns denials into warnings; audit
    /// turns denials and warnings into audit annotations. Only with --standalone
    #[arg(
        long,
        value_name = "MODE",
        default_value = "enforce",
        requires = "standalone",
        value_parser = Mode::of_flag,
        env = "CALLGATE_MODE"
    )]
    pub mode: Mode,

    /// Directory of profiles that pods may name in localhostProfile, laid out as the kubelet's
    /// seccomp directory; in a cluster, in addition to `SeccompProfile` objects
    #[arg(long, value_name = "DIR", env = "CALLGATE_PROFILES")]
    pub profiles: Option<PathBuf>,
}

/// The content of the files at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    pub policy: Policy,
    pub catalog: Catalog,
}

/// Why the files cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    #[error(transparent)]
    Policy(#[from] PolicyFileError),
    #[error(transparent)]
    Profiles(#[from] ProfilesError),
}

impl Sources {
    /// Rereads the profiles.
    pub fn catalog(&self) -> Result<Catalog, SourceError> {
        let catalog = self.profiles.as_deref().map(profiles::read).transpose()?;
        Ok(catalog.unwrap_or_default())
    }

    /// Rereads policy and profiles.
    pub fn read(&self) -> Result<Facts, SourceError> {
        Ok(Facts { catalog: self.catalog()?, policy: policy::read(&self.policy)? })
    }
}
