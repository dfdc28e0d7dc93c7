#![doc = include_str!("runtime-class.md")]

use crate::policy::{Check, Context, Finding, Hint, Level, Rule};

/// The CRI passes the profile to the handler of the class; whether it is applied depends on the
/// handler.
pub(super) const RULE: Rule = Rule {
    id: "runtime-class",
    level: Level::Warn,
    page: include_str!("runtime-class.md"),
    check: Check::RuntimeClass(check),
};

fn check(class: &str, context: &Context<'_>) -> Option<Finding> {
    let classes = context.facts.classes;
    let Some(handler) = classes.handler(class) else {
        let finding = Finding::new(format!("runtime class {class:?} does not exist"));
        return Some(finding.way_out(Hint::SimilarRuntimeClass(class.to_owned())));
    };
    if context.facts.policy.vouches_for(handler) {
        return None;
    }
    let message = format!("handler {handler:?} of class {class:?} may ignore seccomp profiles");
    Some(Finding::new(message).hint("if it applies them, list it in runtimeHandlers of the policy"))
}
