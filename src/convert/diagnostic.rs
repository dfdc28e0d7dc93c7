//! What a conversion reports about a profile.

use std::fmt;

use super::MENDED;
use crate::profile::{
    json::{Json, NodeId, Span},
    lints::{Finding, Severity},
};

/// A message about a file, in one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    pub level: DiagnosticLevel,
    /// The bytes that it is about.
    pub span: Span,
    /// Further parts of the text with the same fault, or related ones.
    pub also: Vec<Span>,
    pub line: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DiagnosticLevel {
    /// How the conversion has resolved a key that runtimes drop.
    Note,
    Warning,
    Error,
}

/// The properties of nodes that the result depends on, each with the path of the
/// first value that depends on it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Undecided {
    pub architecture: Option<String>,
    pub kernel: Option<String>,
}

impl Diagnostic {
    /// A diagnostic at a value's key or, if it has none, at the value.
    pub(super) fn at(node: NodeId, json: &Json, level: DiagnosticLevel, message: &str) -> Self {
        let location = json.key_location(node);
        let separator = if location.path.is_empty() { "" } else { ": " };
        let line = format!("{}{separator}{message}", location.path);
        Self { level, span: location.span.unwrap_or_default(), also: Vec::new(), line }
    }

    pub(super) fn of(finding: &Finding) -> Self {
        let Finding { lint, location, also, hint, .. } = finding;
        // The conversion writes the key that the hint suggests.
        let mended = hint.as_ref().and_then(|it| it.strip_prefix("write "));
        let (level, line) = match (mended, lint.severity) {
            (Some(key), _) if lint.id == MENDED => {
                (DiagnosticLevel::Note, format!("{}: taken as {key}", location.path))
            }
            (_, Severity::Warning) => (DiagnosticLevel::Warning, finding.to_string()),
            (_, Severity::Error) => (DiagnosticLevel::Error, finding.to_string()),
        };
        let also = also.iter().filter_map(|it| it.span).collect();
        Self { level, span: location.span.unwrap_or_default(), also, line }
    }
}

impl fmt::Display for DiagnosticLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        })
    }
}
