//! The steps of a namespace from mode `audit` to `enforce`, decided by evidence: what `SeccompEvidence`
//! has kept, and what a scan finds in what runs now. From values to text, nothing else.

mod changed;
mod step;
mod text;

pub(crate) use changed::{last_change, last_change_of_spec};
pub use step::{DeniedCalls, Known, Ladder, Next, Step, climb};
pub use text::text;

#[cfg(test)]
mod tests;
