//! Our own directory on a node, and how profiles get there.

use std::{
    fs::File,
    io::{self, Write},
};

use rustix::{
    fd::OwnedFd,
    fs::{AtFlags, Mode, OFlags, fchmod, fsync, openat, renameat, unlinkat},
    io::Errno,
};

use super::HostError;
use crate::agent::name::Name;

/// The mode of a profile's file: readable by the runtime, which is root, and by everyone else.
pub(super) const MODE: u32 = 0o644;

/// How many files are written before the first is renamed. Syncing the first one writes most of the
/// others to the disk as well; each is an open file meanwhile.
const TOGETHER: usize = 64;

/// The prefix of temporary files, which no profile's name can have.
const NEW: &str = ".new-";

/// Our own directory in it, opened, with a number that is unique to this handle: a node may have
/// two agents, and each must rename only the files that it wrote itself.
pub struct ManagedDir(pub(super) OwnedFd, pub(super) u64);

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

    pub(super) fn temporary(&self, what: &str) -> String {
        format!("{NEW}{:016x}-{what}", self.1)
    }

    /// Writes a temporary file in the same directory, since a rename is atomic only within a file
    /// system. Its content may not be on the disk yet.
    pub(super) fn write(&self, temporary: &str, text: &str) -> io::Result<File> {
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

    pub(super) fn rename(&self, temporary: &str, file: &str) -> io::Result<()> {
        Ok(renameat(&self.0, temporary, &self.0, file)?)
    }

    /// If this fails, the next pass removes the file.
    pub(super) fn give_up(&self, temporary: &str) {
        let _ = unlinkat(&self.0, temporary, AtFlags::empty());
    }
}
