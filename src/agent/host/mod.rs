//! All operations on the files of a node, without decisions.
//!
//! Every path is relative to an opened directory. No link is followed on the way to a file that we
//! write, and nothing outside of `callgate` is written.

mod file_state;
mod place;
mod prepare;
mod released;
mod walk;

use std::{
    error::Error,
    fs::File,
    hash::{BuildHasher, RandomState},
    io::{self, Write},
    path::{Path, PathBuf},
};

use rustix::{
    fd::OwnedFd,
    fs::{AtFlags, Mode, OFlags, fchmod, fsync, open, openat, renameat, unlinkat},
    io::Errno,
};

pub use self::{
    file_state::FileState,
    place::Place,
    prepare::{FORMER_OWNER, OWNER, prepare},
    walk::Walk,
};
use super::{OWN, name::Name};

/// The mode of a profile's file: readable by the runtime, which is root, and by everyone else.
const MODE: u32 = 0o644;

/// How many files are written before the first is renamed. Syncing the first one writes most of the
/// others to the disk as well; each is an open file meanwhile.
const TOGETHER: usize = 64;

/// The prefix of temporary files, which no profile's name can have.
const NEW: &str = ".new-";

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

/// The seccomp directory of a node, opened.
pub struct Root(OwnedFd);

/// Our own directory in it, opened, with a number that is unique to this handle: a node may have
/// two agents, and each must rename only the files that it wrote itself.
pub struct ManagedDir(OwnedFd, u64);

impl Root {
    /// Opens it. Links in the path are followed, since the path is configured by the operator.
    pub fn open(path: &Path) -> Result<Self, HostError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        open(path, flags, Mode::empty())
            .map(Self)
            .map_err(|it| HostError::Root { path: path.to_owned(), source: it.into() })
    }

    /// Opens our own directory by its current name.
    pub fn own(&self) -> Result<ManagedDir, HostError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        openat(&self.0, OWN, flags, Mode::empty())
            .map(|it| ManagedDir(it, RandomState::new().hash_one(())))
            .map_err(|it| HostError::ManagedDir { source: it.into() })
    }
}

impl ManagedDir {
    /// Installs profiles so that a reader sees either the old or the new content, also after a
    /// crash. An existing entry of the name is replaced, and if it is a link, not followed.
    ///
    /// When this returns, the files are on the disk.
    pub fn install(&self, files: &[(&Name, &str)]) -> Vec<Result<(), HostError>> {
        let mut installed: Vec<_> =
            files.chunks(TOGETHER).flat_map(|it| self.move_in(it)).collect();
        if let Err(error) = fsync(&self.0) {
            let unsure = |it: Result<(), _>| it.and(Err(HostError::Sync { source: error.into() }));
            installed = installed.into_iter().map(unsure).collect();
        }
        installed
    }

    fn move_in(&self, files: &[(&Name, &str)]) -> Vec<Result<(), HostError>> {
        let temporary = |at: usize| self.temporary(&at.to_string());
        let write = |(at, (_, text)): (usize, &(&Name, &str))| self.write(&temporary(at), text);
        let written: Vec<_> = files.iter().enumerate().map(write).collect();
        let move_in = |(at, (file, (name, _))): (usize, (io::Result<File>, &(&Name, &str)))| {
            let (temporary, name) = (temporary(at), *name);
            let write = |source| HostError::Write { name: name.to_string(), source };
            let rename = |source| HostError::Rename { name: name.to_string(), source };
            let synced = file.and_then(|it| it.sync_all()).map_err(write);
            let moved = synced.and_then(|()| self.rename(&temporary, &name.file()).map_err(rename));
            if moved.is_err() {
                self.give_up(&temporary);
            }
            moved
        };
        written.into_iter().zip(files).enumerate().map(move_in).collect()
    }

    /// Removes a file, or a link to one.
    pub fn remove(&self, name: &Name) -> Result<(), HostError> {
        unlinkat(&self.0, name.file(), AtFlags::empty())
            .and_then(|()| fsync(&self.0))
            .map_err(|it| HostError::Remove { name: name.to_string(), source: it.into() })
    }

    /// Removes temporary files of an agent that was killed while it wrote.
    pub fn clean(&self, names: &[String]) {
        for name in names.iter().filter(|it| it.starts_with(NEW)) {
            if let Err(error) = unlinkat(&self.0, name, AtFlags::empty()) {
                tracing::warn!(file = name, %error, "cannot remove a temporary file of an earlier run");
            }
        }
    }

    fn temporary(&self, what: &str) -> String {
        format!("{NEW}{:016x}-{what}", self.1)
    }

    /// Writes a temporary file in the same directory, since a rename is atomic only within a file
    /// system. Its content may not be on the disk yet.
    fn write(&self, temporary: &str, text: &str) -> io::Result<File> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW;
        let (flags, mode) = (flags | OFlags::CLOEXEC, Mode::RUSR | Mode::WUSR);
        let file = match openat(&self.0, temporary, flags, mode) {
            // A leftover that appeared since we have listed the directory.
            Err(Errno::EXIST) => {
                unlinkat(&self.0, temporary, AtFlags::empty())?;
                openat(&self.0, temporary, flags, mode)
            }
            other => other,
        };
        let mut file = File::from(file?);
        file.write_all(text.as_bytes())?;
        fchmod(&file, Mode::from_raw_mode(MODE))?;
        Ok(file)
    }

    fn rename(&self, temporary: &str, file: &str) -> io::Result<()> {
        Ok(renameat(&self.0, temporary, &self.0, file)?)
    }

    /// If this fails, the next pass removes the file.
    fn give_up(&self, temporary: &str) {
        let _ = unlinkat(&self.0, temporary, AtFlags::empty());
    }
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
