//! How a verdict is worded: denials, warnings, single findings.

use std::collections::BTreeSet;

use crate::{
    pod::Scope,
    policy::{Facts, Judged, Level, Verdict, judged::About},
};

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
}

fn and_more(count: usize) -> String {
    format!("and {count} more {}", if count == 1 { "finding" } else { "findings" })
}
