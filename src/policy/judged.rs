//! One finding, what it leads to, and how that is said.

use crate::{
    pod::Kind,
    policy::{
        Exemption, Facts, Fix, Found, Level, Mode, Profile, exemption::Exemptions, finding::Hint,
    },
};

/// A finding with what it leads to.
pub struct Judged<'a> {
    pub found: Found<'a>,
    pub level: Level,
    /// What it would lead to for a pod in a namespace that enforces the policy.
    pub(super) enforced: Level,
    /// The exemption that lets it pass; its level is then [`Level::Audit`].
    pub exemption: Option<&'a Exemption>,
    /// An exemption that would let it pass if it had not expired.
    pub(super) expired: Option<&'a Exemption>,
    /// Whether exemptions were left out because comparing images took too much work.
    pub(super) is_exhausted: bool,
    /// The way out, in words; set for findings that are reported.
    pub hint: Option<String>,
}

/// The API server cuts longer warnings (R5). Of lines, only those are as long
/// that quote a path of absurd length, for which there is no limit (1.1).
const LONGEST_LINE: usize = 250;

impl Judged<'_> {
    /// What a finding that is only warned about would lead to elsewhere.
    pub(super) fn prospect(&self, kind: Kind, mode: Mode, is_of_images: bool) -> String {
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
    pub(super) fn warning(&self, opening: &str, kind: Kind) -> String {
        let (line, end) = self.words(kind);
        let room = LONGEST_LINE.saturating_sub(end.chars().count() + 1);
        cut_to(format!("{opening}{line}"), room) + &end
    }

    /// What was found where; and the way out, with the rule.
    fn words(&self, kind: Kind) -> (String, String) {
        let Found { rule, field, finding } = &self.found;
        let hint = self.hint.as_ref().map(|it| format!("; {it}")).unwrap_or_default();
        let line = format!("{}{field}: {}", kind.prefix(), finding.message);
        (line, format!("{hint} [{}]", rule.id))
    }
}

impl<'a> Judged<'a> {
    pub(super) fn new(
        found: Found<'a>,
        level: Level,
        exemptions: &mut Exemptions<'a>,
        (facts, mode): (Facts<'a>, Mode),
    ) -> Self {
        let enforced = facts.policy.level(found.rule).min(found.finding.limit);
        let (mut exemption, mut expired) = (None, None);
        for it in exemptions.about(found.rule.id, found.field) {
            if it.is_in_force(facts.today) {
                exemption = Some(it);
                break;
            }
            expired = expired.or(Some(it));
        }
        let level = if exemption.is_some() { Level::Audit } else { level.under(mode) };
        let is_exhausted = exemption.is_none() && exemptions.is_exhausted();
        Self { found, level, enforced, exemption, expired, is_exhausted, hint: None }
    }

    /// Words the way out.
    pub(super) fn set_remediation_hint(
        &mut self,
        mode: Mode,
        injected: Option<&Profile>,
        facts: Facts<'_>,
    ) {
        let Self { found, exemption, expired, is_exhausted, .. } = &*self;
        let mut hints = Vec::new();
        hints.extend(
            found.repair(mode, injected).or_else(|| found.finding.hint.as_ref()?.words(facts)),
        );
        if exemption.is_none() {
            if let Some((Exemption { name, owner, .. }, date)) =
                expired.and_then(|it| Some((it, it.expires?)))
            {
                let name = name.as_str();
                hints.push(format!("exemption {name:?} expired on {date}, ask {owner}"));
            }
            if *is_exhausted {
                hints.push("it names too many images to compare all exemptions with".to_owned());
            }
        }
        self.hint = (!hints.is_empty()).then(|| hints.join("; "));
    }
}

impl Found<'_> {
    /// Why a finding that has a fix is still there.
    fn repair(&self, mode: Mode, injected: Option<&Profile>) -> Option<String> {
        let (would, does) = match (&self.finding.fix, injected) {
            (Some(Fix::Inject), Some(profile)) => {
                (format!("set {profile}"), format!("sets {profile}"))
            }
            (Some(Fix::Pin(_)), _) => {
                let what = "it to nodes that have the profile";
                (format!("pin {what}"), format!("pins {what}"))
            }
            _ => return None,
        };
        Some(match mode {
            Mode::Enforce => {
                format!("the mutating webhook {does}, but was not called or was overruled")
            }
            Mode::Warn | Mode::Audit => format!("mode \"enforce\" would {would}"),
        })
    }
}

impl Hint {
    fn words(&self, Facts { catalog, classes, .. }: Facts<'_>) -> Option<String> {
        let meant = |near: &str| format!("did you mean {near:?}?");
        match self {
            Self::Text(text) => Some(text.clone()),
            Self::SimilarProfile(path) => match catalog.closest(path) {
                Some(near) if near != path => Some(meant(near.as_str())),
                _ => catalog.is_empty().then(|| "the catalog is empty".to_owned()),
            },
            Self::SimilarRuntimeClass(class) => classes.closest(class).map(meant),
        }
    }
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
