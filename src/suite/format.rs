//! The format of a file of tests. The comments are the descriptions in its JSON Schema.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::case::Case;
use crate::{policy::Mode, profile::ProfilePath};

/// Tests of policies: for each object the answer that the API server is expected to give.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(title = "callgate test")]
pub struct Suite {
    /// Files with objects that decide about others, relative to this file: `SeccompPolicy`,
    /// `SeccompProfile`, Namespace, Node, `SeccompNode` and `RuntimeClass`, as kubectl prints them.
    /// A pattern such as `policies/*.yaml` stands for all that match.
    #[serde(default)]
    pub files: Vec<String>,
    /// A directory of profiles that pods may name in localhostProfile, relative to this file, laid
    /// out as the kubelet's seccomp directory.
    #[serde(default)]
    pub seccomp_directory: Option<String>,
    /// The day by which exemptions end, such as 2027-03-01; if unset, the day of the test. In
    /// strings, `<today>`, `<yesterday>`, `<a year ago>` and `<in a year>` stand for days.
    #[serde(default)]
    pub day: Option<String>,
    /// The namespace of the objects that name none; if unset, default.
    #[serde(default)]
    pub namespace: Option<String>,
    /// The value of `unmutated` in cases that do not have it.
    #[serde(default)]
    pub unmutated: bool,
    /// Policies beside those in files: the `spec` of a `SeccompPolicy`, by name.
    #[serde(default)]
    pub policies: BTreeMap<String, Value>,
    /// The labels of namespaces beside those in files.
    #[serde(default)]
    pub namespaces: BTreeMap<String, BTreeMap<String, String>>,
    /// Contents of profile files beside those in the directory, by their path in it.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, String>")]
    pub profiles: BTreeMap<ProfilePath, String>,
    /// Profiles that agents write to the nodes, beside those in files: the JSON of the `spec` of a
    /// `SeccompProfile`, by name.
    #[serde(default)]
    pub managed: BTreeMap<String, String>,
    /// Runtime classes beside those in files: the handler by the name of the class. If there is
    /// none at all, the runtime class of a pod is not judged.
    #[serde(default)]
    pub classes: BTreeMap<String, String>,
    /// The tests.
    #[schemars(length(min = 1))]
    pub cases: Vec<Case>,
    /// What the files hold, and the day.
    #[serde(skip)]
    pub around: super::Around,
}

/// The part of a pod that an update changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Changes {
    /// Debug containers, by pods/ephemeralcontainers.
    #[default]
    Debug,
    /// Images or metadata, by pods.
    Pod,
}

/// A node, and the report of its agent.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CaseNode {
    /// The labels of the node.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// The taints of the node.
    #[serde(default)]
    pub taints: Vec<CaseTaint>,
    /// Whether the node is cordoned.
    #[serde(default)]
    pub unschedulable: bool,
    /// The profile files that its agent reports, by path; if unset, the node has no agent.
    #[serde(default)]
    #[schemars(with = "Option<BTreeMap<String, CaseFile>>")]
    pub profiles: Option<BTreeMap<ProfilePath, CaseFile>>,
    /// How many more files there are, which the report does not list.
    #[serde(default)]
    pub unlisted: usize,
}

/// A taint of a node.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CaseTaint {
    /// The key of the taint.
    pub key: String,
    /// The value of the taint.
    #[serde(default)]
    pub value: String,
    /// `NoSchedule`, `PreferNoSchedule` or `NoExecute`.
    pub effect: String,
}

/// A profile file on a node, as its agent reports it.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CaseFile {
    /// The first digits of the SHA-256 digest, or `current`: the digest of the file that agents
    /// write for the profile of that name.
    #[serde(default)]
    pub digest: Option<String>,
    /// Why no runtime can use it, or why it filters nothing, in the words of a `SeccompNode`.
    #[serde(default)]
    pub problem: Option<String>,
    /// What is doubtful about it, in the words of a `SeccompNode`.
    #[serde(default)]
    pub doubt: Option<String>,
}

/// What a policy does in a namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum CaseMode {
    /// Pods are changed and denied.
    Enforce,
    /// Denials become warnings.
    Warn,
    /// Denials and warnings are only recorded.
    Audit,
}

/// What a real API server does by itself, before it calls a webhook.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Server {
    /// It rejects the object by its own validation, with a message that contains this.
    Refuses(String),
    /// It cannot be asked about the case, for the given reason.
    Unasked(String),
}

/// A manifest that holds the object of a case.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The file, relative to this one.
    pub file: String,
    /// The kind of the object; needed if the file holds several objects with pods.
    #[serde(default)]
    pub kind: Option<String>,
    /// The name of the object; needed if the file holds several of its kind.
    #[serde(default)]
    pub name: Option<String>,
}

impl From<CaseMode> for Mode {
    fn from(mode: CaseMode) -> Self {
        match mode {
            CaseMode::Enforce => Self::Enforce,
            CaseMode::Warn => Self::Warn,
            CaseMode::Audit => Self::Audit,
        }
    }
}

impl From<Mode> for CaseMode {
    fn from(mode: Mode) -> Self {
        match mode {
            Mode::Enforce => Self::Enforce,
            Mode::Warn => Self::Warn,
            Mode::Audit => Self::Audit,
        }
    }
}
