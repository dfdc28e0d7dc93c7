//! Why an operation on the files of a node failed.

use std::{error::Error, io, path::PathBuf};

use rustix::io::Errno;

use super::OWNER;
use crate::agent::OWN;

/// Why an operation on the node failed.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    #[error("cannot open the seccomp directory {path:?}")]
    Root { path: PathBuf, source: io::Error },
    #[error(
        "cannot open {OWN:?} in the seccomp directory, which has to be a directory and no link"
    )]
    ManagedDir { source: io::Error },
    #[error("cannot list {OWN:?} in the seccomp directory")]
    List { source: io::Error },
    #[error("cannot read profile {name:?} from the API server")]
    Fetch { name: String, source: io::Error },
    #[error("cannot write profile {name:?}")]
    Write { name: String, source: io::Error },
    #[error("cannot move profile {name:?} into place")]
    Rename { name: String, source: io::Error },
    #[error("cannot make sure that {OWN:?} in the seccomp directory is on the disk")]
    Sync { source: io::Error },
    #[error("cannot remove profile {name:?}")]
    Remove { name: String, source: io::Error },
    #[error("profile {name:?} is not what was written")]
    Differs { name: String },
    #[error("cannot note for how long files have been kept")]
    Note { source: io::Error },
    #[error(
        "cannot remove {OWN}/.released, which the runtime would load as a profile without a filter"
    )]
    OldNote { source: io::Error },
    #[error("cannot read what is mounted where")]
    Mounts { source: io::Error },
    #[error(
        "the seccomp directory is not the one that the kubelet reads any more, and the agent's pod \
         has to be made anew"
    )]
    Replaced { source: io::Error },
    #[error("cannot make {OWN:?} in the seccomp directory")]
    Make { source: io::Error },
    #[error("cannot give {OWN:?} in the seccomp directory to user {OWNER}")]
    Give { source: io::Error },
}

impl HostError {
    /// The kind of the failure, for metrics.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Fetch { .. } => return "fetch",
            Self::Replaced { .. } => return "replaced",
            _ => {}
        }
        let Some(error) = self.source().and_then(|it| it.downcast_ref::<io::Error>()) else {
            return "differs";
        };
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "disk-full",
            io::ErrorKind::ReadOnlyFilesystem => "read-only",
            io::ErrorKind::PermissionDenied => "permission",
            io::ErrorKind::NotFound => "missing",
            io::ErrorKind::NotADirectory | io::ErrorKind::IsADirectory => "in-the-way",
            _ if error.raw_os_error() == Some(Errno::LOOP.raw_os_error()) => "in-the-way",
            _ => "io",
        }
    }
}
