//! Creates our own directory before the agent starts.

use std::{fs::File, io, os::unix::fs::MetadataExt, path::Path};

use rustix::{
    fs::{AtFlags, Gid, Mode, OFlags, Uid, chownat, fchmod, fchown, mkdirat, openat},
    io::Errno,
};

use super::{HostError, ManagedDir, Root};
use crate::agent::OWN;

/// The user and the group of the agent, which nothing else on a node should run as.
///
/// Debian, Fedora and systemd assign this number to no user, images do not run as it, and it is
/// below 65536, where the users of pods with a user namespace of their own begin.
pub const OWNER: u32 = 60917;

/// The owner of the directory in earlier versions, which many images run as.
pub const FORMER_OWNER: u32 = 65532;

const MODE: u32 = 0o755;

/// Creates `callgate` in the seccomp directory and makes [`OWNER`] its owner, and the owner of
/// files that belong to [`FORMER_OWNER`]. The content of the files stays as it is.
///
/// It requires root with `CAP_CHOWN`, and no other capability.
pub fn prepare(path: &Path) -> Result<(), HostError> {
    let root = Root::open(path)?;
    match mkdirat(&root.0, OWN, Mode::from_raw_mode(MODE)) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(error) => return Err(HostError::Make { source: error.into() }),
    }
    let own = root.own()?;
    give(&own).map_err(|source| HostError::Give { source })?;
    for name in own.names()? {
        give_file(&own, &name).map_err(|source| HostError::Give { source })?;
    }
    Ok(())
}

fn give(own: &ManagedDir) -> io::Result<()> {
    let own = File::from(own.0.try_clone()?);
    let metadata = own.metadata()?;
    let is_open = metadata.mode() & 0o7777 != MODE;
    // Only the owner may change the mode; the directory may have been created as writable for
    // everyone.
    if is_open {
        fchown(&own, Some(Uid::ROOT), Some(Gid::ROOT))?;
        fchmod(&own, Mode::from_raw_mode(MODE))?;
    }
    if is_open || (metadata.uid(), metadata.gid()) != (OWNER, OWNER) {
        fchown(&own, Some(Uid::from_raw(OWNER)), Some(Gid::from_raw(OWNER)))?;
    }
    own.sync_all()
}

/// Changes the owner of a file, unless it has a second name, which may be anywhere.
fn give_file(own: &ManagedDir, name: &str) -> io::Result<()> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = match openat(&own.0, name, flags, Mode::empty()) {
        Err(Errno::NOENT) => return Ok(()),
        other => File::from(other?),
    };
    let metadata = file.metadata()?;
    if metadata.is_file() && metadata.nlink() == 1 && metadata.uid() == FORMER_OWNER {
        let owner = (Some(Uid::from_raw(OWNER)), Some(Gid::from_raw(OWNER)));
        chownat(&file, "", owner.0, owner.1, AtFlags::EMPTY_PATH)?;
    }
    Ok(())
}
