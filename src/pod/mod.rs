//! The fields of pods that decide about seccomp and nodes, borrowed from the request.

mod affinity;
mod annotation;
mod container;
mod owner;
mod seccomp;
mod subject;
mod toleration;
mod view;

pub use crate::json::Str;
pub use affinity::{Required, Requirement, Term};
pub use annotation::{Annotation, AnnotationTarget, MIRROR, POD_ANNOTATION};
pub use container::{Container, List, Scope};
pub use owner::Owner;
pub use seccomp::{Effective, Seccomp};
pub use subject::{Kind, Subject};
pub use toleration::Toleration;
pub use view::{Metadata, Pod, Spec};
