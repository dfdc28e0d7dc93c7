//! What follows from the findings, and how it is said.

use std::{collections::BTreeSet, fmt::Write};

use crate::{
    pod::{Kind, Pod, Scope},
    policy::{
        Exemption, Facts, Fix, Found, Level, Mode, Patch, Place, Profile, Templates,
        evaluate::{evaluate, found_in},
        patch::{injections, patch},
    },
    profile::ProfilePath,
};

/// A finding with what it leads to.
pub struct Judged<'a> {
    pub found: Found<'a>,
    pub level: Level,
    /// What it would lead to for a pod in a namespace that enforces the policy.
    enforced: Level,
    /// The exemption that lets it pass; its level is then [`Level::Audit`].
    pub exemption: Option<&'a Exemption>,
}

/// Everything a policy says of one pod or template.
pub struct Verdict<'a> {
    kind: Kind,
    /// Whether nothing but new images of a pod that is there was judged.
    is_of_images: bool,
    facts: Facts<'a>,
    mode: Mode,
    judged: Vec<Judged<'a>>,
}

/// A message of a thousand lines helps nobody, and is cut by clients.
pub const MOST_LINES: usize = 20;

/// All warnings of a request share 4,096 characters (R5).
pub const MOST_WARNINGS: usize = 5;

/// The API server cuts longer warnings (R5). Of lines, only those are as long
/// that quote a path of absurd length, for which there is no limit (1.1).
const LONGEST_LINE: usize = 250;

impl<'a> Verdict<'a> {
    /// Judges `pod`, which stands in an object of `kind`.
    pub fn of(kind: Kind, pod: &'a Pod<'_>, scope: &Scope, facts: Facts<'a>, mode: Mode) -> Self {
        let is_of_images = matches!(scope, Scope::ImagesChanged { .. });
        let mut verdict = Self { kind, is_of_images, facts, mode, judged: Vec::new() };
        let judge = |it| verdict.judge(it, pod);
        verdict.judged = evaluate(pod, scope, facts).into_iter().filter_map(judge).collect();
        verdict
    }

    /// What follows from a finding; nothing, where it is of no concern.
    fn judge<'f>(&self, mut found: Found<'f>, pod: &Pod<'_>) -> Option<Judged<'f>>
    where
        'a: 'f,
    {
        let Self { kind, facts, mode, .. } = *self;
        let level = match (kind, facts.policy.templates()) {
            (Kind::Pod, _) | (_, Templates::Deny) => facts.policy.level(found.rule),
            (_, Templates::Warn) => facts.policy.level(found.rule).min(Level::Warn),
            (_, Templates::Ignore) => return None,
        };
        // S20: the pods that a template makes are fixed, the template is not.
        let is_fixed = matches!(found.finding.fix, Some(Fix::Inject | Fix::Pin(_)));
        if is_fixed && mode == Mode::Enforce && kind != Kind::Pod {
            return None;
        }
        found.say_what_becomes_of_it(mode, facts.policy.profile_for(pod));
        let exemption = exemption(&mut found, pod, facts);
        let level = if exemption.is_some() { Level::Audit } else { level.under(mode) };
        let enforced = facts.policy.level(found.rule);
        Some(Judged { found, level, enforced, exemption })
    }

    pub fn is_denied(&self) -> bool {
        self.at(Level::Deny).next().is_some()
    }

    /// All that was found, with what it leads to.
    pub fn judged(&self) -> &[Judged<'a>] {
        &self.judged
    }

