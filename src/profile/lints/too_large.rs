#![doc = include_str!("too-large.md")]

use super::{Anchor, Check, Lint, Reading, Remark, Severity};
use crate::profile::{Broken, MOST_FILE_BYTES, json::NodeId};

/// Agents read and evaluate every profile on every node, and have a memory limit.
pub(super) const LINT: Lint = Lint {
    id: "too-large",
    severity: Severity::Error,
    page: include_str!("too-large.md"),
    check: Check::Profile(check),
};

fn check(reading: &Reading<'_>) -> Vec<Remark> {
    let size = reading.document.canonical().len();
    let bytes = (size > MOST_FILE_BYTES).then(|| {
        format!("its file on the nodes would have {size} bytes, and may have {MOST_FILE_BYTES}")
    });
    let rules = reading.calls.is_cut().then(|| Broken::TooManyRules.to_string());
    let remark = |it| Remark::new(Anchor::Value(NodeId::default()), it);
    bytes.into_iter().chain(rules).map(remark).collect()
}
