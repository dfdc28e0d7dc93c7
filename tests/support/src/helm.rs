//! Helm 3 and 4, which e2e/helm/build makes, and the chart.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// The root of this tree.
const TREE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

pub const VERSIONS: [&str; 2] = ["v3", "v4"];

/// The folder of both, if they have been built.
pub fn programs() -> Option<PathBuf> {
    let build = Path::new(TREE).join("e2e/helm/build");
    let output = Command::new(build).arg("--where").output().expect("bash starts");
    let folder = String::from_utf8(output.stdout).expect("its name is text");
    output.status.success().then(|| folder.trim().into())
}

pub fn chart() -> PathBuf {
    Path::new(TREE).join("charts/callgate")
}

/// A file of values that the tests have.
pub fn values(name: &str) -> PathBuf {
    Path::new(TREE).join(format!("tests/manifests/values/{name}.yaml"))
}
