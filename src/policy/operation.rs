//! The operations of a JSON Patch (RFC 6902).

use serde::Serialize;
use serde_json::Value;

/// One operation of a JSON Patch.
///
/// A patch that does not apply fails the request, even with failure policy Ignore (R1). So there
/// is no `replace`, `add` only adds to objects that exist, and `remove` only removes what was
/// read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "op", rename_all = "lowercase")]
pub enum Operation {
    Add { path: String, value: Added },
    Remove { path: String },
}

/// What is added: a profile, within a new security context where there is none, or required node
/// affinity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Added {
    #[serde(rename_all = "camelCase")]
    Context {
        seccomp_profile: Declared,
    },
    Profile(Declared),
    Affinity(Value),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Declared {
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) localhost_profile: Option<String>,
}
