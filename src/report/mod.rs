//! What a command has to say about files, and the forms in which it is printed: for people, and
//! for the programs that show findings beside a change. From values to text, nothing else.
//!
//! A [`Diagnostic`] has copies of the lines that it shows, so that no file has to stay in memory.

mod digest;
mod form;
mod github;
mod gitlab;
mod human;
mod json;
mod junit;
mod place;
mod sarif;

use std::{fmt, sync::Arc};

pub use form::{Destination, Form, Forms, Output};
pub use human::Look;
pub use place::{Place, Source};

use digest::Fingerprints;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    Note,
    Warning,
    Error,
}

/// The kind of a finding: its id, and the page that `callgate explain` prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Topic {
    pub id: &'static str,
    pub page: &'static str,
}

/// One finding in one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    pub severity: Severity,
    pub topic: Topic,
    /// In one line, without the place.
    pub message: String,
    pub place: Place,
    /// The field, such as `spec.containers[0]`; empty if it is about no field.
    pub field: String,
    /// The ways out.
    pub help: Vec<String>,
    pub notes: Vec<String>,
    /// What identifies it beside its topic when lines move, such as the object and the container.
    pub identity: Vec<String>,
    /// Why it counts no longer.
    pub suppressed: Option<Suppressed>,
}

/// Why a finding does not count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suppressed {
    /// Whether that is said in the file itself.
    pub is_inline: bool,
    pub reason: String,
}

/// What was checked as one thing, such as an object or a profile file, and what was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    pub file: Arc<str>,
    /// Its name for people, such as `deployment "web"`.
    pub name: String,
    pub found: Vec<Diagnostic>,
}

/// The result of a command.
#[derive(Clone, Copy, Debug)]
pub struct Report<'a> {
    /// Such as `callgate check`.
    pub command: &'static str,
    pub checked: &'a [Checked],
    /// The severity from which a finding makes the command fail; `None`: none does.
    pub fail_on: Option<Severity>,
}

/// The number of findings that count, by severity, and of those that do not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    pub errors: usize,
    pub warnings: usize,
    pub notes: usize,
    pub suppressed: usize,
}

impl Severity {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Diagnostic {
    pub fn new(severity: Severity, topic: Topic, message: impl Into<String>, place: Place) -> Self {
        Self {
            severity,
            topic,
            message: message.into(),
            place,
            field: String::new(),
            help: Vec::new(),
            notes: Vec::new(),
            identity: Vec::new(),
            suppressed: None,
        }
    }

    /// The finding for people: the message, the lines of the file, the way out.
    pub fn render(&self, look: Look) -> String {
        human::render(self, look)
    }
}

impl Report<'_> {
    fn found(&self) -> impl Iterator<Item = (&Checked, &Diagnostic)> {
        self.checked.iter().flat_map(|it| it.found.iter().map(move |found| (it, found)))
    }

    pub fn count(&self) -> Count {
        let mut count = Count::default();
        for (_, it) in self.found() {
            *match (&it.suppressed, it.severity) {
                (Some(_), _) => &mut count.suppressed,
                (None, Severity::Error) => &mut count.errors,
                (None, Severity::Warning) => &mut count.warnings,
                (None, Severity::Note) => &mut count.notes,
            } += 1;
        }
        count
    }

    /// Whether the command fails.
    pub fn is_failure(&self) -> bool {
        self.found().any(|(_, it)| self.fails(it))
    }

    fn fails(&self, it: &Diagnostic) -> bool {
        it.suppressed.is_none() && self.fail_on.is_some_and(|least| it.severity >= least)
    }

    /// The whole text in one form.
    pub fn text(&self, form: Form, look: Look) -> String {
        match form {
            Form::Human => human::text(self, look),
            Form::Json => json::text(self),
            Form::Sarif => sarif::text(self),
            Form::Junit => junit::text(self),
            Form::Github => github::text(self),
            Form::Gitlab => gitlab::text(self),
        }
    }

    /// All findings with their fingerprints.
    fn fingerprinted(&self) -> Vec<(&Checked, &Diagnostic, String)> {
        let mut fingerprints = Fingerprints::default();
        self.found().map(|(checked, it)| (checked, it, fingerprints.of(it))).collect()
    }
}

impl Count {
    /// Such as `2 errors, 1 warning`; notes are not counted here.
    pub fn line(&self) -> String {
        let Self { errors, warnings, notes: _, suppressed } = *self;
        let mut parts = vec![counted(errors, "error"), counted(warnings, "warning")];
        if suppressed > 0 {
            parts.push(format!("{suppressed} known"));
        }
        parts.join(", ")
    }
}

/// A number and its noun, in the plural where that is due.
pub fn counted<N: Copy + fmt::Display + PartialEq + From<u8>>(count: N, noun: &str) -> String {
    let plural = if count == N::from(1) { "" } else { "s" };
    format!("{count} {noun}{plural}")
}

#[cfg(test)]
mod tests;
