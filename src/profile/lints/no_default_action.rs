#![doc = include_str!("no-default-action.md")]

use super::{Anchor, Check, Lint, Reading, Remark, Severity};
use crate::{
    profile::{Broken, Defect, Hollow, json::NodeId},
    spelling,
};

/// L1: without one, runc switches seccomp off or refuses the profile.
pub(super) const LINT: Lint = Lint {
    id: "no-default-action",
    severity: Severity::Error,
    page: include_str!("no-default-action.md"),
    check: Check::Profile(check),
};

fn check(reading: &Reading<'_>) -> Vec<Remark> {
    if !reading.mismatches.is_empty() {
        return Vec::new();
    }
    let remark = |message| Remark::new(Anchor::Value(NodeId::default()), message);
    vec![match reading.document.defect() {
        // The message of the defect names the misspelt key.
        Some(Defect::Hollow(it @ Hollow::Disabled { misspelt: Some(_) })) => remark(it.to_string()),
        Some(Defect::Hollow(it @ Hollow::Disabled { misspelt: None })) => {
            let deny = "add \"defaultAction\": \"SCMP_ACT_ERRNO\" to deny what no rule allows";
            remark(it.to_string()).hint(deny)
        }
        Some(Defect::Broken(it @ Broken::NoDefaultAction)) => {
            let near = |key: &&String| spelling::nearest(key, ["defaultAction"]).is_some();
            let misspelt = reading.document.unknown_keys.iter().find(near);
            let remark = remark(format!("{it}, so no container starts"));
            match misspelt {
                Some(key) => remark.hint(format!("{key:?} is not \"defaultAction\"")),
                None => remark,
            }
        }
        _ => return Vec::new(),
    }]
}
