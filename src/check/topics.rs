//! What `check` finds besides the rules of policies.

use crate::{
    policy::Rule,
    profile::{self, Lint},
    report::{Severity, Topic},
};

pub(super) const UNREADABLE: Topic =
    Topic { id: "unreadable", page: include_str!("pages/unreadable.md") };
pub(super) const UNKNOWN_FIELD: Topic =
    Topic { id: "unknown-field", page: include_str!("pages/unknown-field.md") };
pub(super) const REPLACED_FIELD: Topic =
    Topic { id: "replaced-field", page: include_str!("pages/replaced-field.md") };
pub(super) const UNKNOWN_POLICY: Topic =
    Topic { id: "unknown-policy", page: include_str!("pages/unknown-policy.md") };

pub(super) const IGNORE: Topic =
    Topic { id: "ignore-comment", page: include_str!("pages/ignore-comment.md") };

pub(super) fn of_rule(rule: &Rule) -> Topic {
    Topic { id: rule.id, page: rule.page }
}

/// The severity and the topic of what a lint finds.
pub fn of_lint(lint: &Lint) -> (Severity, Topic) {
    let severity = match lint.severity {
        profile::Severity::Error => Severity::Error,
        profile::Severity::Warning => Severity::Warning,
    };
    (severity, Topic { id: lint.id, page: lint.page })
}

/// All of them, for `callgate explain`.
pub const TOPICS: &[Topic] = &[UNREADABLE, UNKNOWN_FIELD, REPLACED_FIELD, UNKNOWN_POLICY, IGNORE];
