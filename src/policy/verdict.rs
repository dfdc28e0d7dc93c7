//! What follows from the findings: levels, patch, audit annotations.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    pod::{Kind, Pod, Scope},
    policy::{
        Facts, FieldPath, Fix, Found, Judged, Level, MOST_LINES, Mode, Patch, Profile, Templates,
        evaluate::{evaluate, first_in},
        exemption::Exemptions,
        patch::{Repair, injections, patch},
        pin::NodeLabel,
        refusal::Refusal,
    },
    profile::ProfilePath,
};

/// The verdict of a policy on one pod or template.
pub struct Verdict<'a> {
    templates: Templates,
    pub(super) kind: Kind,
    pub(super) scope: &'a Scope,
    pub(super) facts: Facts<'a>,
    pub(super) mode: Mode,
    /// The profile that is injected where none is set.
    pub(super) injected: Option<&'a Profile>,
    /// The first findings of each level, one more than is reported.
    judged: Vec<Judged<'a>>,
    pub(super) refusals: Vec<Refusal<'a>>,
    counts: Counts,
    /// The rules with findings that are not exempt, and the level of these.
    found: BTreeSet<(&'static str, Level)>,
    /// The rules with exempt findings, and the names of the exemptions.
    exempted: BTreeSet<(&'static str, &'a str)>,
    pub(super) repairs: Vec<Repair<'a>>,
}

