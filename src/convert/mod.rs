//! Converts a profile file into a `SeccompProfile`.
//!
//! The file may have the format of Docker or Podman, which add keys that runtimes
//! in Kubernetes drop (L2). The conversion resolves these keys, and the linter
//! checks the result.

mod diagnostic;
mod errno;
mod extensions;
mod node;
mod resolve;
mod spec;

use std::collections::BTreeSet;

pub use diagnostic::{Diagnostic, DiagnosticLevel, Undecided};
use extensions::Extensions;
pub use node::{Architecture, Kernel, Node, NotANode};
use resolve::Resolver;
use serde::Serialize;
pub use spec::Spec;

use crate::{
    group::{API_VERSION, PROFILE},
    profile::{DecodedProfile, Finding, ObjectName, Target, json::Json, lints::lint},
};

/// The result of a conversion.
#[derive(Clone, Debug)]
pub struct Converted {
    /// In the order of the text.
    pub diagnostics: Vec<Diagnostic>,
    /// `None`, if one of the diagnostics is an error.
    pub spec: Option<Spec>,
}

/// The name of an error of the kernel.
pub(crate) fn error_name(number: u16) -> Option<&'static str> {
    errno::name_of(number.into())
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

/// Lints a file for runtimes that resolve the keys of Docker and Podman themselves, such as CRI-O,
/// which has no regard for `minKernel`.
///
/// # Errors
/// The result depends on the architecture of the nodes, and `target` leaves it open.
pub fn lint_resolved(text: &[u8], target: &Target) -> Result<Vec<Finding>, Undecided> {
    let Ok(json) = Json::parse(text) else {
        return Ok(lint(text));
    };
    let DecodedProfile { json, mut document, mismatches } = DecodedProfile::of(json);
    let extensions = Extensions::decode(&json);
    let architecture = target.architecture.and_then(|it| it.node().parse().ok());
    let node = Node { architecture, kernel: Some(Kernel::NEWEST) };
    let mut resolver =
        Resolver { json: &json, node, diagnostics: Vec::new(), undecided: Undecided::default() };
    resolver.resolve(&mut document, &extensions);
    let Resolver { undecided, .. } = resolver;
    if undecided != Undecided::default() {
        return Err(undecided);
    }
    let target = Target { resolves_keys: true, ..*target };
    Ok(DecodedProfile { json, document, mismatches }.findings_for(&target))
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

#[cfg(test)]
mod tests;
