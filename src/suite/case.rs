//! One case of a file of tests.

use std::{collections::BTreeMap, ops::Range};

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::format::{CaseMode, CaseNode, Changes, Manifest, Server};
use crate::{
    pod::{Kind, List, Pod, Scope},
    policy::Mode,
};

/// One object, and the answer that is expected. What is not named is expected not to happen.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// What the case is about, in reports; no two cases have the same.
    pub name: String,
    /// The policy that applies, by name; baseline and restricted are there anyway. If unset, the
    /// label of the namespace decides, else the only policy of this file and its files, else
    /// restricted.
    #[serde(default)]
    pub policy: String,
    /// The mode in which it applies; if unset, the label of the namespace decides, else enforce.
    #[serde(default)]
    pub mode: Option<CaseMode>,
    /// The namespace of the object; if unset, the one that the object names, else that of the file.
    #[serde(default)]
    pub namespace: String,
    /// The nodes that there are, by name, in place of those in files.
    #[serde(default)]
    pub nodes: BTreeMap<String, CaseNode>,
    /// The kind of the object, if the object does not say it; if unset, Pod.
    #[serde(default)]
    pub kind: String,
    /// The object that is created: a pod, or an object with a pod template.
    #[serde(default)]
    pub object: Value,
    /// The object, as a part of another file.
    #[serde(default)]
    pub manifest: Option<Manifest>,
    /// The object before an update; if unset, the object is created.
    #[serde(default)]
    pub old: Option<Value>,
    /// What the update changes.
    #[serde(default)]
    pub changes: Changes,
    /// Whether the validating webhook gets the object as it is written here, as if the mutating one
    /// had not been called; `patch` is then what that one would have done.
    #[serde(default)]
    pub unmutated: Option<bool>,
    /// The lines of the denial, or ids of rules: an id stands for all lines of that rule, of which
    /// there must be one at least. If unset, the object is not denied.
    #[serde(default)]
    pub denied: Vec<String>,
    /// The warnings, likewise.
    #[serde(default)]
    pub warned: Vec<String>,
    /// The JSON Patch by which the object is changed.
    #[serde(default)]
    pub patch: Vec<Value>,
    /// Parts of the changed object, in place of `patch`: each field that is written here must be
    /// there with this value, and others may be there; lists have the same length.
    #[serde(default)]
    pub mutated: Option<Value>,
    /// What a real API server does before it calls a webhook. `callgate test` does not use it:
    /// it is for those who create the same objects on one.
    #[serde(default)]
    pub server: Option<Server>,
    #[serde(skip)]
    pub at: At,
}

/// The bytes at which the case and its expectations are written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct At {
    pub case: Range<usize>,
    pub denied: Option<Range<usize>>,
    pub warned: Option<Range<usize>>,
    pub patch: Option<Range<usize>>,
    pub mutated: Option<Range<usize>>,
}

impl Case {
    pub fn mode(&self) -> Mode {
        self.mode.map(Mode::from).unwrap_or_default()
    }

    /// The kind of the object.
    ///
    /// # Panics
    /// If no object of the kind holds a pod, which [`Suite::parse`](super::Suite::parse) rules out.
    pub fn kind(&self) -> Kind {
        self.kind_that_holds_a_pod().expect("it was checked when the case was read")
    }

    pub(super) fn kind_that_holds_a_pod(&self) -> Option<Kind> {
        let noun = self.kind.to_lowercase();
        Kind::ALL.into_iter().find(|it| it.noun() == noun || (noun.is_empty() && *it == Kind::Pod))
    }

    /// The object with what every object has.
    pub fn object(&self) -> Value {
        self.dressed(&self.object)
    }

    pub fn old(&self) -> Option<Value> {
        self.old.as_ref().map(|it| self.dressed(it))
    }

    fn dressed(&self, object: &Value) -> Value {
        let (mut object, kind) = (object.clone(), self.kind());
        let group = kind.group();
        let version = if group.is_empty() { "v1".to_owned() } else { format!("{group}/v1") };
        object["apiVersion"] = json!(version);
        object["kind"] = json!(if self.kind.is_empty() { "Pod" } else { &self.kind });
        let metadata = &mut object["metadata"];
        if metadata["generateName"].is_null() && metadata["name"].is_null() {
            metadata["name"] = json!("web");
        }
        metadata["namespace"] = json!(self.namespace);
        object
    }

    /// The containers that are judged.
    ///
    /// # Errors
    /// Why the pod before the update cannot be read.
    pub(super) fn scope(&self) -> Result<Scope, String> {
        let Some(old) = self.old() else {
            return Ok(Scope::Whole);
        };
        let text = old.to_string();
        let old: Pod<'_> = serde_json::from_str(&text).map_err(|it| it.to_string())?;
        if self.changes == Changes::Pod {
            let known = old.containers().map(|it| (it.name.to_owned(), it.image.to_owned()));
            return Ok(Scope::ImagesChanged { known: known.collect() });
        }
        let ephemeral = old.containers().filter(|it| it.list == List::Ephemeral);
        Ok(Scope::AddedTo { known: ephemeral.map(|it| it.name.to_owned()).collect() })
    }
}
