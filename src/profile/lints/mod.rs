//! The lints: one file for each fault of a profile.

mod conflicting_rules;
mod constants;
mod docker_key;
mod duplicate_key;
mod empty_name;
mod errno_too_large;
mod key_case;
mod listener;
mod missing_startup_calls;
mod mixed_byte_orders;
mod no_default_action;
mod no_execve;
mod no_names;
mod no_such_argument;
mod not_json;
mod notify;
mod overruled_rule;
mod permissive;
mod reading;
pub(crate) mod remark;
mod repeated_argument;
mod same_as_default;
mod stray_errno;
mod stray_value_two;
mod swallowed_rule;
mod too_large;
mod unknown_action;
mod unknown_architecture;
mod unknown_flag;
mod unknown_key;
mod unknown_operator;
mod unknown_syscall;
mod wrong_type;

use std::fmt;

use reading::{Reading, Shape};
use remark::{Anchor, Remark};

use crate::profile::{
    DecodedProfile, Doubt,
    json::{Json, Malformed, SourceLocation, Span},
};

/// A lint: a name, a severity, a page and a pure function.
///
/// CONTRIBUTING.md says how to add one.
pub struct Lint {
    /// The stable name, which is the file stem of its code, page and table.
    pub id: &'static str,
    pub severity: Severity,
    /// The page for users, in Markdown.
    pub page: &'static str,
    check: Check,
}

/// What a finding means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The profile does what is written, which may not be what its author wants.
    Warning,
    /// A runtime rejects the profile or does something else than is written, or
    /// callgate forbids it.
    Error,
}

/// The input of a lint.
enum Check {
    /// A text that is not JSON, and the error.
    Text(fn(&[u8], &Malformed) -> Remark),
    /// A profile.
    Profile(fn(&Reading<'_>) -> Vec<Remark>),
}

/// One finding of a lint.
#[derive(Clone, Debug)]
pub struct Finding {
    pub lint: &'static Lint,
    pub location: SourceLocation,
    /// Further locations of the same fault, or related ones.
    pub also: Vec<SourceLocation>,
    pub message: String,
    /// How to fix it, if there is a specific fix.
    pub hint: Option<String>,
}

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
    notify::LINT,
    listener::LINT,
    empty_name::LINT,
    no_names::LINT,
    unknown_syscall::LINT,
    no_such_argument::LINT,
    repeated_argument::LINT,
    stray_value_two::LINT,
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
    match Json::parse(text) {
        Ok(json) => findings(&DecodedProfile::of(json)),
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
pub(super) fn findings(profile: &DecodedProfile) -> Vec<Finding> {
    let reading = Reading::of(profile);
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
    let reading = Reading::of(profile);
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

impl Lint {
    /// The name of the lint for profiles that agents do not write to nodes.
    pub const TOO_LARGE: &str = too_large::LINT.id;

    fn on_tree(&'static self, remark: Remark, json: &Json) -> Finding {
        let Remark { at, also, message, hint } = remark;
        let also = also.into_iter().map(|it| it.location(json)).collect();
        Finding { lint: self, location: at.location(json), also, message, hint }
    }

    /// The finding about the first invalid byte of a text.
    fn on_text(&'static self, remark: Remark, malformed: &Malformed) -> Finding {
        let Remark { message, hint, at: _, also: _ } = remark;
        let span = Span { start: malformed.offset, end: malformed.offset };
        let location = SourceLocation { path: String::new(), span: Some(span) };
        Finding { lint: self, location, also: Vec::new(), message, hint }
    }
}

impl Finding {
    /// The same line, of the profile in the `spec` of an object.
    pub fn in_spec(&self) -> String {
        let separator = if self.location.path.is_empty() { ": " } else { "." };
        format!("spec{separator}{self}")
    }
}

/// One line: `syscalls[0].action: …; did you mean …? [unknown-action]`.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { lint, location: SourceLocation { path, span: _ }, also: _, message, hint } =
            self;
        if !path.is_empty() {
            write!(f, "{path}: ")?;
        }
        f.write_str(message)?;
        if let Some(hint) = hint {
            write!(f, "; {hint}")?;
        }
        write!(f, " [{}]", lint.id)
    }
}

impl fmt::Debug for Lint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Lint").field(&self.id).finish()
    }
}

#[cfg(test)]
mod tests;
