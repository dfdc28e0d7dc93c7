//! Files of tests of policies: objects, and the answers that are expected to them. From texts to
//! diagnostics; what the files refer to is read by the caller.
//!
//! The tables of rules in tests/cases are such files.

mod answer;
mod case;
mod compare;
mod days;
mod facts;
mod format;
mod read;

use std::{collections::BTreeMap, fmt};

use jiff::civil::Date;
use serde_json::Value;

use crate::{
    check::Collected,
    placement::Nodes,
    position::Position,
    profile::Catalog,
    report::{Checked, Source, Topic},
};

pub use case::{At, Case};
pub use format::{CaseFile, CaseMode, CaseNode, CaseTaint, Changes, Manifest, Server, Suite};

/// All that a file of tests depends on besides itself.
#[derive(Clone, Debug, Default)]
pub struct Around {
    /// The day by which exemptions end.
    pub today: Date,
    /// Policies, labels of namespaces and profiles.
    pub collected: Collected,
    pub nodes: Nodes,
    /// The handlers of runtime classes.
    pub classes: BTreeMap<String, String>,
    /// The profiles of the directory.
    pub catalog: Catalog,
}

/// The answer to an object: the lines of the denial, the warnings, the JSON Patch.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answer {
    pub denied: Vec<String>,
    pub warned: Vec<String>,
    pub patch: Vec<Value>,
}

/// Why a text is no file of tests, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    pub position: Option<Position>,
    pub message: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(Position { line, column }) = self.position {
            write!(f, "{line}:{column}: ")?;
        }
        f.write_str(&self.message)
    }
}

/// An expectation that does not hold.
pub const WRONG_EXPECTATION: Topic =
    Topic { id: "wrong-expectation", page: include_str!("pages/wrong-expectation.md") };

/// All of them, for `callgate explain`.
pub const TOPICS: &[Topic] = &[WRONG_EXPECTATION];

impl Suite {
    /// What does not hold of each case. `is_told`: whether it is said what to write instead.
    pub fn run(&self, source: &Source<'_>, is_told: bool) -> Vec<Checked> {
        self.cases.iter().map(|it| compare::checked(self, it, source, is_told)).collect()
    }
}

/// The JSON Schema of the format, for editors.
pub fn schema() -> Value {
    schemars::generate::SchemaSettings::draft07()
        .into_generator()
        .into_root_schema_for::<Suite>()
        .to_value()
}

#[cfg(test)]
mod tests;
