//! What a profile is called, what it really does, and which profiles there are.

mod catalog;
mod defect;
mod document;
mod json;
mod path;
mod runtime;
mod syscalls;

pub use catalog::Catalog;
pub use defect::{Broken, Defect, Hollow};
pub use document::{Document, MAX_BYTES};
pub use path::{InvalidPath, ProfilePath};
