//! `SeccompProfile` objects in files.

use anyhow::bail;

use crate::{
    group::{GROUP, PROFILE},
    position::Position,
    profile::DecodedProfile,
    yaml::{self, Document, Mistake},
};

/// A `SeccompProfile` in a file of YAML or JSON.
pub(super) struct Object {
    /// `metadata.name`.
    pub(super) name: String,
    /// Its source locations are those of the file.
    pub(super) profile: DecodedProfile,
}

const KIND: &str = PROFILE.kind;

/// The objects of a file; none if it is a profile itself.
///
/// # Errors
/// There are objects, and a part of the file cannot be read, or one has the kind of another group.
pub(super) fn all(name: &str, text: &[u8]) -> anyhow::Result<Vec<Object>> {
    let Some(text) = str::from_utf8(text).ok().filter(|it| it.contains(KIND)) else {
        return Ok(Vec::new());
    };
    let (mut objects, mut mistakes) = (Vec::new(), Vec::new());
    for document in yaml::documents(text) {
        match document {
            Err(it) => mistakes.push(it),
            Ok(it) => {
                let Some(version) = version(&it) else { continue };
                if version.split_once('/').map(|it| it.0) != Some(GROUP) {
                    let at = Position::of(it.span(it.root()).start, text.as_bytes());
                    let (line, column) = (at.line, at.column);
                    bail!(
                        "{name}:{line}:{column}: {KIND} of {version:?} is not one of callgate: \
                         give the profile in its spec as a file"
                    );
                }
                objects.push(Object {
                    name: string(&it, &["metadata", "name"]).unwrap_or_default().to_owned(),
                    profile: DecodedProfile::of_yaml(&it),
                });
            }
        }
    }
    let is_object = !objects.is_empty() || !text.trim_start().starts_with('{');
    match mistakes.first() {
        Some(Mistake { span, message }) if is_object => {
            let Position { line, column } = Position::of(span.start, text.as_bytes());
            bail!("{name}:{line}:{column}: {message}");
        }
        _ => Ok(objects),
    }
}

/// The version of a `SeccompProfile`.
fn version<'a>(document: &'a Document<'_>) -> Option<&'a str> {
    let kind = string(document, &["kind"])?;
    string(document, &["apiVersion"]).filter(|_| kind == KIND)
}

fn string<'a>(document: &'a Document<'_>, path: &[&str]) -> Option<&'a str> {
    document.text(document.at(document.root(), path)?)
}
