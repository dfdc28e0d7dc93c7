//! Converts a profile file into a `SeccompProfile`.
//!
//! The file may have the format of Docker or Podman, which add keys that runtimes
//! in Kubernetes drop (L2). The conversion resolves these keys, and the linter
//! checks the result.

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

use crate::{
    group::{API_VERSION, PROFILE},
    profile::{
        DecodedProfile, ObjectName,
        json::{Json, NodeId, Span},
        lints::{Finding, Severity, lint},
    },
};

/// The result of a conversion.
#[derive(Clone, Debug)]
pub struct Converted {
    /// In the order of the text.
    pub diagnostics: Vec<Diagnostic>,
    /// `None`, if one of the diagnostics is an error.
    pub spec: Option<Spec>,
}

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

/// The lint whose findings the conversion resolves.
const RESOLVED: &str = "docker-key";
/// The lint whose findings the conversion repairs.
const MENDED: &str = "key-case";

/// Converts a file for nodes such as `node`, for containers without added
/// capabilities.
///
/// # Errors
/// The result depends on a property of nodes that `node` leaves open.
pub fn convert(text: &[u8], node: Node) -> Result<Converted, Undecided> {
    let Ok(json) = Json::parse(text) else {
        let diagnostics = lint(text).iter().map(Diagnostic::of).collect();
        return Ok(Converted { diagnostics, spec: None });
    };
    let DecodedProfile { json, mut document, mismatches } = DecodedProfile::of(json);
    let extensions = Extensions::decode(&json);
    let mut resolver =
        Resolver { json: &json, node, diagnostics: Vec::new(), undecided: Undecided::default() };
    resolver.resolve(&mut document, &extensions);
    let reported: BTreeSet<_> = mismatches.iter().map(|it| it.node).collect();
    resolver
        .reject_mismatches(extensions.mismatches.iter().filter(|it| !reported.contains(&it.node)));

    let Resolver { mut diagnostics, undecided, .. } = resolver;
    if undecided != Undecided::default() {
        return Err(undecided);
    }
    diagnostics.extend(spec::excesses(&document, &json));
    let profile = DecodedProfile { json, document, mismatches };
    diagnostics
        .extend(profile.findings().iter().filter(|it| it.lint.id != RESOLVED).map(Diagnostic::of));
    diagnostics.sort_by_key(|it| it.span);
    let sound = diagnostics.iter().all(|it| it.level < DiagnosticLevel::Error);
    Ok(Converted { diagnostics, spec: sound.then(|| Spec::of(&profile.document)) })
}

/// The object for `kubectl apply`.
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
        api_version: API_VERSION,
        kind: PROFILE.kind,
        metadata: Metadata { name: name.as_str() },
        spec,
    }
}

impl Diagnostic {
    /// A diagnostic at a value's key or, if it has none, at the value.
    fn at(node: NodeId, json: &Json, level: DiagnosticLevel, message: &str) -> Self {
        let location = json.key_location(node);
        let separator = if location.path.is_empty() { "" } else { ": " };
        let line = format!("{}{separator}{message}", location.path);
        Self { level, span: location.span.unwrap_or_default(), also: Vec::new(), line }
    }

    fn of(finding: &Finding) -> Self {
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

#[cfg(test)]
mod tests;
