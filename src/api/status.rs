//! What callgate reports about an object.

#![expect(unreachable_pub, reason = "KubeSchema writes every type again inside of a function")]

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// What callgate reports about the object.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// The condition `Accepted`: whether callgate can read and apply the object, and if not, why. With
    /// the component in-process, a policy also has `Compiled`: whether the API server itself sets its
    /// profiles, and what is left to the webhook.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".to_owned()]))]
    #[schemars(length(max = 8))]
    pub conditions: Vec<Condition>,
}
