//! One finding, what it leads to, and how that is said.

use jiff::civil::Date;

use crate::{
    pod::Kind,
    policy::{Exemption, Fix, Found, Level, Mode, Profile, exemption::Exemptions},
    profile::ProfilePath,
};

/// A finding with what it leads to.
pub struct Judged<'a> {
    pub found: Found<'a>,
    pub level: Level,
    /// What it would lead to for a pod in a namespace that enforces the policy.
    pub(super) enforced: Level,
    /// The exemption that lets it pass; its level is then [`Level::Audit`].
    pub exemption: Option<&'a Exemption>,
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
        let hint = finding.hint.as_ref().map(|it| format!("; {it}")).unwrap_or_default();
        let line = format!("{}{field}: {}", kind.prefix(), finding.message);
        (line, format!("{hint} [{}]", rule.id))
    }
}

impl Found<'_> {
    /// What `/mutate` was to repair is a different matter.
    pub(super) fn set_remediation_hint(&mut self, mode: Mode, injected: Option<&Profile>) {
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

    /// The exemption in force for it. One that has run out adds to the finding
    /// that it has.
    pub(super) fn exemption<'a>(
        &mut self,
        exemptions: &mut Exemptions<'a>,
        today: Date,
    ) -> Option<&'a Exemption> {
        let mut expired = None;
        for it in exemptions.about(self.rule.id, self.field) {
            if it.is_in_force(today) {
                return Some(it);
            }
            expired = expired.or(Some(it));
        }
        if let Some((Exemption { name, owner, .. }, date)) =
            expired.and_then(|it| Some((it, it.expires?)))
        {
            let name = name.as_str();
            self.hint_as_well(&format!("exemption {name:?} expired on {date}, ask {owner}"));
        }
        if exemptions.is_exhausted() {
            self.hint_as_well("it names too many images to compare all exemptions with");
        }
        None
    }

    fn hint_as_well(&mut self, hint: &str) {
        let hints = self.finding.hint.take().map(|it| format!("{it}; ")).unwrap_or_default();
        self.finding.hint = Some(hints + hint);
    }
}

impl Fix {
    /// The profile for which the pod is to be pinned.
    pub(super) fn pinned(&self) -> Option<ProfilePath> {
        match self {
            Self::Pin(path) => Some(path.clone()),
            Self::Inject | Self::RemoveAnnotation => None,
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
