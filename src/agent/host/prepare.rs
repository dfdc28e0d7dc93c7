//! Makes the directory that is ours, before the agent starts.

use std::{fs::File, io, os::unix::fs::MetadataExt, path::Path};

use rustix::{
    fs::{Gid, Mode, Uid, fchmod, fchown, mkdirat},
    io::Errno,
};

use super::{HostError, Root};
use crate::agent::OWN;

/// The user and the group that the agent runs as.
pub const OWNER: u32 = 65532;

const MODE: u32 = 0o755;

/// Makes `callgate` in the seccomp directory and gives it to [`OWNER`], unless
/// it is so already. What is in it stays as it is.
///
/// It takes root, `CAP_CHOWN` and nothing else.
pub fn prepare(path: &Path) -> Result<(), HostError> {
    let root = Root::open(path)?;
    match mkdirat(&root.0, OWN, Mode::from_raw_mode(MODE)) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(error) => return Err(HostError::Make { source: error.into() }),
    }
    let own = File::from(root.own()?.0);
    let give = || -> io::Result<()> {
        let metadata = own.metadata()?;
        // Only its owner may.
        if metadata.uid() == 0 && metadata.mode() & 0o7777 != MODE {
            fchmod(&own, Mode::from_raw_mode(MODE))?;
        }
        if (metadata.uid(), metadata.gid()) != (OWNER, OWNER) {
            fchown(&own, Some(Uid::from_raw(OWNER)), Some(Gid::from_raw(OWNER)))?;
        }
        own.sync_all()
    };
    give().map_err(|source| HostError::Give { source })
}
