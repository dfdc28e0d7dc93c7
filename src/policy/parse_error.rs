//! Why a text is not a policy, in words for its author.

use serde_saphyr::{MessageFormatter, UserMessageFormatter};

use crate::spelling;

/// Why a text is not a policy, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{message}", at(*.position))]
pub struct PolicyError {
    /// Line and column, from 1, where they are known.
    pub position: Option<(u64, u64)>,
    pub message: String,
}

impl From<serde_saphyr::Error> for PolicyError {
    fn from(error: serde_saphyr::Error) -> Self {
        let position = error.location().map(|it| (it.line(), it.column()));
        Self { position, message: in_one_line(&error) }
    }
}

/// What is wrong, for the author of the text: without the excerpt and the advice to programmers
/// that the library adds.
#[expect(clippy::wildcard_enum_match_arm, reason = "the library has a word for the others")]
fn in_one_line(error: &serde_saphyr::Error) -> String {
    use serde_saphyr::Error as E;
    match error {
        E::WithSnippet { error, .. } | E::AliasError { error, .. } => in_one_line(error),
        E::SerdeUnknownField { field, expected, .. } => {
            format!("there is no field {field:?}, {}", instead_of(field, expected))
        }
        E::SerdeUnknownVariant { variant, expected, .. } if variant == "~" => {
            format!("nothing is written here, expected {}", expected.join(", "))
        }
        E::SerdeUnknownVariant { variant, expected, .. } => {
            format!("{variant:?} is not allowed here, {}", instead_of(variant, expected))
        }
        E::SerdeMissingField { field, .. } => format!("the field {field:?} is missing"),
        E::DuplicateMappingKey { key: Some(key), .. } => format!("the key {key:?} is there twice"),
        E::MultipleDocuments { .. } => "there is more than one document, write one".to_owned(),
        E::Eof { .. } => "the text ends where something is expected".to_owned(),
        E::Unexpected { expected: "mapping start", .. } => "expected a mapping".to_owned(),
        E::Unexpected { expected: "sequence start", .. } => "expected a list".to_owned(),
        E::ExternallyTaggedEnumExpectedScalarOrMapping { .. } => "expected a word".to_owned(),
        E::Budget { .. } => "this is too large or nested too deeply for a policy".to_owned(),
        E::UnknownAnchor { .. } => "the alias has no anchor".to_owned(),
        other => UserMessageFormatter.format_message(other).replace('\n', " "),
    }
}

fn instead_of(written: &str, allowed: &[&str]) -> String {
    match spelling::nearest(written, allowed.iter().copied()) {
        Some(near) => format!("did you mean {near:?}?"),
        None => format!("expected {}", allowed.join(", ")),
    }
}

fn at(position: Option<(u64, u64)>) -> String {
    position.map(|(line, column)| format!("{line}:{column}: ")).unwrap_or_default()
}
