//! What a profile is called, what it really does, and which profiles there are.

mod architecture;
mod calls;
mod canonical;
mod catalog;
mod decode;
mod defect;
mod document;
mod doubt;
mod evaluate;
mod inventory;
mod json;
mod judge;
mod lints;
mod managed;
mod object;
mod path;
mod runtime;
mod spelling;
mod syscalls;
pub mod wrap;

pub use architecture::Architecture;
pub use calls::{Effect, Outcome};
pub use catalog::Catalog;
pub use defect::{Broken, Defect, Hollow, Idle};
pub use document::{Document, MAX_BYTES, MOST_FILE_BYTES};
pub use doubt::Doubt;
pub use evaluate::Filter;
pub use inventory::{Digest, File, Inventory, MOST_LISTED, Problem};
pub use json::{Json, Malformed, Position, SourceLocation, Span};
pub use lints::{Finding, LINTS, Lint, Severity, errors, lint, lint_tree};
pub use managed::Managed;
pub use object::spec_of;
pub use path::{InvalidPath, LABEL_PREFIX, ProfilePath};
