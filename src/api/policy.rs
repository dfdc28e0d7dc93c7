//! `SeccompPolicy`.

#![expect(unreachable_pub, reason = "KubeSchema writes every type again inside of a function")]

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Status;

/// What a namespace demands of its pods, and what it gives them.
#[derive(CustomResource, KubeSchema, Clone, Debug, Default, Deserialize, Serialize)]
#[kube(
    group = "callgate.dev",
    version = "v1alpha1",
    kind = "SeccompPolicy",
    plural = "seccomppolicies",
    shortname = "scpol",
    category = "callgate",
    status = "Status",
    printcolumn(
        name = "Default",
        type_ = "string",
        json_path = ".spec.default.type",
        description = "What is injected where nothing is set"
    ),
    printcolumn(name = "Templates", type_ = "string", json_path = ".spec.templates"),
    printcolumn(
        name = "Accepted",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Accepted\")].status",
        description = "Whether callgate can make something of it"
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    validation = Rule::new("!(self.metadata.name in ['baseline', 'restricted'])")
        .message("baseline and restricted are built in, choose another name"),
    validation = Rule::new("self.metadata.name.matches('^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$')")
        .message("at most 63 lower case letters, digits and hyphens: the name is the value of a label")
)]
#[serde(rename_all = "camelCase")]
pub struct SeccompPolicySpec {
    /// Injected into pods where nothing is set; left out, nothing is injected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default: Option<InjectedProfile>,

    /// The first binding that selects a pod wins over the default.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256))]
    pub bindings: Vec<Binding>,

    /// What is made of the nodes that a pod can land on.
    #[serde(default)]
    pub placement: Placement,

    /// The runtime handlers that apply seccomp profiles; left out, `runc` and `crun`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64), inner(regex(pattern = r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$")))]
    pub runtime_handlers: Option<Vec<String>>,

    /// What a pod template leads to that makes pods which will be refused.
    #[serde(default)]
    pub templates: Templates,

    /// The level of each rule; a rule that is left out has its own.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 64))]
    #[x_kube(validation = Rule::new(
        "self.all(rule, rule in ['privileged', 'unset', 'unconfined', 'unknown-type', 'invalid-path', 'missing-profile', 'partial-profile', 'hollow-profile', 'faulty-profile', 'runtime-class', 'legacy-annotation'])"
    ).message("there is no such rule; `callgate explain` lists them"))]
    pub rules: BTreeMap<String, Level>,

    /// Who is let off, from what, why, and until when.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".to_owned()]))]
    pub exemptions: Vec<Exemption>,
}

/// A profile that is injected.
#[derive(KubeSchema, Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("(self.type == 'Localhost') == has(self.localhostProfile)")
    .message("localhostProfile goes with type Localhost, and only with it"))]
pub struct InjectedProfile {
    #[serde(rename = "type")]
    pub kind: InjectedType,
    /// Relative to the kubelet's seccomp directory, in its shortest form.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub localhost_profile: Option<String>,
}

#[derive(JsonSchema, Clone, Copy, Debug, Deserialize, Serialize)]
pub enum InjectedType {
    RuntimeDefault,
    Localhost,
}

/// A profile for the pods that a selector selects.
#[derive(JsonSchema, Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Binding {
    pub pod_selector: LabelSelector,
    pub profile: InjectedProfile,
}

/// `Check` looks at them, `Pin` also keeps pods to nodes that have the profile,
/// `Ignore` does neither.
#[derive(JsonSchema, Clone, Copy, Debug, Default, Deserialize, Serialize)]
pub enum Placement {
    #[default]
    Check,
    Pin,
    Ignore,
}

#[derive(JsonSchema, Clone, Copy, Debug, Default, Deserialize, Serialize)]
pub enum Templates {
    #[default]
    Warn,
    Deny,
    Ignore,
}

/// In YAML, `Off` needs quotes.
#[derive(JsonSchema, Clone, Copy, Debug, Deserialize, Serialize)]
pub enum Level {
    Deny,
    Warn,
    Audit,
    Off,
}

/// Lets something pass that a rule would object to.
#[derive(KubeSchema, Clone, Debug, Deserialize, Serialize)]
pub struct Exemption {
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    #[schemars(length(min = 1, max = 1024))]
    pub reason: String,
    /// Whom to ask.
    #[schemars(length(min = 1, max = 253))]
    pub owner: String,
    /// The last day on which it applies, in UTC; left out, it never ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"))]
    pub expires: Option<String>,
    /// The rules that it is an exemption from.
    #[schemars(length(min = 1, max = 64))]
    pub rules: Vec<String>,
    #[serde(rename = "match")]
    pub scope: Match,
}

/// Every list that is given must hold a match.
#[derive(KubeSchema, Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new(
    "has(self.namespaces) || has(self.serviceAccounts) || has(self.containers) || has(self.images)"
).message("an exemption must match something"),
validation = Rule::new("!has(self.serviceAccounts) || has(self.namespaces)")
    .message("serviceAccounts need namespaces beside them"))]
pub struct Match {
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub namespaces: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub service_accounts: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub containers: Option<Vec<String>>,
    /// Patterns in which `*` stands for any text.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub images: Option<Vec<String>>,
}
