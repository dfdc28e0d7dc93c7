#![doc = include_str!("too-large.md")]

use super::{Anchor, Check, Lint, Reading, Remark, Severity};
use crate::profile::{MOST_FILE_BYTES, json::NodeId};

/// Agents read every profile on every node, and have a memory limit.
pub(super) const LINT: Lint = Lint {
    id: "too-large",
    severity: Severity::Error,
    page: include_str!("too-large.md"),
    check: Check::Profile(check),
};

fn check(reading: &Reading<'_>) -> Vec<Remark> {
    let size = reading.document.canonical().len();
    if size <= MOST_FILE_BYTES {
        return Vec::new();
    }
    let message =
        format!("its file on the nodes would have {size} bytes, and may have {MOST_FILE_BYTES}");
    vec![Remark::new(Anchor::Value(NodeId::default()), message)]
}
