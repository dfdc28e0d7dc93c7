//! Policies and rules: what is wrong with a pod, at which level, and which patch repairs it.
//! Pure functions of values, without I/O, clock, HTTP or cluster.

// A new enum variant must be handled where the default is to find nothing.
#![deny(clippy::wildcard_enum_match_arm)]

mod builtin;
mod context;
mod document;
mod evaluate;
mod exemption;
mod field_path;
mod finding;
mod index;
mod judged;
mod landing;
mod level;
mod list;
mod operation;
mod parse_error;
mod patch;
mod patched;
mod pin;
mod refusal;
mod rule;
mod rules;
mod runtime;
mod selector;
mod stored;
mod validate;
mod verdict;
mod wording;

pub use builtin::{BUILTIN, Builtin};
pub use context::Facts;
pub use document::{Binding, Policy, Profile, Templates};
pub use exemption::{Exemption, Glob, Match};
pub use field_path::FieldPath;
pub use finding::{Finding, Fix, Found, Hint};
pub use index::{Governed, Labels, PolicyIndex};
pub use judged::{Judged, cut};
pub use landing::Placement;
pub use level::{Level, Mode};
pub use operation::Operation;
pub use parse_error::PolicyError;
pub use patch::Patch;
pub use patched::patched;
pub use refusal::Refusal;
pub use rule::Rule;
pub use rules::RULES;
pub use runtime::RuntimeClasses;
pub use selector::{Operator, Requirement, Selector};
pub use stored::{Revision, Stored};
pub use validate::Presence;
pub use verdict::{Counts, Verdict};
pub use wording::{MOST_LINES, MOST_WARNINGS};

use context::Context;
use rule::Check;