/// The number of findings, by rule and level.
pub type Counts = BTreeMap<(&'static str, Level), usize>;

/// How many findings of a level are kept; the others are counted.
const MOST_KEPT: usize = MOST_LINES + 1;

impl<'a> Verdict<'a> {
    /// Judges `pod`, which is part of an object of `kind`.
    pub fn of(
        kind: Kind,
        pod: &'a Pod<'_>,
        scope: &'a Scope,
        facts: Facts<'a>,
        mode: Mode,
    ) -> Self {
        Self::with_templates(facts.policy.templates(), kind, pod, scope, facts, mode)
    }

    /// The verdict on the pods that an object of `kind` makes, whatever the policy says of templates.
    pub fn of_pods(
        kind: Kind,
        pod: &'a Pod<'_>,
        scope: &'a Scope,
        facts: Facts<'a>,
        mode: Mode,
    ) -> Self {
        Self::with_templates(Templates::Deny, kind, pod, scope, facts, mode)
    }

    /// The verdict on a template that an update leaves as it was: it is never denied.
    pub fn of_unchanged_template(
        kind: Kind,
        pod: &'a Pod<'_>,
        scope: &'a Scope,
        facts: Facts<'a>,
        mode: Mode,
    ) -> Self {
        let templates = facts.policy.templates().of_unchanged();
        Self::with_templates(templates, kind, pod, scope, facts, mode)
    }

    fn with_templates(
        templates: Templates,
        kind: Kind,
        pod: &'a Pod<'_>,
        scope: &'a Scope,
        facts: Facts<'a>,
        mode: Mode,
    ) -> Self {
        let mut verdict = Self {
            templates,
            kind,
            scope,
            facts,
            mode,
            injected: facts.policy.profile_for(pod),
            judged: Vec::new(),
            refusals: Vec::new(),
            counts: Counts::new(),
            found: BTreeSet::new(),
            exempted: BTreeSet::new(),
            repairs: Vec::new(),
        };
        let mut exemptions = Exemptions::of(facts.policy.exemptions(), pod, facts.namespace);
        evaluate(pod, scope, facts, |it| {
            if let Some(judged) = verdict.judge(it, &mut exemptions) {
                verdict.take(judged);
            }
        });
        if mode != Mode::Enforce && kind == Kind::Pod {
            verdict.refuse_injected(pod, scope);
        }
        verdict
    }

    /// The level of a finding, and its exemption; `None` where the finding does not count.
    pub(super) fn judge(
        &self,
        found: Found<'a>,
        exemptions: &mut Exemptions<'a>,
    ) -> Option<Judged<'a>> {
        let Self { templates, kind, facts, mode, .. } = *self;
        let level = match (kind, templates) {
            (Kind::Pod, _) | (_, Templates::Deny) => facts.policy.level(found.rule),
            (_, Templates::Warn) => facts.policy.level(found.rule).min(Level::Warn),
            (_, Templates::Ignore) => return None,
        };
        // S20: the pods that a template makes are fixed, the template is not.
        let is_fixed = matches!(found.finding.fix, Some(Fix::Inject | Fix::Pin(_)));
        if is_fixed && mode == Mode::Enforce && kind != Kind::Pod {
            return None;
        }
        let level = level.min(found.finding.limit);
        Some(Judged::new(found, level, exemptions, (facts, mode)))
    }

    /// Counts a finding, and keeps what is reported or repaired.
    fn take(&mut self, judged: Judged<'a>) {
        let Judged { found: Found { rule, field, finding }, level, enforced, exemption, .. } =
            &judged;
        *self.counts.entry((rule.id, *level)).or_default() += 1;
        match exemption {
            Some(it) => _ = self.exempted.insert((rule.id, it.name.as_str())),
            None => _ = self.found.insert((rule.id, *level)),
        }
        self.repairs.extend(finding.fix.clone().map(|fix| Repair {
            rule: rule.id,
            field: *field,
            fix,
            level: *level,
            enforced: *enforced,
            is_exempt: exemption.is_some(),
        }));
        if judged.is_refusal() && self.refusals.len() < MOST_LINES {
            self.refusals.push(Refusal::of(&judged));
        }
        if self.at(*level).count() < MOST_KEPT {
            self.judged.push(judged);
        }
    }

    /// The name of the policy.
    pub fn policy(&self) -> &'a str {
        self.facts.policy.name()
    }

    pub fn is_denied(&self) -> bool {
        self.count(Level::Deny) > 0
    }

    /// The findings that are reported, with their levels.
    pub fn judged(&self) -> &[Judged<'a>] {
        &self.judged
    }

    /// The first findings for which a pod is denied, or would be in mode enforce, after its patch.
    pub fn refusals(&self) -> &[Refusal<'a>] {
        &self.refusals
    }

    /// The number of all findings.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    pub(super) fn count(&self, level: Level) -> usize {
        self.counts.iter().filter(|((_, it), _)| *it == level).map(|(_, count)| count).sum()
    }

    pub(super) fn at(&self, level: Level) -> impl Iterator<Item = &Judged<'a>> {
        self.judged.iter().filter(move |it| it.level == level)
    }

    /// The patch after which no finding with a fix remains. Only pods are changed, never templates
    /// (S20), and only in mode enforce.
    pub fn patch(&self, pod: &'a Pod<'_>, scope: &Scope) -> Patch {
        if self.mode != Mode::Enforce || self.kind != Kind::Pod {
            return Patch::default();
        }
        let (fixed, spared): (Vec<_>, Vec<_>) =
            self.repairs.iter().partition(|it| it.level >= Level::Warn);
        let spared = spared.iter().any(|it| it.is_exempt && it.rule == "unset");
        let fields = match self.injected {
            Some(_) => injections(pod, scope, &fixed, spared),
            None => Vec::new(),
        };
        let mut pinned: BTreeSet<_> = fixed.iter().filter_map(|it| it.fix.pinned()).collect();
        if let Some(Profile::Localhost(path)) = self.injected {
            pinned.extend(self.pin_for_injected(pod, scope, &fields, path));
        }
        let labels = pinned.iter().filter_map(|it| NodeLabel::of(it, self.facts.catalog)).collect();
        patch(pod, scope, &fixed, (self.injected, &fields), (pinned, &labels))
    }

    /// The profile that is about to be injected, if the pod has to be pinned for it: the rules run as
    /// if it was set already, so that a second call of `/mutate` finds nothing.
    fn pin_for_injected(
        &self,
        pod: &'a Pod<'_>,
        scope: &Scope,
        fields: &[FieldPath<'a>],
        path: &ProfilePath,
    ) -> Option<ProfilePath> {
        let Facts { policy, namespace, .. } = self.facts;
        let mut exemptions = Exemptions::of(policy.exemptions(), pod, namespace);
        first_in(pod, scope, self.facts, fields, path, |it| {
            let judged = self.judge(it, &mut exemptions)?;
            let fix = judged.found.finding.fix.as_ref().filter(|_| judged.level >= Level::Warn);
            fix.and_then(Fix::pinned)
        })
    }

    /// The audit annotations: for each level the rules with findings.
    pub fn annotations(&self) -> Vec<(&'static str, String)> {
        let rules = |level| {
            let found = self.found.iter().filter(|(_, it)| *it == level);
            found.map(|(rule, _)| *rule).collect::<Vec<_>>().join(",")
        };
        let exempted: Vec<_> =
            self.exempted.iter().map(|(rule, name)| format!("{rule}:{name}")).collect();
        let all = [
            ("denied", rules(Level::Deny)),
            ("warned", rules(Level::Warn)),
            ("audited", rules(Level::Audit)),
            ("exempted", exempted.join(",")),
        ];
        all.into_iter().filter(|(_, rules)| !rules.is_empty()).collect()
    }
}
