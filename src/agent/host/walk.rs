//! Finds every file under the seccomp directory.

use std::{fs::File, io, os::unix::fs::MetadataExt};

use rustix::{
    fd::{AsFd, OwnedFd},
    fs::{Dir, FileType, OFlags},
};

use super::{HostError, ManagedDir, Root, file_state::is_nowhere};
use crate::profile::ProfilePath;

/// The deepest directory that is read.
const DEEPEST: usize = 8;

/// How many names are read; further files are not found.
const MOST_NAMES: usize = 20_000;

/// The longest path that the schema of `SeccompNode` allows.
const LONGEST_PATH: usize = 1024;

/// The files that were found, in alphabetical order.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Walk {
    /// Files and links that a pod can name, relative to the seccomp directory.
    pub paths: Vec<String>,
    /// Whether some were not looked at.
    pub is_cut: bool,
    names: usize,
}

impl ManagedDir {
    /// The names of all entries of our directory.
    pub fn names(&self) -> Result<Vec<String>, HostError> {
        let mut all = Vec::new();
        let list = |source: rustix::io::Errno| HostError::List { source: source.into() };
        for entry in Dir::read_from(&self.0).map_err(list)?.take(MOST_NAMES) {
            let entry = entry.map_err(list)?;
            if let Ok(name) = entry.file_name().to_str() {
                all.push(name.to_owned());
            }
        }
        all.retain(|it| it != "." && it != "..");
        all.sort();
        Ok(all)
    }
}

impl Root {
    /// Finds all files. A directory that cannot be listed is left out: the node then counts as
    /// lacking its files, which is the safe side.
    pub fn walk(&self) -> Walk {
        let mut walk = Walk::default();
        self.enter(&self.0, "", &mut Vec::new(), &mut walk);
        walk.paths.sort();
        walk
    }

    fn enter(
        &self,
        directory: &OwnedFd,
        prefix: &str,
        above: &mut Vec<(u64, u64)>,
        walk: &mut Walk,
    ) {
        let (Ok(entries), Ok(identity)) = (Dir::read_from(directory), identity(directory)) else {
            return;
        };
        // A link may lead to a parent directory.
        if above.contains(&identity) || above.len() >= DEEPEST {
            return;
        }
        above.push(identity);
        for entry in entries.map_while(Result::ok) {
            let Ok(name) = entry.file_name().to_str() else { continue };
            // A mounted volume keeps its files in `..data` and links to them.
            if name == "." || name.starts_with("..") {
                continue;
            }
            walk.names += 1;
            if walk.names > MOST_NAMES {
                walk.is_cut = true;
                break;
            }
            let path = format!("{prefix}{name}");
            if path.len() > LONGEST_PATH || path.parse::<ProfilePath>().is_err() {
                continue;
            }
            match self.kind(&path, entry.file_type()) {
                Some(FileType::Directory) => {
                    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NONBLOCK;
                    if let Ok(inner) = self.open_beneath(&path, flags) {
                        self.enter(&inner, &format!("{path}/"), above, walk);
                    }
                }
                Some(FileType::RegularFile) => walk.paths.push(path),
                _ => {}
            }
        }
        above.pop();
    }

    /// The type of the file that the runtime would find there, which follows links. A link that
    /// leads out of the seccomp directory counts as a file, so that it is reported.
    fn kind(&self, path: &str, listed: FileType) -> Option<FileType> {
        if !matches!(listed, FileType::Symlink | FileType::Unknown) {
            return Some(listed);
        }
        match self.open_beneath(path, OFlags::PATH).map(|it| File::from(it).metadata()) {
            Ok(Ok(it)) if it.is_dir() => Some(FileType::Directory),
            Ok(Ok(it)) if it.is_file() => Some(FileType::RegularFile),
            Ok(_) => None,
            Err(it) if is_nowhere(&it) => None,
            Err(_) => Some(FileType::RegularFile),
        }
    }
}

fn identity(directory: &OwnedFd) -> io::Result<(u64, u64)> {
    let metadata = File::from(directory.as_fd().try_clone_to_owned()?).metadata()?;
    Ok((metadata.dev(), metadata.ino()))
}
