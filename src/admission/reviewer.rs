//! Judges a request: finds the policy that governs it, and composes the answer.

use jiff::civil::Date;

use crate::{
    admission::{
        Outcome, Snapshot, Webhook,
        answer::Answer,
        live::Live,
        request::{AdmissionRequest, Object},
        target::ReviewTarget,
        unchanged::is_template_unchanged,
    },
    pod::{Kind, Scope, Subject},
    policy::{Facts, Governed, Labels, Mode, Policy, Templates, Verdict},
};

/// All that the judgement depends on besides the request.
pub(super) struct Reviewer<'a> {
    pub(super) webhook: Webhook,
    /// The review as it came.
    pub(super) body: &'a [u8],
    pub(super) snapshot: &'a Snapshot,
    /// The labels of the namespace as they are now, if they were looked up since the snapshot may
    /// not know them.
    pub(super) found: &'a Option<Result<Labels, String>>,
    /// The live look-ups about our own configuration.
    pub(super) live: &'a Live,
    pub(super) today: Date,
}

/// The answer, the outcome for metrics, and the verdict.
pub(super) struct Judgement<'a> {
    pub(super) answer: Answer<'a>,
    pub(super) outcome: Outcome,
    pub(super) verdict: Option<Verdict<'a>>,
}

impl<'a> Reviewer<'a> {
    pub(super) fn judge(&self, request: &'a AdmissionRequest<'_>) -> Judgement<'a> {
        let answer = Answer::allow(&request.uid);
        match &request.object {
            Object::NotOurs => Judgement::of(answer, Outcome::Ignored),
            Object::Judge { kind, scope, subject } => {
                match self.governing(request.namespace()) {
                    Ok(Some((policy, mode))) => {
                        let namespace = request.namespace();
                        let Self {
                            snapshot: Snapshot { catalog, nodes, classes, .. }, today, ..
                        } = *self;
                        let facts = Facts { policy, catalog, nodes, classes, namespace, today };
                        self.judge_subject(request, (*kind, scope, subject), facts, mode)
                    }
                    Ok(None) => Judgement::of(answer, Outcome::Ignored),
                    // Without a policy there is nothing to inject; `/validate` reports why.
                    Err(_) if self.webhook == Webhook::Mutate => {
                        Judgement::of(answer, Outcome::Allowed)
                    }
                    Err(why) => cannot_judge(answer, Some(*kind), Templates::Warn, why),
                }
            }
            Object::Unreadable { target, why } => {
                let kind = target.and_then(ReviewTarget::kind);
                match self.governing(request.namespace()) {
                    Ok(None) if kind.is_some() => Judgement::of(answer, Outcome::Ignored),
                    Ok(Some((policy, _))) => {
                        let is_unchanged = kind.is_some_and(|it| self.leaves_template(request, it));
                        let templates = policy.templates();
                        let templates =
                            if is_unchanged { templates.of_unchanged() } else { templates };
                        cannot_judge(answer, kind, templates, why.clone())
                    }
                    _ => cannot_judge(answer, kind, Templates::Warn, why.clone()),
                }
            }
            Object::Own(own) => self.judge_own(answer, own, request.name().unwrap_or_default()),
        }
    }

    /// The policy and mode that govern a namespace; `None` where it has not opted in.
    fn governing(&self, namespace: &str) -> Result<Option<(&'a Policy, Mode)>, String> {
        let policies = &self.snapshot.policies;
        let governed = match (policies.governing(namespace), self.found) {
            (_, Some(Ok(labels))) => policies.governing_by(labels),
            (Governed::Unknown | Governed::Ungoverned, Some(Err(why))) => return Err(why.clone()),
            (Governed::Unknown | Governed::Ungoverned, None) => {
                return Err(format!("namespace {namespace:?} is not known"));
            }
            (governed, _) => governed,
        };
        match governed {
            Governed::By(policy, mode) => Ok(Some((policy, mode))),
            Governed::Ungoverned | Governed::Unknown => Ok(None),
            Governed::UnknownPolicy(name) => Err(format!(
                "pods in namespace {namespace:?} cannot be judged: {}",
                policies.no_such_policy(name)
            )),
        }
    }

    /// Whether a request updates an object and leaves its template as it was. Controllers scale
    /// such an object, and remove its finalizers, or it is never deleted.
    fn leaves_template(&self, request: &AdmissionRequest<'_>, kind: Kind) -> bool {
        kind.is_template()
            && request.operation() == "UPDATE"
            && is_template_unchanged(self.body, kind)
    }

    fn judge_subject(
        &self,
        request: &'a AdmissionRequest<'_>,
        (kind, scope, subject): (Kind, &'a Scope, &'a Subject<'_>),
        facts: Facts<'a>,
        mode: Mode,
    ) -> Judgement<'a> {
        let pod = &subject.pod;
        let answer = Answer::allow(&request.uid);
        // S22: only kubelets create mirror pods, for static pods that run already.
        if pod.is_mirror() && (self.webhook == Webhook::Mutate || request.is_from_a_node()) {
            return Judgement::of(
                answer.audit_annotation("skipped", "mirror-pod"),
                Outcome::Ignored,
            );
        }
        let mut verdict = Verdict::of(kind, pod, scope, facts, mode);
        if verdict.is_denied() && self.leaves_template(request, kind) {
            verdict = Verdict::of_unchanged_template(kind, pod, scope, facts, mode);
        }
        let answer = answer
            .audit_annotation("policy", facts.policy.name())
            .audit_annotation("mode", mode.as_str());
        let (answer, outcome) = match self.webhook {
            Webhook::Mutate => {
                let patch = verdict.patch(pod, scope);
                let outcome =
                    if patch.operations.is_empty() { Outcome::Allowed } else { Outcome::Patched };
                (answer.patch(&patch, facts.policy.name()), outcome)
            }
            Webhook::Validate => {
                let answer = answer.audit_annotations(verdict.annotations());
                if verdict.is_denied() {
                    let name = subject.name.as_deref().or(request.name());
                    (answer.deny(verdict.message(name)), Outcome::Denied)
                } else {
                    (answer.warnings(verdict.warnings()), Outcome::Allowed)
                }
            }
        };
        Judgement { answer, outcome, verdict: Some(verdict) }
    }
}

impl<'a> Judgement<'a> {
    pub(super) fn of(answer: Answer<'a>, outcome: Outcome) -> Self {
        Self { answer, outcome, verdict: None }
    }
}

/// What cannot be judged is denied; a template only if the policy denies templates, since its
/// pods are judged again (S21).
fn cannot_judge(
    answer: Answer<'_>,
    kind: Option<Kind>,
    templates: Templates,
    why: String,
) -> Judgement<'_> {
    let spared = kind.is_some_and(Kind::is_template) && templates != Templates::Deny;
    let answer = if spared { answer.warn(why) } else { answer.deny(why) };
    Judgement::of(answer, Outcome::Unreadable)
}
