//! The kinds that hold pods, and where: Kubernetes' own and those of well-known controllers.

use serde::Deserialize;

use super::objects::Object;
use crate::{
    pod::Kind,
    yaml::{Document, NodeId, Type, documents},
};

/// Where a custom kind holds a pod template, or a pod.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct CustomKind {
    /// With or without the version.
    pub api_version: String,
    pub kind: String,
    /// The path of the pod template, such as `spec.template`; behind a list there is `[]`, behind a
    /// map `{}`. Empty if the object itself has the pod's `spec`.
    pub path: String,
}

/// Kinds whose templates are copied into pods as they are.
const WELL_KNOWN: &[(&str, &str, &[&str])] = &[
    ("agones.dev", "Fleet", &["spec.template.spec.template"]),
    ("agones.dev", "GameServer", &["spec.template"]),
    ("agones.dev", "GameServerSet", &["spec.template.spec.template"]),
    ("apps.kruise.io", "AdvancedCronJob", &["spec.template.jobTemplate.spec.template"]),
    ("apps.kruise.io", "BroadcastJob", &["spec.template"]),
    ("apps.kruise.io", "CloneSet", &["spec.template"]),
    ("apps.kruise.io", "DaemonSet", &["spec.template"]),
    ("apps.kruise.io", "StatefulSet", &["spec.template"]),
    ("apps.openshift.io", "DeploymentConfig", &["spec.template"]),
    ("argoproj.io", "Rollout", &["spec.template"]),
    ("batch.volcano.sh", "Job", &["spec.tasks[].template"]),
    ("jobset.x-k8s.io", "JobSet", &["spec.replicatedJobs[].template.spec.template"]),
    ("keda.sh", "ScaledJob", &["spec.jobTargetRef.template"]),
    ("kubeflow.org", "MPIJob", &["spec.mpiReplicaSpecs{}.template"]),
    ("kubeflow.org", "PyTorchJob", &["spec.pytorchReplicaSpecs{}.template"]),
    ("kubeflow.org", "TFJob", &["spec.tfReplicaSpecs{}.template"]),
    (
        "leaderworkerset.x-k8s.io",
        "LeaderWorkerSet",
        &["spec.leaderWorkerTemplate.leaderTemplate", "spec.leaderWorkerTemplate.workerTemplate"],
    ),
    ("ray.io", "RayCluster", &["spec.headGroupSpec.template", "spec.workerGroupSpecs[].template"]),
    (
        "ray.io",
        "RayJob",
        &[
            "spec.rayClusterSpec.headGroupSpec.template",
            "spec.rayClusterSpec.workerGroupSpecs[].template",
        ],
    ),
    (
        "ray.io",
        "RayService",
        &[
            "spec.rayClusterConfig.headGroupSpec.template",
            "spec.rayClusterConfig.workerGroupSpecs[].template",
        ],
    ),
    ("serving.knative.dev", "Configuration", &["spec.template"]),
    ("serving.knative.dev", "Revision", &[""]),
    ("serving.knative.dev", "Service", &["spec.template"]),
];

/// A pod, or the template of one, within an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PodAt {
    /// The kind by whose words findings are reported.
    pub(super) kind: Kind,
    /// The path of the pod in the object, to prefix `spec` and `metadata`.
    pub(super) prefix: String,
    pub(super) node: NodeId,
}

impl CustomKind {
    /// Reads a file of kinds: a list, in YAML or JSON.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(text: &str) -> Result<Vec<Self>, String> {
        let mut all = Vec::new();
        for document in documents(text) {
            let document = document.map_err(|it| it.message)?;
            let json = document.json(document.root());
            let kinds: Vec<Self> = serde_json::from_str(&json).map_err(|it| it.to_string())?;
            all.extend(kinds);
        }
        Ok(all)
    }

    fn is_of(&self, object: &Object<'_>) -> bool {
        let group = self.api_version.split('/').next().unwrap_or_default();
        let is_core = !self.api_version.contains(['/', '.']);
        self.kind == object.kind && if is_core { "" } else { group } == object.group()
    }
}

/// The pods of an object; none if it holds none.
pub(super) fn pods(object: &Object<'_>, custom: &[CustomKind]) -> Vec<PodAt> {
    let own =
        Kind::ALL.into_iter().find(|it| it.group() == object.group() && it.name() == object.kind);
    if let Some(kind) = own {
        return found(object, kind.prefix().trim_end_matches('.'));
    }
    let custom = custom.iter().filter(|it| it.is_of(object)).map(|it| it.path.as_str());
    let known = WELL_KNOWN.iter().filter(|it| it.0 == object.group() && it.1 == object.kind);
    let mut paths: Vec<_> = custom.collect();
    if paths.is_empty() {
        paths = known.flat_map(|it| it.2).copied().collect();
    }
    paths.into_iter().flat_map(|it| found(object, it)).collect()
}

fn found(object: &Object<'_>, path: &str) -> Vec<PodAt> {
    let mut places = vec![(String::new(), object.node)];
    for step in path.split_terminator('.') {
        places = places
            .into_iter()
            .flat_map(|(prefix, node)| inner(object.document, &prefix, node, step))
            .collect();
    }
    let places = places.into_iter().filter(|it| object.document.type_of(it.1) != Type::Null);
    places.map(|(prefix, node)| PodAt { kind: words_of(&prefix), prefix, node }).collect()
}

fn inner(document: &Document<'_>, prefix: &str, node: NodeId, step: &str) -> Vec<(String, NodeId)> {
    let key = step.trim_end_matches("[]").trim_end_matches("{}");
    let Some(entry) = document.field(node, key) else { return Vec::new() };
    let prefix = format!("{prefix}{key}");
    if step.ends_with("[]") {
        let items = document.items(entry.value).iter().enumerate();
        return items.map(|(at, it)| (format!("{prefix}[{at}]."), *it)).collect();
    }
    if step.ends_with("{}") {
        let entries = document.entries(entry.value);
        return entries.iter().map(|it| (format!("{prefix}.{}.", it.key), it.value)).collect();
    }
    vec![(prefix + ".", entry.value)]
}

/// The kind whose pods are at the same path, or one with a template at least.
fn words_of(prefix: &str) -> Kind {
    match prefix {
        "" => Kind::Pod,
        "template." => Kind::PodTemplate,
        "spec.jobTemplate.spec.template." => Kind::CronJob,
        _ => Kind::Deployment,
    }
}
