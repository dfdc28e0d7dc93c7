//! A policy by its name or from a file.

use std::{
    fs::{self, File},
    io::{self, Read},
    os::unix::fs::FileTypeExt,
};

use crate::policy::{Builtin, Policy, PolicyError};

/// The largest object that a cluster could hold is of about this size, too.
const LARGEST: u64 = 1024 * 1024;

/// Why a policy cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum PolicyFileError {
    #[error("cannot read policy {path:?} (built in are baseline and restricted)")]
    Read { path: String, source: io::Error },
    #[error("{path:?} is larger than {LARGEST} bytes, it cannot be a policy")]
    TooLarge { path: String },
    /// In the form of a compiler's error, with line and column.
    #[error("{path}:{error}")]
    Parse { path: String, error: PolicyError },
}

/// To open a pipe would be to wait for its writer, perhaps for ever.
fn opened(path: &str) -> io::Result<File> {
    let kind = fs::metadata(path)?.file_type();
    if kind.is_fifo() {
        return Err(io::Error::other("it is a pipe, not a file"));
    }
    File::open(path)
}

pub(super) fn read(name_or_path: &str) -> Result<Policy, PolicyFileError> {
    if let Some(builtin) = Builtin::named(name_or_path) {
        return Ok(builtin.policy());
    }
    let path = || name_or_path.to_owned();
    let mut text = String::new();
    opened(name_or_path)
        .and_then(|it| it.take(LARGEST + 1).read_to_string(&mut text))
        .map_err(|source| PolicyFileError::Read { path: path(), source })?;
    if text.len() as u64 > LARGEST {
        return Err(PolicyFileError::TooLarge { path: path() });
    }
    Policy::parse(&text).map_err(|error| PolicyFileError::Parse { path: path(), error })
}
