//! A policy by its name or from a file.

use std::{fs, io};

use crate::policy::{Builtin, Policy, PolicyError};

/// Why there is no policy.
#[derive(Debug, thiserror::Error)]
pub enum PolicyFileError {
    #[error("cannot read policy {path:?} (built in are baseline and restricted)")]
    Read { path: String, source: io::Error },
    /// In the form in which compilers point at a place.
    #[error("{path}:{error}")]
    Parse { path: String, error: PolicyError },
}

pub(super) fn read(name_or_path: &str) -> Result<Policy, PolicyFileError> {
    if let Some(builtin) = Builtin::named(name_or_path) {
        return Ok(builtin.policy());
    }
    let path = || name_or_path.to_owned();
    let text = fs::read_to_string(name_or_path)
        .map_err(|source| PolicyFileError::Read { path: path(), source })?;
    Policy::parse(&text).map_err(|error| PolicyFileError::Parse { path: path(), error })
}
