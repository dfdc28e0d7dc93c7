//! Applies the patch of `/mutate`, as the API server does before it calls `/validate`.

use serde_json::Value;

use crate::policy::Patch;

/// The pod with the patch applied; `None` if it does not apply.
pub fn patched(pod: &str, patch: &Patch) -> Option<String> {
    let mut pod: Value = serde_json::from_str(pod).ok()?;
    let operations = serde_json::to_value(&patch.operations).ok()?;
    let operations: json_patch::Patch = serde_json::from_value(operations).ok()?;
    json_patch::patch(&mut pod, &operations).ok()?;
    Some(pod.to_string())
}
