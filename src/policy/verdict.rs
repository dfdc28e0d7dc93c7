//! What follows from the findings: levels, patch, message, warnings, audit annotations.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    pod::{Kind, Pod, Scope},
    policy::{
        Facts, FieldPath, Fix, Found, Judged, Level, Mode, Patch, Profile, Templates,
        evaluate::{evaluate, first_in},
        exemption::Exemptions,
        judged::About,
        patch::{Repair, injections, patch},
        pin::NodeLabel,
        refusal::Refusal,
    },
    profile::ProfilePath,
};

/// The verdict of a policy on one pod or template.
pub struct Verdict<'a> {
    templates: Templates,
    kind: Kind,
    scope: &'a Scope,
    pub(super) facts: Facts<'a>,
    mode: Mode,
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

/// The largest number of lines in a message: longer ones are not read, and clients cut them.
pub const MOST_LINES: usize = 20;

/// The length of a denial in bytes: clients and logs cut longer ones. Findings that do not fit
/// are counted. A first line may be longer.
const LONGEST_DENIAL: usize = 1024;

/// Room for the end of a denial: the count of other findings, and the page.
const LONGEST_END: usize = 80;

/// All warnings of a request share 4,096 characters (R5).
pub const MOST_WARNINGS: usize = 5;

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

    /// A finding of this verdict in one line without control characters, with the way out.
    pub fn line(&self, judged: &Judged<'a>) -> String {
        judged.line(&self.about())
    }

    /// The way out of a finding of this verdict, in words.
    pub fn hint(&self, judged: &Judged<'a>) -> Option<String> {
        judged.hint(&self.about())
    }

    fn about(&self) -> About<'a> {
        let Self { kind, scope, mode, injected, facts, .. } = *self;
        About { kind, scope, mode, injected, facts }
    }

    /// The first findings for which a pod is denied, or would be in mode enforce, after its patch.
    pub fn refusals(&self) -> &[Refusal<'a>] {
        &self.refusals
    }

    /// The number of all findings.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    fn count(&self, level: Level) -> usize {
        self.counts.iter().filter(|((_, it), _)| *it == level).map(|(_, count)| count).sum()
    }

    fn at(&self, level: Level) -> impl Iterator<Item = &Judged<'a>> {
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

    /// Why it is denied, and the way out: a headline, then a line for each finding
    /// as far as they fit into a kilobyte, and where to read more. A single
    /// finding stands on the headline, since lists of events show only that line.
    pub fn message(&self, name: Option<&str>) -> String {
        let Facts { policy, namespace, .. } = self.facts;
        let name = name.map(|it| format!(" {it:?}")).unwrap_or_default();
        let what = if self.is_of_images() { "the new image of " } else { "" };
        let mut message = format!(
            "policy {:?} denies {what}{}{name} in namespace {namespace:?}:",
            policy.name(),
            self.kind.noun(),
        );
        let count = self.count(Level::Deny);
        let gap = if count == 1 { " " } else { "\n  " };
        let rules: BTreeSet<_> = self.at(Level::Deny).map(|it| it.found.rule.id).collect();
        let page = match (rules.len(), rules.first()) {
            (1, Some(rule)) => rule,
            _ => "RULE",
        };
        let mut shown = 0;
        for it in self.at(Level::Deny).take(MOST_LINES) {
            let line = self.line(it);
            if shown > 0 && message.len() + gap.len() + line.len() + LONGEST_END > LONGEST_DENIAL {
                break;
            }
            message.push_str(gap);
            message.push_str(&line);
            shown += 1;
        }
        if count > shown {
            message.push_str("\n  ");
            message.push_str(&and_more(count - shown));
        }
        message + "\n  more: callgate explain " + page
    }

    fn is_of_images(&self) -> bool {
        matches!(self.scope, Scope::ImagesChanged { .. })
    }

    /// One line for each warning; the last line counts those that were left out (R5).
    pub fn warnings(&self) -> Vec<String> {
        let policy = self.facts.policy.name();
        let count = self.count(Level::Warn);
        let shown = self.at(Level::Warn).take(MOST_WARNINGS);
        let mut warnings: Vec<_> = shown
            .map(|it| {
                let prospect = it.prospect(self.kind, self.mode, self.is_of_images());
                it.warning(&format!("policy {policy:?}{prospect}: "), &self.about())
            })
            .collect();
        if count > MOST_WARNINGS {
            let more = and_more(count - MOST_WARNINGS);
            warnings.push(format!("policy {policy:?}: {more}"));
        }
        warnings
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

fn and_more(count: usize) -> String {
    format!("and {count} more {}", if count == 1 { "finding" } else { "findings" })
}
