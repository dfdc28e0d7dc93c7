//! Makes an object for a cluster of a profile file.
//!
//! The file may be of the formats of Docker and Podman, of which a runtime in
//! Kubernetes understands less than they do (L2): what they add is resolved,
//! and what is left is judged by the linter.

mod errno;
mod extensions;
mod node;
mod resolve;
mod spec;

use std::{collections::BTreeSet, fmt};

use extensions::Extensions;
pub use node::{Architecture, Kernel, Node, NotANode};
use resolve::Resolver;
use serde::Serialize;
pub use spec::Spec;

use crate::profile::{
    ObjectName,
    document::Document,
    json::{Json, NodeId, Span},
    lints::{Finding, Severity, lint, lint_document},
};

/// What was made of a profile file.
#[derive(Clone, Debug)]
pub struct Converted {
    /// What there is to say, in the order of the text.
    pub diagnostics: Vec<Diagnostic>,
    /// Nothing, if one of the diagnostics is an error.
    pub spec: Option<Spec>,
}

/// One thing to say about a file, in one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    pub level: DiagnosticLevel,
    /// Where in the text.
    pub span: Span,
    /// Where else it holds, or what it has to do with.
    pub also: Vec<Span>,
    pub line: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DiagnosticLevel {
    /// What was made of something that a runtime would not understand.
    Note,
    Warning,
    Error,
}

/// What has to be known of the nodes, and the place that asks for it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Undecided {
    pub architecture: Option<String>,
    pub kernel: Option<String>,
}

/// Findings about what is resolved here.
const RESOLVED: &str = "docker-key";
/// Findings about what is written otherwise here.
const MENDED: &str = "key-case";

/// Makes of a file what it is on such nodes, for a container without a
/// capability.
///
/// # Errors
/// The profile says something else on each kind of node, and too little is
/// known of these.
pub fn convert(text: &[u8], node: Node) -> Result<Converted, Undecided> {
    let Ok(json) = Json::parse(text) else {
        let diagnostics = lint(text).iter().map(Diagnostic::of).collect();
        return Ok(Converted { diagnostics, spec: None });
    };
    let (mut document, mismatches) = Document::decode(&json);
    let extensions = Extensions::decode(&json);
    let mut resolver =
        Resolver { json: &json, node, diagnostics: Vec::new(), undecided: Undecided::default() };
    resolver.resolve(&mut document, &extensions);
    let said: BTreeSet<_> = mismatches.iter().map(|it| it.node).collect();
    resolver.reject_mismatches(extensions.mismatches.iter().filter(|it| !said.contains(&it.node)));

    let Resolver { mut diagnostics, undecided, .. } = resolver;
    if undecided != Undecided::default() {
        return Err(undecided);
    }
    diagnostics.extend(spec::excesses(&document, &json));
    let found = lint_document(&json, &document, &mismatches);
    diagnostics.extend(found.iter().filter(|it| it.lint.id != RESOLVED).map(Diagnostic::of));
    diagnostics.sort_by_key(|it| it.span);
    let sound = diagnostics.iter().all(|it| it.level < DiagnosticLevel::Error);
    Ok(Converted { diagnostics, spec: sound.then(|| Spec::of(&document)) })
}

/// The object that `kubectl apply` takes.
pub fn object<'a>(name: &'a ObjectName, spec: &'a Spec) -> impl Serialize + use<'a> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Object<'a> {
        api_version: &'static str,
        kind: &'static str,
        metadata: Metadata<'a>,
        spec: &'a Spec,
    }
    #[derive(Serialize)]
    struct Metadata<'a> {
        name: &'a str,
    }
    Object {
        api_version: "callgate.dev/v1alpha1",
        kind: "SeccompProfile",
        metadata: Metadata { name: name.as_str() },
        spec,
    }
}

impl Diagnostic {
    /// About a value and, if it has one, its key.
    fn at(node: NodeId, json: &Json, level: DiagnosticLevel, message: &str) -> Self {
        let location = json.key_location(node);
        let separator = if location.path.is_empty() { "" } else { ": " };
        let line = format!("{}{separator}{message}", location.path);
        Self { level, span: location.span.unwrap_or_default(), also: Vec::new(), line }
    }

    fn of(finding: &Finding) -> Self {
        let Finding { lint, location, also, hint, .. } = finding;
        // What it says to write is written.
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

#[cfg(test)]
mod tests;
