#![doc = include_str!("newer-runc.md")]

use super::{Anchor, Check, Lint, Reading, Remark, Severity};
use crate::profile::document::Spanned;

/// 1.10.1: runc refuses what it does not know.
pub(super) const LINT: Lint = Lint {
    id: "newer-runc",
    severity: Severity::Warning,
    page: include_str!("newer-runc.md"),
    check: Check::Profile(check),
};

/// Flags and architectures, and the first version of runc that knows them.
const SINCE: &[(&str, &str)] = &[
    ("SECCOMP_FILTER_FLAG_TSYNC", "1.2.0"),
    ("SECCOMP_FILTER_FLAG_LOG", "1.2.0"),
    ("SECCOMP_FILTER_FLAG_SPEC_ALLOW", "1.2.0"),
    ("SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", "1.5.0"),
    ("SCMP_ARCH_RISCV64", "1.1.8"),
    ("SCMP_ARCH_LOONGARCH64", "1.4.1"),
];

fn check(reading: &Reading<'_>) -> Vec<Remark> {
    let remark = |it: &Spanned<String>| {
        let (_, since) = SINCE.iter().find(|(name, _)| *name == it.as_str())?;
        let message = format!("runc before {since} refuses {:?}, and no container starts", it.it);
        Some(Remark::new(Anchor::Value(it.node), message))
    };
    let document = reading.document;
    document.architectures.iter().chain(&document.flags).filter_map(remark).collect()
}
