//! What a pod says about seccomp, read without copying and without reading the rest.

mod annotation;
mod container;
mod seccomp;
mod subject;
mod text;
mod view;

pub use annotation::{Annotation, MIRROR, POD_ANNOTATION, Target};
pub use container::{Container, List, Scope};
pub use seccomp::{Effective, Seccomp};
pub use subject::{Kind, Subject};
pub use text::Str;
pub use view::{Metadata, Pod, Spec};
