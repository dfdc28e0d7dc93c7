#![doc = include_str!("not-json.md")]

use super::{Anchor, Check, Lint, Remark, Severity};
use crate::profile::json::{Malformed, NodeId};

/// L4: containerd decodes with `encoding/json` and gives up.
pub(super) const LINT: Lint = Lint {
    id: "not-json",
    severity: Severity::Error,
    page: include_str!("not-json.md"),
    check: Check::Text(check),
};

fn check(text: &[u8], malformed: &Malformed) -> Remark {
    let message = format!("the runtime cannot decode it: {malformed}, so no container starts");
    let remark = Remark::new(Anchor::Value(NodeId::default()), message);
    match text.trim_ascii_start() {
        [0xef, 0xbb, 0xbf, ..] => remark.hint("save the file without a byte order mark"),
        [b'a'..=b'z' | b'A'..=b'Z' | b'#', ..] | [b'-', b'-' | b' ', ..] => {
            remark.hint("a profile file is JSON, not YAML")
        }
        _ => remark,
    }
}
