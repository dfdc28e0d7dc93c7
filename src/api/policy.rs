//! `SeccompPolicy`.

#![expect(unreachable_pub, reason = "KubeSchema writes every type again inside of a function")]

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Status;

/// What the policy sets, checks and exempts.
#[derive(CustomResource, KubeSchema, Clone, Debug, Default, Deserialize, Serialize)]
#[kube(
    group = "callgate.dev",
    version = "v1alpha1",
    kind = "SeccompPolicy",
    plural = "seccomppolicies",
    shortname = "scpol",
    category = "callgate",
    doc = "What callgate demands of the pods of the namespaces that name this policy in their label callgate.dev/policy, and which profile it sets where a pod names none.",
    status = "Status",
    printcolumn(
        name = "Default",
        type_ = "string",
        json_path = ".spec.default.type",
        description = "Type of the profile that is set where a pod names none"
    ),
    printcolumn(name = "Templates", type_ = "string", json_path = ".spec.templates"),
    printcolumn(
        name = "Accepted",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Accepted\")].status",
        description = "Whether callgate can read and apply the policy"
    ),
    printcolumn(
        name = "Compiled",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Compiled\")].status",
        description = "Whether the API server itself sets its profiles, with the component in-process",
        priority = 1
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    validation = Rule::new("!(self.metadata.name in ['baseline', 'restricted'])")
        .message("baseline and restricted are built in, choose another name"),
    validation = Rule::new("self.metadata.name.matches('^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$')")
        .message("at most 63 lower case letters, digits and hyphens: the name is the value of a label")
)]
#[serde(rename_all = "camelCase")]
pub struct SeccompPolicySpec {
    /// The profile that is set for pods that name none; if unset, no profile is set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default: Option<InjectedProfile>,

    /// Profiles for the pods that a selector selects. The first binding that selects a pod counts,
    /// and replaces `default` for it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256))]
    pub bindings: Vec<Binding>,

    /// How the nodes count on which a pod can be scheduled: `Check` compares its profile with the
    /// inventory of those nodes, `Pin` does so and adds a node affinity for nodes that have the
    /// profile, `Ignore` looks at the catalog alone.
    #[serde(default)]
    pub placement: Placement,

    /// The handlers of `RuntimeClass` objects that apply seccomp profiles; if unset, `runc` and
    /// `crun`. An empty list means that none does.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64), inner(regex(pattern = r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$")))]
    pub runtime_handlers: Option<Vec<String>>,

    /// What happens to a template whose pods would be denied: `Warn` stores it with a warning,
    /// `Deny` denies it, `Ignore` does not judge templates.
    #[serde(default)]
    pub templates: Templates,

    /// The level of rules by their id; a rule that is not listed has its default level. See
    /// `callgate explain RULE`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 64))]
    #[x_kube(validation = Rule::new(
        "self.all(rule, rule in ['privileged', 'unset', 'unconfined', 'unknown-type', 'invalid-path', 'missing-profile', 'partial-profile', 'hollow-profile', 'faulty-profile', 'runtime-class', 'legacy-annotation'])"
    ).message("there is no such rule; `callgate explain` lists them"))]
    pub rules: BTreeMap<String, Level>,

    /// Exemptions from rules. An exempt finding becomes an audit annotation.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".to_owned()]))]
    pub exemptions: Vec<Exemption>,
}

/// A profile that a policy sets.
#[derive(KubeSchema, Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("(self.type == 'Localhost') == has(self.localhostProfile)")
    .message("localhostProfile goes with type Localhost, and only with it"))]
pub struct InjectedProfile {
    /// The type of the profile.
    #[serde(rename = "type")]
    pub kind: InjectedType,
    /// The path of the profile, relative to the kubelet's seccomp directory and normalised (no
    /// `./`, `../` or `//`). Required for type `Localhost`, forbidden for others.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub localhost_profile: Option<String>,
}

#[derive(JsonSchema, Clone, Copy, Debug, Deserialize, Serialize)]
pub enum InjectedType {
    RuntimeDefault,
    Localhost,
}

/// A profile for some pods.
#[derive(JsonSchema, Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Binding {
    /// Selects pods by their labels; `{}` selects every pod.
    pub pod_selector: LabelSelector,
    /// The profile that is set for these pods if they name none.
    pub profile: InjectedProfile,
}

/// How the nodes count on which a pod can be scheduled.
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

/// What a finding of the rule leads to. `Off` needs quotes in YAML.
#[derive(JsonSchema, Clone, Copy, Debug, Deserialize, Serialize)]
pub enum Level {
    Deny,
    Warn,
    Audit,
    Off,
}

/// Allows some pods what a rule would deny.
#[derive(KubeSchema, Clone, Debug, Deserialize, Serialize)]
pub struct Exemption {
    /// A name that no other exemption of the policy has; it stands in audit annotations.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Why the exemption exists.
    #[schemars(length(min = 1, max = 1024))]
    pub reason: String,
    /// The person or team to ask about it; messages name it once the exemption has expired.
    #[schemars(length(min = 1, max = 253))]
    pub owner: String,
    /// The last day on which it applies, in UTC, such as `2027-03-01`; if unset, it does not expire.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"))]
    pub expires: Option<String>,
    /// The ids of the rules that do not count.
    #[schemars(length(min = 1, max = 64))]
    pub rules: Vec<String>,
    /// The pods and containers that are exempt: all lists that are set must hold a match, and at
    /// least one must be set.
    #[serde(rename = "match")]
    pub scope: Match,
}

/// The pods and containers that an exemption is for.
#[derive(KubeSchema, Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new(
    "has(self.namespaces) || has(self.serviceAccounts) || has(self.containers) || has(self.images)"
).message("an exemption must match something"),
validation = Rule::new("!has(self.serviceAccounts) || has(self.namespaces)")
    .message("serviceAccounts need namespaces beside them"))]
pub struct Match {
    /// Names of namespaces; if unset, all namespaces.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub namespaces: Option<Vec<String>>,
    /// Names of service accounts of these namespaces; if unset, all service accounts.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub service_accounts: Option<Vec<String>>,
    /// Names of containers, init containers and ephemeral containers; if unset, all containers.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub containers: Option<Vec<String>>,
    /// Patterns of images in which `*` stands for any text, compared with the image as the pod
    /// writes it; if unset, all images.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub images: Option<Vec<String>>,
}
