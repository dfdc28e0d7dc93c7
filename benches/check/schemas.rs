//! The JSON Schemas of the kinds that the manifests have, of the types of k8s-openapi.

use k8s_openapi::api::{
    apps::v1::{DaemonSet, Deployment, StatefulSet},
    batch::v1::CronJob,
    core::v1::Pod,
};
use schemars::generate::SchemaSettings;
use serde_json::Value;

/// The schemas, by the names under which kubeconform looks for them.
pub(crate) fn all() -> Vec<(&'static str, Value)> {
    let generator = || SchemaSettings::draft07().into_generator();
    let schemas = [
        ("pod-v1", generator().into_root_schema_for::<Pod>()),
        ("deployment-apps-v1", generator().into_root_schema_for::<Deployment>()),
        ("statefulset-apps-v1", generator().into_root_schema_for::<StatefulSet>()),
        ("daemonset-apps-v1", generator().into_root_schema_for::<DaemonSet>()),
        ("cronjob-batch-v1", generator().into_root_schema_for::<CronJob>()),
    ];
    schemas.map(|(name, schema)| (name, schema.to_value())).into()
}
