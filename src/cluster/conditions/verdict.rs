//! The verdict on an object, as a condition.

use serde_json::Value;

use crate::{
    cluster::{cut, read},
    policy::{Builtin, MOST_LINES},
    profile::{DecodedProfile, Defect, errors},
};

/// In bytes. A longer message is cut.
const LONGEST: usize = 4096;

/// The condition without its times and generation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    /// `True` or `False`.
    pub(super) status: &'static str,
    pub(super) reason: &'static str,
    pub(super) message: String,
}

/// The condition that an object is to have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    Is(Verdict),
    /// None: one that is there was written by other replicas.
    Nothing,
    /// It is not known yet.
    Unknown,
}

impl Verdict {
    pub(super) fn new(status: &'static str, reason: &'static str, message: &str) -> Self {
        Self { status, reason, message: cut(message, LONGEST).to_owned() }
    }

    fn yes(reason: &'static str, message: impl Into<String>) -> Self {
        Self::new("True", reason, &message.into())
    }

    pub(super) fn no(message: impl Into<String>) -> Self {
        Self::new("False", "Invalid", &message.into())
    }

    /// Reads the policy with the same code that applies it to namespaces.
    pub(super) fn of_policy(object: &Value) -> Self {
        match read::policy_of(object) {
            Err(why) => Self::no(why),
            Ok(it) if Builtin::named(it.policy.name()).is_some() => {
                Self::no("the name is that of a built-in policy, which is obeyed instead")
            }
            Ok(it) if it.unknown.is_empty() => Self::yes("Valid", "namespaces can obey it"),
            Ok(it) => Self::yes(
                "UnknownFields",
                format!(
                    "namespaces can obey it, without what this version does not know: {}",
                    it.unknown.join("; ")
                ),
            ),
        }
    }

    /// Checks the profile with the linter that runs at admission, and against the runtime that it
    /// is for.
    pub(super) fn of_profile(object: &Value, name: &str) -> Self {
        let profile = DecodedProfile::of_object(object);
        let path = format!("callgate/{name}.json");
        if let Some(lines) = errors(&profile.findings(), MOST_LINES) {
            return Self::no(format!("it is not one to run under:{lines}"));
        }
        match profile.defect() {
            Some(Defect::Broken(why)) => Self::no(format!("no runtime can load it: {why}")),
            Some(Defect::Hollow(why)) => {
                Self::yes("Hollow", format!("{path:?} stops nothing: {why}"))
            }
            // The linter has reported this already.
            None | Some(Defect::Doubtful(_)) => {
                Self::yes("Valid", format!("pods can name it {path:?}"))
            }
        }
    }
}
