//! What a rule finds, and the way out.

use crate::{
    policy::{FieldPath, Level, Rule},
    profile::ProfilePath,
};

/// What one rule says of one field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub message: String,
    /// The way out for the author of the pod.
    pub hint: Option<Hint>,
    pub fix: Option<Fix>,
    /// Its highest level, whatever level the policy sets for the rule.
    pub limit: Level,
}

/// A way out. It is worded only for findings that are reported: a search for
/// similar names takes time, and a pod has room for tens of thousands of findings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hint {
    Text(String),
    /// What to do; a denial adds that one can ask for an exemption.
    OrExemption(&'static str),
    /// Set a profile.
    SetProfile,
    /// The profile with the most similar path, or else what to do.
    SimilarProfile(ProfilePath, &'static str),
    /// The runtime class with the most similar name, if one is similar.
    SimilarRuntimeClass(String),
}

/// A change that makes a finding go away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fix {
    /// Set the profile that the policy names for this pod.
    Inject,
    /// Remove the annotation.
    RemoveAnnotation,
    /// Pin the pod to nodes that have this profile.
    Pin(ProfilePath),
}

/// A finding, the rule that made it, and the field that it is about.
pub struct Found<'a> {
    pub rule: &'static Rule,
    pub field: FieldPath<'a>,
    pub finding: Finding,
}

// === impl Finding ===

impl Finding {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None, fix: None, limit: Level::Deny }
    }

    pub(super) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(Hint::Text(hint.into())), ..self }
    }

    pub(super) fn way_out(self, hint: Hint) -> Self {
        Self { hint: Some(hint), ..self }
    }

    pub(super) fn fix(self, fix: Fix) -> Self {
        Self { fix: Some(fix), ..self }
    }

    /// The same, as a warning at most.
    pub(super) fn only_warns(self) -> Self {
        Self { limit: Level::Warn, ..self }
    }
}

// === impl Fix ===

impl Fix {
    /// The profile for which the pod is to be pinned.
    pub(super) fn pinned(&self) -> Option<ProfilePath> {
        match self {
            Self::Pin(path) => Some(path.clone()),
            Self::Inject | Self::RemoveAnnotation => None,
        }
    }
}
