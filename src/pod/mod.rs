//! What a pod says about seccomp and its nodes, read without copying and without reading the rest.

mod affinity;
mod annotation;
mod container;
mod seccomp;
mod subject;
mod toleration;
mod view;

pub use crate::json::Str;
pub use affinity::{Required, Requirement, Term};
pub use annotation::{Annotation, AnnotationTarget, MIRROR, POD_ANNOTATION};
pub use container::{Container, List, Scope};
pub use seccomp::{Effective, Seccomp};
pub use subject::{Kind, Subject};
pub use toleration::Toleration;
pub use view::{Metadata, Pod, Spec};
