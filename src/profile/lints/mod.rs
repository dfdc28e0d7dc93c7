//! The lints: one file for each fault of a profile.

mod conflicting_rules;
mod constants;
mod docker_key;
mod duplicate_key;
mod empty_name;
mod errno_too_large;
mod key_case;
mod lint;
mod listener;
pub(super) mod missing_startup_calls;
mod mixed_byte_orders;
mod newer_runc;
mod no_default_action;
mod no_execve;
mod no_names;
mod no_such_argument;
mod not_json;
mod notify;
mod open_upper_half;
mod overruled_rule;
mod permissive;
mod reading;
pub(crate) mod remark;
mod repeated_argument;
mod same_as_default;
mod socketcall;
mod stray_errno;
mod stray_value_two;
mod swallowed_rule;
mod target;
mod too_large;
mod unknown_action;
mod unknown_architecture;
mod unknown_flag;
mod unknown_key;
mod unknown_operator;
mod unknown_syscall;
mod wide_or;
mod wrong_type;

use lint::Check;
pub use lint::{Finding, Lint, Severity};
use reading::{Reading, Shape};
use remark::{Anchor, Remark};
pub use target::Target;

use crate::profile::{DecodedProfile, Doubt, json::Json};

/// All lints; their findings about one value have this order.
pub const LINTS: &[Lint] = &[
    not_json::LINT,
    wrong_type::LINT,
    too_large::LINT,
    no_default_action::LINT,
    duplicate_key::LINT,
    key_case::LINT,
    docker_key::LINT,
    unknown_key::LINT,
    unknown_action::LINT,
    unknown_operator::LINT,
    unknown_architecture::LINT,
    mixed_byte_orders::LINT,
    unknown_flag::LINT,
    newer_runc::LINT,
    notify::LINT,
    listener::LINT,
    empty_name::LINT,
    no_names::LINT,
    unknown_syscall::LINT,
    no_such_argument::LINT,
    repeated_argument::LINT,
    stray_value_two::LINT,
    open_upper_half::LINT,
    wide_or::LINT,
    socketcall::LINT,
    stray_errno::LINT,
    errno_too_large::LINT,
    conflicting_rules::LINT,
    overruled_rule::LINT,
    swallowed_rule::LINT,
    same_as_default::LINT,
    permissive::LINT,
    no_execve::LINT,
    missing_startup_calls::LINT,
];

/// Runs every lint on a profile file. Returns the findings in the order of the text.
pub fn lint(text: &[u8]) -> Vec<Finding> {
    lint_for(text, &Target::default())
}

/// As [`lint`](fn@lint), for some nodes.
pub fn lint_for(text: &[u8], target: &Target) -> Vec<Finding> {
    match Json::parse(text) {
        Ok(json) => findings(&DecodedProfile::of(json), target),
        Err(malformed) => {
            let says = |lint: &'static Lint| match lint.check {
                Check::Text(check) => Some(lint.on_text(check(text, &malformed), &malformed)),
                Check::Profile(_) => None,
            };
            LINTS.iter().filter_map(says).collect()
        }
    }
}

/// Runs every lint on a decoded profile. Returns the findings in the order of the
/// document.
pub(super) fn findings(profile: &DecodedProfile, target: &Target) -> Vec<Finding> {
    let reading = Reading::of(profile, target);
    let mut remarks: Vec<(&'static Lint, Remark)> = Vec::new();
    for lint in LINTS {
        if let Check::Profile(check) = lint.check {
            remarks.extend(check(&reading).into_iter().map(|it| (lint, it)));
        }
    }
    // The sort is stable: findings about one value keep the order of the lints.
    remarks.sort_by_key(|(_, remark)| remark.at.order());
    remarks.into_iter().map(|(lint, remark)| lint.on_tree(remark, &profile.json)).collect()
}

/// The lints whose findings are doubts, the most severe first.
const DOUBTS: [(Lint, Doubt); 2] =
    [(no_execve::LINT, Doubt::NoStart), (docker_key::LINT, Doubt::DockerKeys)];

/// The most severe doubt about a profile. Runs only the lints above: others can
/// be slow, and anyone may write files on nodes.
pub(super) fn doubt(profile: &DecodedProfile) -> Option<Doubt> {
    let target = Target::default();
    let reading = Reading::of(profile, &target);
    let finds = |lint: &Lint| match lint.check {
        Check::Profile(check) => !check(&reading).is_empty(),
        Check::Text(_) => false,
    };
    DOUBTS.iter().find(|(lint, _)| finds(lint)).map(|it| it.1)
}

/// Formats the errors among the findings about the `spec` of an object: each after
/// a line break, and after `most` of them the number of the rest. Returns `None`
/// if there is no error.
pub fn errors(findings: &[Finding], most: usize) -> Option<String> {
    let errors: Vec<_> = findings.iter().filter(|it| it.lint.severity == Severity::Error).collect();
    let mut lines: Vec<_> =
        errors.iter().take(most).map(|it| format!("\n  {}", it.in_spec())).collect();
    if errors.len() > most {
        lines.push(format!("\n  and {} more findings", errors.len() - most));
    }
    (!lines.is_empty()).then(|| lines.concat())
}

#[cfg(test)]
mod tests;
