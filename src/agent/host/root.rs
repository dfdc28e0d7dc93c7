//! The seccomp directory of a node.

use std::{
    hash::{BuildHasher, RandomState},
    path::Path,
};

use rustix::{
    fd::OwnedFd,
    fs::{Mode, OFlags, open, openat},
};

use super::{HostError, ManagedDir};
use crate::agent::OWN;

/// The seccomp directory of a node, opened.
pub struct Root(pub(super) OwnedFd);

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
