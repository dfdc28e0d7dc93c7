#![doc = include_str!("listener.md")]

use super::{Anchor, Check, Lint, Reading, Remark, Severity, remark::quoted};

/// L6: runc connects to the socket as root, from outside of the container.
pub(super) const LINT: Lint = Lint {
    id: "listener",
    severity: Severity::Error,
    page: include_str!("listener.md"),
    check: Check::Profile(check),
};

fn check(reading: &Reading<'_>) -> Vec<Remark> {
    let mut remarks = Vec::new();
    let (path, metadata) = (&reading.document.listener_path, &reading.document.listener_metadata);
    if !path.is_empty() {
        let message = format!(
            "makes the runtime connect to {} on the node, as root, and hand the container over, \
             which callgate forbids",
            quoted(path)
        );
        remarks.push(Remark::new(Anchor::Value(path.node), message));
    }
    if !metadata.is_empty() {
        let message = if path.is_empty() {
            "is for the program at listenerPath, and there is none: the specification forbids that"
        } else {
            "is for the program at listenerPath, which callgate forbids"
        };
        remarks.push(Remark::new(Anchor::Value(metadata.node), message));
    }
    remarks
}