    fn at(&self, level: Level) -> impl Iterator<Item = &Judged<'a>> {
        self.judged.iter().filter(move |it| it.level == level)
    }

    /// What has to change so that no finding with a fix remains. Only pods are
    /// changed, never templates (S20), and only where the policy is enforced.
    pub fn patch(&self, pod: &Pod<'_>, scope: &Scope) -> Patch {
        if self.mode != Mode::Enforce || self.kind != Kind::Pod {
            return Patch::default();
        }
        let fixable = self.judged.iter().filter(|it| it.found.finding.fix.is_some());
        let (fixed, spared): (Vec<_>, Vec<_>) = fixable.partition(|it| it.level >= Level::Warn);
        let fixed: Vec<_> = fixed.into_iter().map(|it| &it.found).collect();
        let spared = spared.iter().any(|it| it.exemption.is_some() && it.found.rule.id == "unset");
        let profile = self.facts.policy.profile_for(pod);
        let places = match profile {
            Some(_) => injections(pod, scope, &fixed, spared),
            None => Vec::new(),
        };
        let mut pinned: BTreeSet<_> = fixed.iter().filter_map(|it| it.pinned()).collect();
        if let Some(Profile::Localhost(path)) = profile {
            pinned.extend(self.to_come(pod, scope, &places, path));
        }
        patch(pod, scope, &fixed, (profile, &places), pinned)
    }

    /// The profile that is about to be set, if the pod has to be pinned for it:
    /// the rules are asked as if it was set already, so that the next time they
    /// find nothing.
    fn to_come(
        &self,
        pod: &Pod<'_>,
        scope: &Scope,
        places: &[Place<'_>],
        path: &ProfilePath,
    ) -> Option<ProfilePath> {
        let asked = found_in(pod, scope, self.facts, places, path);
        let mut judged = asked.into_iter().filter_map(|it| self.judge(it, pod));
        judged.find_map(|it| it.found.pinned().filter(|_| it.level >= Level::Warn))
    }

    /// Why it is refused, and the way out: a headline, then a line a finding.
    /// A single one stands on the headline, since lists of events show no more.
    pub fn message(&self, name: Option<&str>) -> String {
        let Facts { policy, namespace, .. } = self.facts;
        let name = name.map(|it| format!(" {it:?}")).unwrap_or_default();
        let what = if self.is_of_images { "the new image of " } else { "" };
        let mut message = format!(
            "policy {:?} refuses {what}{}{name} in namespace {namespace:?}:",
            policy.name(),
            self.kind.noun(),
        );
        let count = self.at(Level::Deny).count();
        let gap = if count == 1 { " " } else { "\n  " };
        for it in self.at(Level::Deny).take(MOST_LINES) {
            message.push_str(gap);
            message.push_str(&it.line(self.kind));
        }
        if count > MOST_LINES {
            let more = count - MOST_LINES;
            write!(message, "\n  and {more} more findings").expect("a string takes everything");
        }
        message
    }

    /// One line for each finding that is warned about, the last one counting
    /// those that were left out (R5).
    pub fn warnings(&self) -> Vec<String> {
        let policy = self.facts.policy.name();
        let count = self.at(Level::Warn).count();
        let shown = self.at(Level::Warn).take(MOST_WARNINGS);
        let mut warnings: Vec<_> = shown
            .map(|it| {
                let prospect = it.prospect(self.kind, self.mode, self.is_of_images);
                it.warning(&format!("policy {policy:?}{prospect}: "), self.kind)
            })
            .collect();
        if count > MOST_WARNINGS {
            let more = count - MOST_WARNINGS;
            warnings.push(format!("policy {policy:?}: and {more} more findings"));
        }
        warnings
    }

    /// What the audit log keeps: each word with the rules it applies to.
    pub fn annotations(&self) -> Vec<(&'static str, String)> {
        let of = |level| self.at(level).filter(|it| it.exemption.is_none());
        let rules = |level| {
            let mut rules: Vec<_> = of(level).map(|it| it.found.rule.id).collect();
            rules.dedup();
            rules.sort_unstable();
            rules.dedup();
            rules.join(",")
        };
        let mut exempted: Vec<_> = self
            .judged
            .iter()
            .filter_map(|it| Some(format!("{}:{}", it.found.rule.id, it.exemption?.name)))
            .collect();
        exempted.sort_unstable();
        exempted.dedup();
        let all = [
            ("denied", rules(Level::Deny)),
            ("warned", rules(Level::Warn)),
            ("audited", rules(Level::Audit)),
            ("exempted", exempted.join(",")),
        ];
        all.into_iter().filter(|(_, rules)| !rules.is_empty()).collect()
    }
}

