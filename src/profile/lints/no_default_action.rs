#![doc = include_str!("no-default-action.md")]

use super::{Anchor, Check, Lint, Reading, Remark, Severity};
use crate::profile::{Broken, Defect, Hollow, json::Spot, spelling};

/// L1: without one, runc switches seccomp off or refuses the profile.
pub(super) const LINT: Lint = Lint {
    id: "no-default-action",
    severity: Severity::Error,
    page: include_str!("no-default-action.md"),
    check: Check::Profile(check),
};

fn check(reading: &Reading<'_>) -> Vec<Remark> {
    if !reading.mistakes.is_empty() {
        return Vec::new();
    }
    let message = match reading.document.defect() {
        Some(Defect::Hollow(it @ Hollow::Disabled { .. })) => it.to_string(),
        Some(Defect::Broken(it @ Broken::NoDefaultAction)) => {
            format!("{it}, so no container starts")
        }
        _ => return Vec::new(),
    };
    let remark = Remark::new(Anchor::Value(Spot::default()), message);
    let near = |key: &&String| spelling::nearest(key, ["defaultAction"]).is_some();
    vec![match reading.document.unknown_keys.iter().find(near) {
        Some(key) => remark.hint(format!("write \"defaultAction\" for {key:?}")),
        None => remark.hint("say what happens to every other call: \"defaultAction\": …"),
    }]
}
