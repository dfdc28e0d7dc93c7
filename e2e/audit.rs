//! The audit log of the API server of our own cluster, of the namespaces that tests name here.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use serde_json::json;
use support::e2e::cluster::{Site, is_kind};

/// Its objects are in the log.
pub(crate) const WITH_OBJECTS: &str = "replay-with-objects";
/// Only the metadata of requests is in the log.
pub(crate) const WITHOUT_OBJECTS: &str = "replay-without-objects";

/// Writes the audit policy beside the state of the cluster, and returns the flags.
pub(crate) fn write(directory: &Path) -> io::Result<String> {
    // The API server of kind cannot write there.
    if is_kind() {
        return Ok(String::new());
    }
    let rule = |level: &str, namespace: &str| {
        json!({
            "level": level, "namespaces": [namespace], "verbs": ["create", "update", "patch", "list"],
            "resources": [{ "group": "" }, { "group": "apps" }, { "group": "batch" }],
        })
    };
    let policy = json!({
        "apiVersion": "audit.k8s.io/v1", "kind": "Policy", "omitStages": ["RequestReceived"],
        "rules": [
            rule("RequestResponse", WITH_OBJECTS),
            rule("Metadata", WITHOUT_OBJECTS),
            { "level": "None" },
        ],
    });
    let path = directory.join("audit.yaml");
    fs::write(&path, policy.to_string())?;
    let log = log_in(directory);
    Ok(format!("--audit-policy-file={} --audit-log-path={}", path.display(), log.display()))
}

/// The log, if the cluster has one.
pub(crate) fn log(site: &Site) -> Option<PathBuf> {
    let directory = site.directory.as_ref()?.parent()?;
    Some(log_in(directory)).filter(|it| it.exists())
}

fn log_in(directory: &Path) -> PathBuf {
    directory.join("audit.log")
}
