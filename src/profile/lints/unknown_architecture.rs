#![doc = include_str!("unknown-architecture.md")]

use super::{Check, Lint, Reading, Remark, Severity, constants::Constants};
use crate::profile::architecture::Architecture;

/// 1.10.1: runc compares exactly, and knows fewer than the specification.
pub(super) const LINT: Lint = Lint {
    id: "unknown-architecture",
    severity: Severity::Error,
    page: include_str!("unknown-architecture.md"),
    check: Check::Profile(check),
};

const CONSTANTS: Constants = Constants { what: "architecture", prefix: "SCMP_ARCH_" };

fn check(reading: &Reading<'_>) -> Vec<Remark> {
    let mut remarks = Vec::new();
    for architecture in &reading.document.architectures {
        let remark = CONSTANTS.check(architecture, Architecture::names());
        remarks.extend(remark.map(|it| renamed(it, architecture)));
    }
    remarks
}

/// Suggests the constant for other names of an architecture.
fn renamed(remark: Remark, architecture: &str) -> Remark {
    let upper = architecture.trim().to_uppercase();
    let meant = match upper.strip_prefix("SCMP_ARCH_").unwrap_or(&upper) {
        "AMD64" | "X64" | "X86-64" => "SCMP_ARCH_X86_64",
        "386" | "I386" | "I686" => "SCMP_ARCH_X86",
        "ARM64" | "ARM64V8" => "SCMP_ARCH_AARCH64",
        "LOONG64" => "SCMP_ARCH_LOONGARCH64",
        "NATIVE" => return remark.hint("the native architecture is always there"),
        _ => return remark,
    };
    remark.did_you_mean(Some(meant))
}
