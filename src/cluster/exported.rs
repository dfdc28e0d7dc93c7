//! Reads objects that kubectl has exported, as the watches read them.

use super::{partial, read};
use crate::{placement::Node, profile::Inventory, watch::Object};

/// The name of a `Node`, and what decides whether a pod can land on it.
pub fn node(json: &str) -> Result<(String, Node), String> {
    let object = Object::read(json)?;
    Ok((object.name().to_owned(), partial::node(&object)?.node))
}

/// The name of a `SeccompNode`, and what its agent has reported.
pub fn seccomp_node(json: &str) -> Result<(String, Option<Inventory>), String> {
    let object = Object::read(json)?;
    Ok((object.name().to_owned(), partial::seccomp_node(&object)?))
}

/// The name of a `RuntimeClass`, and its handler.
pub fn runtime_class(json: &str) -> Result<(String, String), String> {
    let object = Object::read(json)?;
    Ok((object.name().to_owned(), read::handler(&object)?))
}
