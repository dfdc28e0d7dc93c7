//! Judges what a cluster runs already: what enforcing a policy would change and deny, in which
//! namespace, and whose it is. From the texts of objects to an overview, nothing else.
//!
//! Objects come one at a time, and of each only what is counted is kept.

mod denied;
mod exemptions;
mod fold;
mod html;
mod judge;
mod openreports;
mod overview;
mod owner;
mod part;
mod patches;
mod read;
mod resources;
mod runs;
mod safety;
mod seen;
mod text;
mod texts;
mod world;

pub use denied::{DenialTotals, SeenDenial};
pub use exemptions::exempting;
pub use fold::Scan;
pub use html::html;
pub use judge::{Finding, Grade, Outcome, judge};
pub use openreports::reports;
pub use overview::{NamespaceOverview, Overview};
pub use owner::Owner;
pub use part::{Part, part};
pub use patches::{PatchFile, patches};
pub use resources::{RESOURCES, Reads, Resource, role};
pub use safety::Safety;
pub use seen::{Seen, SeenContainer, SeenTotals};
pub use text::{summary, text};
pub use world::{Unread, World};

#[cfg(test)]
mod tests;
