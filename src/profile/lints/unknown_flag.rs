#![doc = include_str!("unknown-flag.md")]

use super::{Check, Lint, Reading, Remark, Severity, constants::Constants};
use crate::profile::runtime::FLAGS;

/// 1.10.1: runc knows four flags.
pub(super) const LINT: Lint = Lint {
    id: "unknown-flag",
    severity: Severity::Error,
    page: include_str!("unknown-flag.md"),
    check: Check::Profile(check),
};

const CONSTANTS: Constants = Constants { what: "flag", prefix: "SECCOMP_FILTER_FLAG_" };

fn check(reading: &Reading<'_>) -> Vec<Remark> {
    let flags = reading.document.flags.iter();
    flags.filter_map(|it| CONSTANTS.check(it, FLAGS.iter().copied())).collect()
}