impl Judged<'_> {
    /// What a finding that is only warned about would lead to elsewhere.
    fn prospect(&self, kind: Kind, mode: Mode, is_of_images: bool) -> String {
        if self.enforced != Level::Deny || self.found.finding.fix.is_some() {
            return String::new();
        }
        match (kind, mode) {
            (Kind::Pod, _) if is_of_images => " would refuse this image".to_owned(),
            (Kind::Pod, _) => " would refuse this pod".to_owned(),
            (it, Mode::Enforce) => format!(" will refuse the pods of this {}", it.noun()),
            (it, _) => format!(" would refuse the pods of this {}", it.noun()),
        }
    }

    /// The finding in one line without control characters.
    pub fn line(&self, kind: Kind) -> String {
        let (line, end) = self.words(kind);
        cut_to(line, LONGEST_LINE) + &end
    }

    /// The same behind `opening`, as short as a warning must be. What is cut off
    /// is never the rule, by which the reader finds the way out.
    fn warning(&self, opening: &str, kind: Kind) -> String {
        let (line, end) = self.words(kind);
        let room = LONGEST_LINE.saturating_sub(end.chars().count() + 1);
        cut_to(format!("{opening}{line}"), room) + &end
    }

    /// What was found where; and the way out, with the rule.
    fn words(&self, kind: Kind) -> (String, String) {
        let Found { rule, place, finding } = &self.found;
        let hint = finding.hint.as_ref().map(|it| format!("; {it}")).unwrap_or_default();
        let line = format!("{}{place}: {}", kind.prefix(), finding.message);
        (line, format!("{hint} [{}]", rule.id))
    }
}

impl Found<'_> {
    /// What `/mutate` was to repair is a different matter.
    fn say_what_becomes_of_it(&mut self, mode: Mode, injected: Option<&Profile>) {
        let (would, does) = match (&self.finding.fix, injected) {
            (Some(Fix::Inject), Some(profile)) => {
                (format!("set {profile}"), format!("sets {profile}"))
            }
            (Some(Fix::Pin(_)), _) => {
                let what = "it to nodes that have the profile";
                (format!("pin {what}"), format!("pins {what}"))
            }
            _ => return,
        };
        self.finding.hint = Some(match mode {
            Mode::Enforce => {
                format!("the mutating webhook {does}, but was not called or was overruled")
            }
            Mode::Warn | Mode::Audit => format!("mode \"enforce\" would {would}"),
        });
    }

    /// The profile for which the pod is to be pinned.
    fn pinned(&self) -> Option<ProfilePath> {
        match &self.finding.fix {
            Some(Fix::Pin(path)) => Some(path.clone()),
            _ => None,
        }
    }
}

/// The exemption in force for what was found. One that has run out adds to the
/// finding that it has.
fn exemption<'a>(found: &mut Found<'_>, pod: &Pod<'_>, facts: Facts<'a>) -> Option<&'a Exemption> {
    let about = |it: &&Exemption| it.is_about(found.rule.id, found.place, pod, facts.namespace);
    let all: Vec<_> = facts.policy.exemptions().iter().filter(about).collect();
    if let Some(in_force) = all.iter().find(|it| it.is_in_force(facts.today)) {
        return Some(in_force);
    }
    if let Some((expired, date)) = all.first().and_then(|it| Some((it, it.expires?))) {
        let Exemption { name, owner, .. } = expired;
        let expired = format!("exemption {:?} expired on {date}, ask {owner}", name.as_str());
        let hint = found.finding.hint.take().map(|it| format!("{it}; ")).unwrap_or_default();
        found.finding.hint = Some(hint + &expired);
    }
    None
}

/// A warning that is no longer than the API server lets it be (R5).
pub fn cut(warning: String) -> String {
    cut_to(warning, LONGEST_LINE)
}

fn cut_to(line: String, longest: usize) -> String {
    match line.char_indices().nth(longest) {
        None => line,
        Some((at, _)) => format!("{}…", &line[..at]),
    }
}
