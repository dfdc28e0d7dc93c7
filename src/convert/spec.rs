//! The `spec` of a `SeccompProfile`, made of a document.

use serde::Serialize;

use super::{Diagnostic, DiagnosticLevel};
use crate::profile::{
    document::{Arg, Document, Spanned, Syscall},
    json::{Json, NodeId},
};

/// The `spec` of a `SeccompProfile`. The API server stores it unchanged.
///
/// [`as_file`](crate::profile::as_file) returns the document that it was made of,
/// except for what has no effect: rules without names, and repeated words in lists
/// that are sets.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Spec {
    default_action: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    default_errno_ret: Option<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    architectures: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    flags: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    syscalls: Vec<Rule>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Rule {
    names: Vec<String>,
    action: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    errno_ret: Option<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    args: Vec<Condition>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Condition {
    index: u64,
    value: Number,
    #[serde(skip_serializing_if = "Option::is_none")]
    value_two: Option<Number>,
    op: String,
}

/// The API server stores integers as signed 64 bits, so larger ones are strings.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
enum Number {
    Small(i64),
    Large(String),
}

/// The limits of the schema (src/api/profile.rs), where a runtime takes more.
const MOST_SYSCALLS: usize = 4096;
const MOST_NAMES: usize = 1024;
const LONGEST_NAME: usize = 64;
const MOST_ARGS: usize = 6;
const LARGEST_ERRNO: u64 = 4094;

impl Spec {
    pub(super) fn of(document: &Document) -> Self {
        let rules = document.syscalls.iter().filter(|it| !it.names.is_empty());
        Self {
            default_action: document.default_action.it.clone(),
            default_errno_ret: document.default_errno.as_ref().map(|it| it.it),
            architectures: set(&document.architectures),
            flags: set(&document.flags),
            syscalls: rules.map(|it| Rule::of(it)).collect(),
        }
    }
}

impl Rule {
    fn of(syscall: &Syscall) -> Self {
        Self {
            names: syscall.names.iter().map(|it| it.it.clone()).collect(),
            action: syscall.action.it.clone(),
            errno_ret: syscall.errno.as_ref().map(|it| it.it),
            args: syscall.args.iter().map(|it| Condition::of(it)).collect(),
        }
    }
}

impl Condition {
    fn of(arg: &Arg) -> Self {
        let value_two = arg.value_two.it;
        Self {
            index: arg.index.it,
            value: Number::of(arg.value.it),
            value_two: (value_two != 0).then(|| Number::of(value_two)),
            op: arg.op.it.clone(),
        }
    }
}

impl Number {
    fn of(number: u64) -> Self {
        i64::try_from(number).map_or_else(|_| Self::Large(number.to_string()), Self::Small)
    }
}

fn set(words: &[Spanned<String>]) -> Vec<String> {
    let mut set: Vec<String> = Vec::new();
    for word in words {
        if !set.contains(&word.it) {
            set.push(word.it.clone());
        }
    }
    set
}

/// Reports what exceeds the limits of the schema.
pub(super) fn excesses(document: &Document, json: &Json) -> Vec<Diagnostic> {
    let mut diagnostics = Vec::new();
    let mut refuse = |node: NodeId, message: String| {
        diagnostics.push(Diagnostic::at(node, json, DiagnosticLevel::Error, &message));
    };
    let many = document.syscalls.len();
    if many > MOST_SYSCALLS {
        let message = format!("{many} rules are more than the {MOST_SYSCALLS} of an object");
        refuse(document.syscalls[MOST_SYSCALLS].node, message);
    }
    let errnos = document.syscalls.iter().filter_map(|it| it.errno.as_ref());
    for errno in document.default_errno.iter().chain(errnos).filter(|it| it.it > LARGEST_ERRNO) {
        let message = format!("is {}, an object can hold no more than {LARGEST_ERRNO}", errno.it);
        refuse(errno.node, message);
    }
    for rule in &document.syscalls {
        if let Some(name) = rule.names.get(MOST_NAMES) {
            let many = rule.names.len();
            let message = format!("{many} names are more than the {MOST_NAMES} of an object");
            refuse(name.node, message);
        }
        if let Some(arg) = rule.args.get(MOST_ARGS) {
            let many = rule.args.len();
            let message = format!("{many} conditions are more than the {MOST_ARGS} of an object");
            refuse(arg.node, message);
        }
        for name in rule.names.iter().filter(|it| it.chars().count() > LONGEST_NAME) {
            let message = format!("no system call has a name of more than {LONGEST_NAME} letters");
            refuse(name.node, message);
        }
    }
    diagnostics
}
