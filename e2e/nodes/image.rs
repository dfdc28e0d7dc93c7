//! The image of this tree, as e2e/image makes it.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// As manifests/overlays/e2e names it.
const NAME: &str = "localhost/callgate:e2e";

/// Writes the archive that nodes import into `folder`.
pub(crate) fn build(folder: &Path) -> Result<PathBuf, String> {
    let mut command = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/e2e/image"));
    command.arg(folder.join("callgate")).arg(NAME).stderr(Stdio::inherit());
    let output = command.output().map_err(|it| format!("{command:?}: {it}"))?;
    if !output.status.success() {
        return Err(format!("{command:?}: {}", output.status));
    }
    Ok(PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()))
}
