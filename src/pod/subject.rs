//! The kinds of objects that hold a pod spec, and its path in each (S21).

use serde::{Deserialize, Deserializer, de::Error};

use crate::{
    json::{objects, within_bounds},
    pod::{Pod, view::Metadata},
};

/// Pods, and the kinds with a pod template.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    Pod,
    PodTemplate,
    ReplicationController,
    ReplicaSet,
    Deployment,
    StatefulSet,
    DaemonSet,
    Job,
    CronJob,
}

/// An object to evaluate: a pod, or one with a pod template.
#[derive(Debug)]
pub struct Subject<'a> {
    pub kind: Kind,
    /// The name of the object itself.
    pub name: Option<String>,
    pub pod: Pod<'a>,
}

impl Kind {
    pub const ALL: [Self; 9] = [
        Self::Pod,
        Self::PodTemplate,
        Self::ReplicationController,
        Self::ReplicaSet,
        Self::Deployment,
        Self::StatefulSet,
        Self::DaemonSet,
        Self::Job,
        Self::CronJob,
    ];

    /// The kind of an API resource; `None` if it holds no pod spec.
    ///
    /// The group counts, since a CRD may define another `deployments`.
    pub fn of_resource(group: &str, resource: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.group() == group && it.resource() == resource)
    }

    pub fn group(self) -> &'static str {
        match self {
            Self::Pod | Self::PodTemplate | Self::ReplicationController => "",
            Self::ReplicaSet | Self::Deployment | Self::StatefulSet | Self::DaemonSet => "apps",
            Self::Job | Self::CronJob => "batch",
        }
    }

    pub fn resource(self) -> &'static str {
        match self {
            Self::Pod => "pods",
            Self::PodTemplate => "podtemplates",
            Self::ReplicationController => "replicationcontrollers",
            Self::ReplicaSet => "replicasets",
            Self::Deployment => "deployments",
            Self::StatefulSet => "statefulsets",
            Self::DaemonSet => "daemonsets",
            Self::Job => "jobs",
            Self::CronJob => "cronjobs",
        }
    }

    /// The `kind` of an object.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pod => "Pod",
            Self::PodTemplate => "PodTemplate",
            Self::ReplicationController => "ReplicationController",
            Self::ReplicaSet => "ReplicaSet",
            Self::Deployment => "Deployment",
            Self::StatefulSet => "StatefulSet",
            Self::DaemonSet => "DaemonSet",
            Self::Job => "Job",
            Self::CronJob => "CronJob",
        }
    }

    /// Whether the kind has a pod template.
    pub fn is_template(self) -> bool {
        self != Self::Pod
    }

    /// The singular name of the resource, for messages.
    pub fn noun(self) -> &'static str {
        let plural = self.resource();
        plural.strip_suffix('s').unwrap_or(plural)
    }

    /// The path of the pod template in the object, to prefix `spec` and `metadata`.
    pub fn prefix(self) -> &'static str {
        match self {
            Self::Pod => "",
            Self::PodTemplate => "template.",
            Self::CronJob => "spec.jobTemplate.spec.template.",
            _ => "spec.template.",
        }
    }

    /// Reads an object of this kind; `None` if it lacks a template.
    pub fn read<'de, D: Deserializer<'de>>(
        self,
        deserializer: D,
    ) -> Result<Option<Subject<'de>>, D::Error> {
        let (name, pod) = match self {
            Self::Pod => {
                let pod = Option::<Pod<'_>>::deserialize(deserializer)?;
                let name = pod.as_ref().and_then(|it| it.name().map(str::to_owned));
                (name, pod)
            }
            Self::PodTemplate => {
                let Templated { metadata, template } = Templated::deserialize(deserializer)?;
                (name_of(metadata.as_ref()), template)
            }
            Self::CronJob => {
                let CronJob { metadata, spec } = CronJob::deserialize(deserializer)?;
                let job = spec.and_then(|it| it.job_template).and_then(|it| it.spec);
                (name_of(metadata.as_ref()), job.and_then(|it| it.template))
            }
            _ => {
                let Workload { metadata, spec } = Workload::deserialize(deserializer)?;
                (name_of(metadata.as_ref()), spec.and_then(|it| it.template))
            }
        };
        // Each list may be within bounds while their sum is not.
        within_bounds(pod.as_ref().map_or(0, |it| it.containers().count())).map_err(
            |it: D::Error| D::Error::custom(format_args!("of all containers together, {it}")),
        )?;
        Ok(pod.map(|pod| Subject { kind: self, name, pod }))
    }
}

fn name_of(metadata: Option<&Metadata<'_>>) -> Option<String> {
    metadata.and_then(Metadata::name).map(str::to_owned)
}

objects! {
    /// An object with a `template`: a `PodTemplate`, or the spec of a workload.
    struct Templated<'a> {
        metadata("metadata"): Metadata<'a>,
        template("template"): Pod<'a>,
    }

    struct Workload<'a> {
        metadata("metadata"): Metadata<'a>,
        spec("spec"): Templated<'a>,
    }

    struct CronJob<'a> {
        metadata("metadata"): Metadata<'a>,
        spec("spec"): CronJobSpec<'a>,
    }

    struct CronJobSpec<'a> {
        job_template("jobTemplate"): JobTemplate<'a>,
    }

    struct JobTemplate<'a> {
        spec("spec"): Templated<'a>,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_found_by_its_resource_and_by_no_other() {
        for kind in Kind::ALL {
            assert_eq!(Kind::of_resource(kind.group(), kind.resource()), Some(kind));
        }
        assert_eq!(Kind::of_resource("example.com", "deployments"), None);
        assert_eq!(Kind::of_resource("", "configmaps"), None);
    }

    #[test]
    fn every_kind_reads_the_pod_at_its_prefix() {
        for kind in Kind::ALL {
            let mut object = r#"{"spec": {"serviceAccountName": "robot"}}"#.to_owned();
            for field in kind.prefix().split_terminator('.').rev() {
                object = format!(r#"{{"{field}": {object}}}"#);
            }
            let subject =
                kind.read(&mut serde_json::Deserializer::from_str(&object)).unwrap().unwrap();
            assert_eq!(subject.pod.service_account(), "robot", "{kind:?}: {object}");
        }
    }

    #[test]
    fn a_template_may_be_left_out() {
        let object = r#"{"metadata": {"name": "old"}, "spec": {"replicas": 0}}"#;
        let read =
            Kind::ReplicationController.read(&mut serde_json::Deserializer::from_str(object));
        assert!(read.unwrap().is_none());
    }
}
