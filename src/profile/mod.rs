//! What a profile is called, what it really does, and which profiles there are.

mod catalog;
mod decode;
mod defect;
mod document;
mod json;
mod path;
mod runtime;
mod syscalls;

pub use catalog::Catalog;
pub use defect::{Broken, Defect, Hollow};
pub use document::{Document, MAX_BYTES};
pub use json::{Json, Malformed, Place, Position, Span};
pub use path::{InvalidPath, ProfilePath};
