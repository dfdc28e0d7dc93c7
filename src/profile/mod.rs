//! Seccomp profiles: their paths, what a file makes the runtime do, the lints, and the catalog.

mod action;
mod architecture;
mod calls;
mod canonical;
mod catalog;
pub(crate) mod decode;
mod decoded;
mod defect;
pub(crate) mod document;
mod doubt;
mod evaluate;
mod inventory;
pub(crate) mod json;
mod judge;
pub(crate) mod lints;
mod managed;
mod name;
mod path;
mod runtime;
mod syscalls;

pub use action::Effect;
pub use architecture::Architecture;
pub use calls::Outcome;
pub use catalog::Catalog;
pub use decoded::{DecodedProfile, as_file};
pub use defect::{Broken, Defect, Hollow, Idle};
pub use document::{Document, MAX_BYTES, MOST_FILE_BYTES};
pub use doubt::Doubt;
pub use evaluate::Filter;
pub use inventory::{Digest, File, Inventory, MOST_LISTED, Problem};
pub use json::{Json, Malformed, Position, SourceLocation, Span};
pub use lints::{Finding, LINTS, Lint, Severity, errors, lint};
pub use managed::Managed;
pub use name::{InvalidName, ObjectName, is_label, is_subdomain};
pub use path::{InvalidPath, ProfilePath};
