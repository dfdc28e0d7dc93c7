//! What a pod is denied for, or would be in mode enforce: evidence for the next mode.

use crate::{
    pod::{Pod, Scope},
    policy::{
        Facts, FieldPath, Found, Judged, Level, MOST_LINES, Profile, Verdict, evaluate::first_in,
        exemption::Exemptions, patch::injections,
    },
};

/// A finding for which a pod is denied, or would be in mode enforce, where fixes are applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal<'a> {
    pub rule: &'static str,
    pub field: FieldPath<'a>,
    pub message: String,
}

impl<'a> Refusal<'a> {
    pub(super) fn of(judged: &Judged<'a>) -> Self {
        let Found { rule, field, finding } = &judged.found;
        Self { rule: rule.id, field: *field, message: finding.message.clone() }
    }
}

impl<'a> Verdict<'a> {
    /// Adds what the pod would be denied for in mode enforce because of the profile that is injected
    /// there.
    pub(super) fn refuse_injected(&mut self, pod: &'a Pod<'_>, scope: &Scope) {
        let Some(Profile::Localhost(path)) = self.injected else { return };
        let (fixed, spared): (Vec<_>, Vec<_>) =
            self.repairs.iter().partition(|it| it.enforced >= Level::Warn && !it.is_exempt);
        let spared = spared.iter().any(|it| it.is_exempt && it.rule == "unset");
        let fields = injections(pod, scope, &fixed, spared);
        let Facts { policy, namespace, .. } = self.facts;
        let mut exemptions = Exemptions::of(policy.exemptions(), pod, namespace);
        let mut refusals = Vec::new();
        let none = first_in(pod, scope, self.facts, &fields, path, |it| {
            let judged = self.judge(it, &mut exemptions)?;
            refusals.extend(judged.is_refusal().then(|| Refusal::of(&judged)));
            None::<()>
        });
        debug_assert!(none.is_none(), "all are looked at");
        let room = MOST_LINES.saturating_sub(self.refusals.len());
        self.refusals.extend(refusals.into_iter().take(room));
    }
}
