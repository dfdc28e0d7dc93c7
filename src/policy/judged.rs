//! One finding, its level, and its wording.

use crate::{
    pod::{Kind, Scope},
    policy::{Exemption, Facts, Fix, Found, Hint, Level, Mode, Profile, exemption::Exemptions},
};

/// A finding with its level.
pub struct Judged<'a> {
    pub found: Found<'a>,
    pub level: Level,
    /// Its level for a pod in a namespace with mode enforce.
    pub(super) enforced: Level,
    /// The exemption that lets it pass; its level is then [`Level::Audit`].
    pub exemption: Option<&'a Exemption>,
    /// An exemption that would let it pass if it had not expired.
    pub(super) expired: Option<&'a Exemption>,
    /// Whether exemptions were left out because comparing images took too much work.
    pub(super) is_exhausted: bool,
}

/// The API server cuts longer warnings (R5). Lines of denials are as long only where they quote
/// a very long path, for which Kubernetes has no limit (1.1).
const LONGEST_LINE: usize = 250;

impl Judged<'_> {
    /// Whether a pod is denied for it, or would be in mode enforce, where fixes are applied.
    pub(super) fn is_refusal(&self) -> bool {
        let is_fixed = self.found.finding.fix.is_some();
        let would_be = self.enforced == Level::Deny && self.exemption.is_none() && !is_fixed;
        self.level == Level::Deny || would_be
    }

    /// What a finding that is a warning would be for a pod, or in mode enforce.
    pub(super) fn prospect(&self, kind: Kind, mode: Mode, is_of_images: bool) -> &'static str {
        if self.enforced != Level::Deny || self.found.finding.fix.is_some() {
            return "";
        }
        match (kind, mode) {
            (Kind::Pod, _) if is_of_images => " would deny this image",
            (Kind::Pod, _) => " would deny this pod",
            (_, Mode::Enforce) => " will deny its pods",
            (..) => " would deny its pods",
        }
    }

    /// The finding in one line without control characters.
    pub(super) fn line(&self, about: &About<'_>) -> String {
        let (line, end) = self.words(about);
        cut_to(line, LONGEST_LINE) + &end
    }

    /// The same behind `opening`, within the length of a warning. The rule at the end is never cut
    /// off: by it the reader finds the page.
    pub(super) fn warning(&self, opening: &str, about: &About<'_>) -> String {
        let (line, end) = self.words(about);
        let room = LONGEST_LINE.saturating_sub(end.chars().count() + 1);
        cut_to(format!("{opening}{line}"), room) + &end
    }

    /// The field with the finding; and the hint with the rule.
    fn words(&self, about: &About<'_>) -> (String, String) {
        let Found { rule, field, finding } = &self.found;
        let hint = self.hint(about).map(|it| format!("; {it}")).unwrap_or_default();
        let line = format!("{}{field}: {}", about.kind.prefix(), finding.message);
        (line, format!("{hint} [{}]", rule.id))
    }

    /// The way out: at length for a denial, in a few words for a warning.
    pub(super) fn hint(&self, about: &About<'_>) -> Option<String> {
        let Self { found, level, exemption, expired, is_exhausted, .. } = self;
        let mut hints = Vec::new();
        let is_denied = *level == Level::Deny;
        hints.extend(match (&found.finding.fix, &found.finding.hint) {
            (Some(Fix::Inject), _) => Some(about.set_profile(is_denied)),
            (Some(Fix::Pin(_)), _) => Some(about.pin().to_owned()),
            (_, Some(Hint::SetProfile)) => Some(about.set_profile(is_denied)),
            (_, Some(Hint::OrExemption(what))) if is_denied && expired.is_none() => {
                Some(format!("{what}, or ask for an exemption"))
            }
            (_, Some(hint)) => hint.words(about.facts),
            (_, None) => None,
        });
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
        (!hints.is_empty()).then(|| hints.join("; "))
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
        Self { found, level, enforced, exemption, expired, is_exhausted }
    }
}

/// What a hint depends on besides its finding.
pub(super) struct About<'a> {
    pub(super) kind: Kind,
    pub(super) scope: &'a Scope,
    pub(super) mode: Mode,
    /// The profile that is injected where none is set.
    pub(super) injected: Option<&'a Profile>,
    pub(super) facts: Facts<'a>,
}

impl About<'_> {
    fn set_profile(&self, is_denied: bool) -> String {
        let profile = self.injected.unwrap_or(&Profile::RuntimeDefault);
        let field = match (is_denied, self.scope) {
            (true, Scope::Whole) => {
                format!("{}spec.securityContext.seccompProfile", self.kind.prefix())
            }
            (true, _) => "securityContext.seccompProfile".to_owned(),
            (false, _) => "seccompProfile".to_owned(),
        };
        let set = match profile {
            Profile::RuntimeDefault => format!("set {field}.type: RuntimeDefault"),
            Profile::Localhost(path) => {
                format!("set {field}: {{type: Localhost, localhostProfile: {:?}}}", path.as_str())
            }
        };
        match (self.mode, self.injected) {
            (Mode::Enforce, Some(_)) if is_denied => {
                format!("{set} (the mutating webhook was not called or was overruled)")
            }
            (Mode::Warn | Mode::Audit, Some(profile)) => {
                format!("mode \"enforce\" would set {profile}")
            }
            (_, _) => set,
        }
    }

    fn pin(&self) -> &'static str {
        match self.mode {
            Mode::Enforce => "the mutating webhook was not called or was overruled",
            Mode::Warn | Mode::Audit => "mode \"enforce\" would pin it to nodes that have it",
        }
    }
}

impl Hint {
    fn words(&self, Facts { catalog, classes, .. }: Facts<'_>) -> Option<String> {
        let meant = |near: &str| format!("did you mean {near:?}?");
        match self {
            Self::Text(text) => Some(text.clone()),
            Self::OrExemption(what) => Some((*what).to_owned()),
            Self::SetProfile => None,
            Self::SimilarProfile(path, otherwise) => Some(match catalog.closest(path) {
                Some(near) if near != path => meant(near.as_str()),
                _ => (*otherwise).to_owned(),
            }),
            Self::SimilarRuntimeClass(class) => classes.closest(class).map(meant),
        }
    }
}

/// Cuts a warning to the length that the API server allows (R5).
pub fn cut(warning: String) -> String {
    cut_to(warning, LONGEST_LINE)
}

fn cut_to(line: String, longest: usize) -> String {
    match line.char_indices().nth(longest) {
        None => line,
        Some((at, _)) => format!("{}…", &line[..at]),
    }
}
