//! A rule: a value with an id, a level, a page and a pure check.

use crate::{
    pod::{Annotation, Container, Seccomp},
    policy::{Context, Finding, Level},
};

/// One thing that a policy can forbid.
///
/// Adding one is a new file in `rules/`, a line in [`RULES`](crate::policy::RULES),
/// a table of cases and a page.
pub struct Rule {
    /// Stable name: key in policies, metric label, audit annotation, and file
    /// stem of its code, its page and its table of cases. It never changes.
    pub id: &'static str,
    /// The level of its findings where a policy sets none.
    pub level: Level,
    /// Why the rule exists and how to comply, in Markdown.
    pub page: &'static str,
    pub(super) check: Check,
}

/// What a rule looks at. [`evaluate`](crate::policy::evaluate) walks over the pod
/// and names the fields.
pub(super) enum Check {
    /// Every container in scope.
    Container(fn(&Container<'_>, &Context<'_>) -> Option<Finding>),
    /// Every declared profile, once, at the field that declares it.
    Profile(fn(Seccomp<'_>, &Context<'_>) -> Option<Finding>),
    /// Every legacy seccomp annotation.
    Annotation(fn(&Annotation<'_>, &Context<'_>) -> Option<Finding>),
    /// The runtime class, where the pod names one.
    RuntimeClass(fn(&str, &Context<'_>) -> Option<Finding>),
}
