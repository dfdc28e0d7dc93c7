//! The legacy seccomp annotations, and the annotation of mirror pods.

use std::collections::BTreeMap;

use crate::pod::{Effective, Pod, Seccomp};

/// The annotation of mirror pods, which represent static pods of a kubelet (S22).
pub const MIRROR: &str = "kubernetes.io/config.mirror";

/// The legacy annotation with the profile of a pod.
pub const POD_ANNOTATION: &str = "seccomp.security.alpha.kubernetes.io/pod";

/// The prefix of the legacy annotations with the profile of a container.
const CONTAINER_PREFIX: &str = "container.seccomp.security.alpha.kubernetes.io/";

/// A legacy annotation. Since Kubernetes 1.27 it has no effect, but the API server
/// still compares it with the field when a pod is created (S15).
#[derive(Clone, Copy, Debug)]
pub struct Annotation<'a> {
    pub key: &'a str,
    pub value: &'a str,
    pub target: AnnotationTarget<'a>,
    /// The value of the field of the same target, if it is set.
    pub field: Option<Seccomp<'a>>,
}

/// What a legacy annotation applies to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum AnnotationTarget<'a> {
    Pod,
    Container(&'a str),
}

pub(super) fn is_read(key: &str) -> bool {
    key == MIRROR || key == POD_ANNOTATION || key.starts_with(CONTAINER_PREFIX)
}

impl Pod<'_> {
    pub fn is_mirror(&self) -> bool {
        self.read_annotations().any(|(key, _)| &**key == MIRROR)
    }

    /// Visits every legacy annotation.
    pub fn legacy_annotations(&self) -> impl Iterator<Item = Annotation<'_>> {
        let mut own = None;
        self.read_annotations().filter_map(move |(key, value)| {
            let (key, value): (&str, &str) = (key, value);
            if key == POD_ANNOTATION {
                return Some(Annotation {
                    key,
                    value,
                    target: AnnotationTarget::Pod,
                    field: self.seccomp(),
                });
            }
            let name = key.strip_prefix(CONTAINER_PREFIX)?;
            let own = own.get_or_insert_with(|| self.own_seccomp());
            let field = own.get(name).copied();
            Some(Annotation { key, value, target: AnnotationTarget::Container(name), field })
        })
    }

    /// The profiles that containers declare themselves; the first for each name.
    fn own_seccomp(&self) -> BTreeMap<&str, Seccomp<'_>> {
        let mut own = BTreeMap::new();
        for container in self.containers() {
            if let Effective::Own(seccomp) = container.effective {
                own.entry(container.name).or_insert(seccomp);
            }
        }
        own
    }
}

impl Annotation<'_> {
    /// Whether the API server rejects a pod with this annotation and `field` ("seccomp type in annotation and field must match").
    pub fn contradicts(&self, field: Seccomp<'_>) -> bool {
        match field {
            Seccomp::RuntimeDefault => !matches!(self.value, "runtime/default" | "docker/default"),
            Seccomp::Unconfined => self.value != "unconfined",
            Seccomp::Localhost(Some(path)) => self.value.strip_prefix("localhost/") != Some(path),
            // The API server rejects the field itself.
            Seccomp::Localhost(None) | Seccomp::Unrecognised(_) | Seccomp::Contradictory { .. } => {
                false
            }
        }
    }
}
