//! The definition of Reports of openreports.io, from the Go module of that project.

use std::{fs, path::Path, process::Command};

use serde_json::Value;

const MODULE: &str = "github.com/openreports/reports-api@v0.2.1";

/// The `CustomResourceDefinition` of a Report; `None` if the module cannot be had.
pub fn definition() -> Option<Value> {
    let output = Command::new("go").args(["mod", "download", "-json", MODULE]).output();
    let module: Value = serde_json::from_slice(&output.ok()?.stdout).ok()?;
    let file = Path::new(module["Dir"].as_str()?).join("config/crd/openreports.io_reports.yaml");
    let text = fs::read_to_string(file).expect("the module has the definition");
    Some(serde_saphyr::from_str(&text).expect("it is YAML"))
}
