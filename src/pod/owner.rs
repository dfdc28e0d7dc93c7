//! The object that a pod belongs to.

/// An object that creates pods, as an `OwnerReference` names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    pub api_version: String,
    pub kind: String,
    pub name: String,
    pub uid: String,
}
