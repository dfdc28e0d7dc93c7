//! Walks over a pod and asks the rules.

use crate::{
    pod::{Annotation, Container, Effective, Pod, Scope, Seccomp},
    policy::{Check, Context, Facts, Found, Level, Place, RULES, Rule},
    profile::ProfilePath,
};

/// Asks every rule that is not switched off about all of `pod` that is in
/// `scope`. Findings come in the order of the pod: what holds for all of it
/// first, then the containers.
pub(super) fn evaluate<'a>(pod: &'a Pod<'_>, scope: &Scope, facts: Facts<'a>) -> Vec<Found<'a>> {
    // S13: the API server refuses every profile on a Windows pod.
    if pod.is_windows() {
        return Vec::new();
    }
    let context = Context::of(pod, scope, facts);
    let rules = || RULES.iter().filter(|it| facts.policy.level(it) != Level::Off);
    let mut found = Vec::new();
    if *scope == Scope::Whole {
        for annotation in pod.legacy_annotations() {
            let place = Place::Annotation { key: annotation.key };
            found.extend(rules().filter_map(|it| it.on_annotation(place, &annotation, &context)));
        }
        if let Some(declared) = pod.seccomp() {
            found.extend(rules().filter_map(|it| it.on_profile(Place::Pod, declared, &context)));
        }
    }
    for container in pod.containers().filter(|it| scope.covers(it)) {
        let place = Place::of(&container);
        let from = found.len();
        for rule in rules() {
            found.extend(rule.on_container(place, &container, &context));
            match (container.effective, scope) {
                (Effective::Own(declared), _) => {
                    found.extend(rule.on_profile(place, declared, &context));
                }
                // The pod is not up for judgement, but what such a container takes from it is.
                (
                    Effective::Inherited(declared),
                    Scope::AddedTo { .. } | Scope::ImagesChanged { .. },
                ) => {
                    let inherited = rule.on_profile(place, declared, &context);
                    found.extend(inherited.map(Found::inherited));
                }
                (Effective::Inherited(_), Scope::Whole) | (Effective::Unset, _) => {}
            }
        }
        if matches!(scope, Scope::ImagesChanged { .. }) {
            found[from..].iter_mut().for_each(Found::without_fix);
        }
    }
    found
}

/// What would be found in `pod` if the profile at `path` was declared at `places`.
pub(super) fn found_in<'a>(
    pod: &'a Pod<'_>,
    scope: &Scope,
    facts: Facts<'a>,
    places: &[Place<'a>],
    path: &ProfilePath,
) -> Vec<Found<'a>> {
    let context = Context::of(pod, scope, facts);
    let declared = Seccomp::Localhost(Some(path.as_str()));
    let mut found = Vec::new();
    for place in places {
        let rules = RULES.iter().filter(|it| facts.policy.level(it) != Level::Off);
        found.extend(rules.filter_map(|it| it.on_profile(*place, declared, &context)));
    }
    found
}

// === impl Rule ===

impl Rule {
    fn on_container<'a>(
        &'static self,
        place: Place<'a>,
        container: &Container<'_>,
        context: &Context<'_>,
    ) -> Option<Found<'a>> {
        let Check::Container(check) = self.check else { return None };
        Some(Found { rule: self, place, finding: check(container, context)? })
    }

    fn on_profile<'a>(
        &'static self,
        place: Place<'a>,
        declared: Seccomp<'_>,
        context: &Context<'_>,
    ) -> Option<Found<'a>> {
        let Check::Profile(check) = self.check else { return None };
        let finding = context.once(self.id, declared, || check(declared, context))?;
        Some(Found { rule: self, place, finding })
    }

    fn on_annotation<'a>(
        &'static self,
        place: Place<'a>,
        annotation: &Annotation<'_>,
        context: &Context<'_>,
    ) -> Option<Found<'a>> {
        let Check::Annotation(check) = self.check else { return None };
        Some(Found { rule: self, place, finding: check(annotation, context)? })
    }
}

// === impl Found ===

impl Found<'_> {
    fn inherited(mut self) -> Self {
        self.finding.message.push_str(" (inherited from the pod)");
        self
    }

    /// The API server lets nobody change the profile of a pod that is there.
    fn without_fix(&mut self) {
        if self.finding.fix.take().is_some() {
            self.finding.hint = Some("delete the pod and create it anew".to_owned());
        }
    }
}
