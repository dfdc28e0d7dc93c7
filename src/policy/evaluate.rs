//! Walks over a pod and runs the rules.

use std::array;

use crate::{
    pod::{Annotation, Container, Effective, Pod, Scope, Seccomp},
    policy::{Check, Context, Facts, FieldPath, Found, Hint, Level, RULES, Rule},
    profile::ProfilePath,
};

/// Runs every rule that is not off on the parts in `scope`, and passes each finding to
/// `on_finding`, in the order of the pod: the pod's own fields first, then the containers. Findings
/// are not collected here: a pod has room for tens of thousands.
pub(super) fn evaluate<'a>(
    pod: &'a Pod<'_>,
    scope: &Scope,
    facts: Facts<'a>,
    mut on_finding: impl FnMut(Found<'a>),
) {
    // S13: the API server rejects every profile on a Windows pod.
    if pod.is_windows() {
        return;
    }
    let context = Context::of(pod, scope, facts);
    let active: [bool; RULES.len()] =
        array::from_fn(|it| facts.policy.level(&RULES[it]) != Level::Off);
    let rules = || RULES.iter().zip(active).filter_map(|(rule, on)| on.then_some(rule));
    if *scope == Scope::Whole {
        for annotation in pod.legacy_annotations() {
            let field = FieldPath::Annotation { key: annotation.key };
            rules()
                .filter_map(|it| it.on_annotation(field, &annotation, &context))
                .for_each(&mut on_finding);
        }
        if let Some(declared) = pod.seccomp() {
            rules()
                .filter_map(|it| it.on_profile(FieldPath::Pod, declared, &context))
                .for_each(&mut on_finding);
        }
        rules()
            .filter_map(|it| it.on_runtime_class(FieldPath::RuntimeClass, &context))
            .for_each(&mut on_finding);
    }
    for container in pod.containers().filter(|it| scope.covers(it)) {
        let field = FieldPath::of(&container);
        let mut take = |mut found: Found<'a>| {
            if matches!(scope, Scope::ImagesChanged { .. }) {
                found.without_fix();
            }
            on_finding(found);
        };
        // A finding is large and rare: it is moved only where there is one.
        for rule in rules() {
            if let Some(it) = rule.on_container(field, &container, &context) {
                take(it);
            }
            // A new image does not change the runtime class.
            if matches!(scope, Scope::AddedTo { .. })
                && let Some(it) = rule.on_runtime_class(field, &context)
            {
                take(it.inherited());
            }
            match (container.effective, scope) {
                (Effective::Own(declared), _) => {
                    if let Some(it) = rule.on_profile(field, declared, &context) {
                        take(it);
                    }
                }
                // The pod's own fields are out of scope, but not what such a container inherits.
                (
                    Effective::Inherited(declared),
                    Scope::AddedTo { .. } | Scope::ImagesChanged { .. },
                ) => {
                    if let Some(it) = rule.on_profile(field, declared, &context) {
                        take(it.inherited());
                    }
                }
                (Effective::Inherited(_), Scope::Whole) | (Effective::Unset, _) => {}
            }
        }
    }
}

/// The first answer for the findings that `pod` would have if the profile at `path` was declared
/// at `fields`.
pub(super) fn first_in<'a, T>(
    pod: &'a Pod<'_>,
    scope: &Scope,
    facts: Facts<'a>,
    fields: &[FieldPath<'a>],
    path: &ProfilePath,
    mut answer: impl FnMut(Found<'a>) -> Option<T>,
) -> Option<T> {
    let context = Context::of(pod, scope, facts);
    let declared = Seccomp::Localhost(Some(path.as_str()));
    for field in fields {
        let rules = RULES.iter().filter(|it| facts.policy.level(it) != Level::Off);
        let mut found = rules.filter_map(|it| it.on_profile(*field, declared, &context));
        if let Some(answer) = found.find_map(&mut answer) {
            return Some(answer);
        }
    }
    None
}

// === impl Rule ===

impl Rule {
    fn on_container<'a>(
        &'static self,
        field: FieldPath<'a>,
        container: &Container<'_>,
        context: &Context<'_>,
    ) -> Option<Found<'a>> {
        let Check::Container(check) = self.check else { return None };
        Some(Found { rule: self, field, finding: check(container, context)? })
    }

    fn on_profile<'a>(
        &'static self,
        field: FieldPath<'a>,
        declared: Seccomp<'_>,
        context: &Context<'_>,
    ) -> Option<Found<'a>> {
        let Check::Profile(check) = self.check else { return None };
        let finding = context.once(self.id, declared, || check(declared, context))?;
        Some(Found { rule: self, field, finding })
    }

    fn on_runtime_class<'a>(
        &'static self,
        field: FieldPath<'a>,
        context: &Context<'_>,
    ) -> Option<Found<'a>> {
        let Check::RuntimeClass(check) = self.check else { return None };
        Some(Found { rule: self, field, finding: check(context.pod.runtime_class()?, context)? })
    }

    fn on_annotation<'a>(
        &'static self,
        field: FieldPath<'a>,
        annotation: &Annotation<'_>,
        context: &Context<'_>,
    ) -> Option<Found<'a>> {
        let Check::Annotation(check) = self.check else { return None };
        Some(Found { rule: self, field, finding: check(annotation, context)? })
    }
}

// === impl Found ===

impl Found<'_> {
    fn inherited(mut self) -> Self {
        self.finding.message.push_str(" (inherited from the pod)");
        self
    }

    /// The API server allows no change of the profile of an existing pod.
    fn without_fix(&mut self) {
        if self.finding.fix.take().is_some() {
            self.finding.hint = Some(Hint::Text("delete the pod and create it anew".to_owned()));
        }
    }
}
