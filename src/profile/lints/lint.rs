//! What a lint is, and what it finds.

use std::fmt;

use super::{reading::Reading, remark::Remark, too_large};
use crate::profile::json::{Json, Malformed, SourceLocation, Span};

/// A lint: a name, a severity, a page and a pure function.
///
/// CONTRIBUTING.md says how to add one.
pub struct Lint {
    /// The stable name, which is the file stem of its code, page and table.
    pub id: &'static str,
    pub severity: Severity,
    /// The page for users, in Markdown.
    pub page: &'static str,
    pub(super) check: Check,
}

/// What a finding means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The profile does what is written, which may not be what its author wants.
    Warning,
    /// A runtime rejects the profile or does something else than is written, or
    /// callgate forbids it.
    Error,
}

/// The input of a lint.
pub(super) enum Check {
    /// A text that is not JSON, and the error.
    Text(fn(&[u8], &Malformed) -> Remark),
    /// A profile.
    Profile(fn(&Reading<'_>) -> Vec<Remark>),
}

/// One finding of a lint.
#[derive(Clone, Debug)]
pub struct Finding {
    pub lint: &'static Lint,
    pub location: SourceLocation,
    /// Further locations of the same fault, or related ones.
    pub also: Vec<SourceLocation>,
    pub message: String,
    /// How to fix it, if there is a specific fix.
    pub hint: Option<String>,
}

impl Lint {
    /// The name of the lint for profiles that agents do not write to nodes.
    pub const TOO_LARGE: &str = too_large::LINT.id;

    pub(super) fn on_tree(&'static self, remark: Remark, json: &Json) -> Finding {
        let Remark { at, also, message, hint } = remark;
        let also = also.into_iter().map(|it| it.location(json)).collect();
        Finding { lint: self, location: at.location(json), also, message, hint }
    }

    /// The finding about the first invalid byte of a text.
    pub(super) fn on_text(&'static self, remark: Remark, malformed: &Malformed) -> Finding {
        let Remark { message, hint, at: _, also: _ } = remark;
        let span = Span { start: malformed.offset, end: malformed.offset };
        let location = SourceLocation { path: String::new(), span: Some(span) };
        Finding { lint: self, location, also: Vec::new(), message, hint }
    }
}

impl Finding {
    /// The same line, of the profile in the `spec` of an object.
    pub fn in_spec(&self) -> String {
        let separator = if self.location.path.is_empty() { ": " } else { "." };
        format!("spec{separator}{self}")
    }
}

/// One line: `syscalls[0].action: …; did you mean …? [unknown-action]`.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { lint, location: SourceLocation { path, span: _ }, also: _, message, hint } =
            self;
        if !path.is_empty() {
            write!(f, "{path}: ")?;
        }
        f.write_str(message)?;
        if let Some(hint) = hint {
            write!(f, "; {hint}")?;
        }
        write!(f, " [{}]", lint.id)
    }
}

impl fmt::Debug for Lint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Lint").field(&self.id).finish()
    }
}
