#![doc = include_str!("runtime-class.md")]

use crate::policy::{Check, Context, Finding, Level, Rule, finding::Hint};

/// The profile is part of what a handler is told of a container; what it makes
/// of it is its own affair.
pub(super) const RULE: Rule = Rule {
    id: "runtime-class",
    level: Level::Warn,
    page: include_str!("runtime-class.md"),
    check: Check::RuntimeClass(check),
};

fn check(class: &str, context: &Context<'_>) -> Option<Finding> {
    let classes = context.facts.classes;
    let Some(handler) = classes.handler(class) else {
        let finding = Finding::new(format!("there is no runtime class {class:?}"));
        return Some(finding.similar(Hint::SimilarRuntimeClass(class.to_owned())));
    };
    if context.facts.policy.vouches_for(handler) {
        return None;
    }
    let message = if handler == class {
        format!("runtime class {class:?} may not apply seccomp profiles")
    } else {
        format!(
            "runtime class {class:?} has handler {handler:?}, which may not apply seccomp profiles"
        )
    };
    Some(Finding::new(message).hint("if it does, the policy can list it in runtimeHandlers"))
}
