//! The image of this tree: a static binary and nothing else, as in the Dockerfile, but made without Docker and in less time.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use support::report::report;

/// As manifests/overlays/e2e names it.
const TAG: &str = "localhost/callgate:e2e";

/// Writes the archive that nodes import into `folder`.
pub(crate) fn build(folder: &Path) -> Result<PathBuf, String> {
    let tree = Path::new(env!("CARGO_MANIFEST_DIR"));
    let archive = folder.join("callgate.tar");
    let target = format!("{}-unknown-linux-gnu", env::consts::ARCH);
    // A separate target folder: with other flags every dependency is built again, and the running tests hold the lock.
    let output = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("e2e");
    let binary = output.join(&target).join("e2e/callgate");
    if !binary.exists() {
        report("building the image of callgate; the first time this takes some minutes");
    }
    run(Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["build", "--quiet", "--locked", "--bin", "callgate", "--profile", "e2e"])
        // With a target that is named, the flag is not for build scripts and macros, which cannot be static.
        .args(["--target", &target])
        .arg("--target-dir")
        .arg(output)
        .current_dir(tree)
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env("RUSTFLAGS", "-C target-feature=+crt-static"))?;
    run(Command::new(tree.join("e2e/cluster/image")).arg(&archive).arg(TAG).arg(&binary))?;
    Ok(archive)
}

fn run(command: &mut Command) -> Result<(), String> {
    let status = command.status().map_err(|it| format!("{command:?}: {it}"))?;
    status.success().then_some(()).ok_or_else(|| format!("{command:?}: {status}"))
}
