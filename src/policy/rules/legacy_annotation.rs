#![doc = include_str!("legacy-annotation.md")]

use crate::{
    pod::Annotation,
    policy::{Check, Context, Finding, Fix, Level, Rule},
};

/// S15, S16: without effect since Kubernetes 1.27, except that a field beside it must agree.
pub(super) const RULE: Rule = Rule {
    id: "legacy-annotation",
    level: Level::Warn,
    page: include_str!("legacy-annotation.md"),
    check: Check::Annotation(check),
};

#[expect(clippy::unnecessary_wraps, reason = "every check has this type")]
fn check(annotation: &Annotation<'_>, _: &Context<'_>) -> Option<Finding> {
    let dead = format!("{:?} has no effect since Kubernetes 1.27", annotation.value);
    Some(match annotation.field {
        Some(field) if annotation.contradicts(field) => {
            Finding::new(format!("{dead} and contradicts the field, {field}"))
                .fix(Fix::RemoveAnnotation)
        }
        Some(_) => Finding::new(dead).hint("remove it, the field applies"),
        None => Finding::new(dead).hint("set securityContext.seccompProfile"),
    })
}
