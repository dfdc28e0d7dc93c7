//! The parts of an API object that callgate reads.
//!
//! A client that may write an object may write strange content: `managedFields` that are nested a
//! thousand levels deep are stored as they are. So unneeded fields are skipped without recursion,
//! and each needed part is parsed separately.

use jiff::Timestamp;
use serde::{
    Deserialize,
    de::{DeserializeOwned, IgnoredAny},
};
use serde_json::{Value, value::RawValue};

/// An object: its name and version, and its other parts as text.
#[derive(Debug, Deserialize)]
pub(crate) struct Object<'a> {
    #[serde(borrow)]
    metadata: Metadata<'a>,
    #[serde(borrow, default)]
    spec: Option<&'a RawValue>,
    #[serde(borrow, default)]
    status: Option<&'a RawValue>,
    /// Of a `RuntimeClass`, which has no spec.
    #[serde(borrow, default)]
    handler: Option<&'a RawValue>,
}

/// An entry of `metadata.managedFields`, which the API server writes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ManagedField {
    /// When its manager last changed a field that it owns.
    pub(crate) time: Option<Timestamp>,
    /// The fields that it owns, as `fieldsV1` has them; `None` if they cannot be read.
    pub(crate) fields: Option<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawManagedField<'a> {
    #[serde(default)]
    time: Option<Timestamp>,
    #[serde(borrow, default)]
    fields_v1: Option<&'a RawValue>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata<'a> {
    /// A bookmark has no name.
    #[serde(default)]
    name: String,
    #[serde(default)]
    namespace: String,
    #[serde(default)]
    uid: String,
    #[serde(default)]
    resource_version: String,
    #[serde(default)]
    generation: i64,
    #[serde(default)]
    deletion_timestamp: Option<IgnoredAny>,
    #[serde(borrow, default)]
    labels: Option<&'a RawValue>,
    #[serde(borrow, default)]
    owner_references: Option<&'a RawValue>,
    #[serde(default)]
    creation_timestamp: Option<Timestamp>,
    #[serde(borrow, default)]
    managed_fields: Option<&'a RawValue>,
}

impl<'a> Object<'a> {
    pub(crate) fn read(text: &'a str) -> Result<Self, String> {
        serde_json::from_str(text).map_err(|it| it.to_string())
    }

    pub(crate) fn name(&self) -> &str {
        &self.metadata.name
    }

    /// Empty if the object belongs to no namespace.
    pub(crate) fn namespace(&self) -> &str {
        &self.metadata.namespace
    }

    /// What no other object of its type has: the name, after the namespace if it has one.
    pub(crate) fn key(&self) -> String {
        match self.namespace() {
            "" => self.name().to_owned(),
            namespace => format!("{namespace}/{}", self.name()),
        }
    }

    /// `metadata.resourceVersion`, which changes with the object.
    pub(crate) fn version(&self) -> &str {
        &self.metadata.resource_version
    }

    /// `metadata.generation`, which counts the changes of the spec.
    pub(crate) fn generation(&self) -> i64 {
        self.metadata.generation
    }

    /// `metadata.uid`, which differs if the object was deleted and created again under the same
    /// name.
    pub(crate) fn uid(&self) -> &str {
        &self.metadata.uid
    }

    /// Whether it has been deleted and waits for its finalizers.
    pub(crate) fn is_terminating(&self) -> bool {
        self.metadata.deletion_timestamp.is_some()
    }

    /// All labels, or those that `T` has fields for.
    pub(crate) fn labels<T: Default + DeserializeOwned>(&self) -> Result<T, String> {
        part("metadata.labels", self.metadata.labels)
    }

    pub(crate) fn owner_references<T: Default + DeserializeOwned>(&self) -> Result<T, String> {
        part("metadata.ownerReferences", self.metadata.owner_references)
    }

    /// When it was created.
    pub(crate) fn created(&self) -> Option<Timestamp> {
        self.metadata.creation_timestamp
    }

    /// Who changed which fields, and when. Fields that are nested too deeply cannot be read.
    pub(crate) fn managed_fields(&self) -> Result<Vec<ManagedField>, String> {
        let Some(text) = self.metadata.managed_fields else { return Ok(Vec::new()) };
        let entries: Vec<RawManagedField<'_>> = serde_json::from_str(text.get())
            .map_err(|it| format!("metadata.managedFields cannot be read: {it}"))?;
        let read = |it: RawManagedField<'_>| {
            let fields = it.fields_v1.and_then(|it| serde_json::from_str(it.get()).ok());
            ManagedField { time: it.time, fields }
        };
        Ok(entries.into_iter().map(read).collect())
    }

    /// The text of the spec, if there is one.
    pub(crate) fn spec_text(&self) -> Option<&'a str> {
        self.spec.map(RawValue::get)
    }

    pub(crate) fn spec<T: Default + DeserializeOwned>(&self) -> Result<T, String> {
        part("spec", self.spec)
    }

    /// The text of the status, if there is one.
    pub(crate) fn status_text(&self) -> Option<&'a str> {
        self.status.map(RawValue::get)
    }

    pub(crate) fn status<T: Default + DeserializeOwned>(&self) -> Result<T, String> {
        part("status", self.status)
    }

    pub(crate) fn handler(&self) -> Result<String, String> {
        part("handler", self.handler)
    }
}

fn part<T: Default + DeserializeOwned>(at: &str, text: Option<&RawValue>) -> Result<T, String> {
    let Some(text) = text else { return Ok(T::default()) };
    serde_json::from_str(text.get()).map_err(|it| format!("{at} cannot be read: {it}"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn nested(depth: usize) -> String {
        format!("{}{{}}{}", "{\"f:x\":".repeat(depth), "}".repeat(depth))
    }

    #[test]
    fn unneeded_metadata_is_skipped_at_any_depth() {
        let text = format!(
            r#"{{"metadata":{{"managedFields":[{{"fieldsV1":{}}}],"name":"shop",
                "annotations":{{"a":{}}},"labels":{{"team":"x"}}}}}}"#,
            nested(100_000),
            "[".repeat(50_000) + &"]".repeat(50_000),
        );
        let object = Object::read(&text).unwrap();
        assert_eq!(object.name(), "shop");
        let labels = BTreeMap::from([("team".to_owned(), "x".to_owned())]);
        assert_eq!(object.labels(), Ok(labels));
    }

    #[test]
    fn the_handler_of_a_runtime_class_is_beside_its_metadata() {
        let read = |handler| {
            let text = format!(r#"{{"metadata":{{"name":"gvisor"}},"handler":{handler}}}"#);
            Object::read(&text).unwrap().handler()
        };
        assert_eq!(read(r#""runsc""#), Ok("runsc".to_owned()));
        assert!(read("7").unwrap_err().starts_with("handler cannot be read"));
    }

    #[test]
    fn an_unreadable_part_is_reported_with_its_place_and_the_others_are_read() {
        let text = format!(r#"{{"metadata":{{"name":"web","labels":7}},"spec":{}}}"#, nested(200));
        let object = Object::read(&text).unwrap();
        let start =
            |it: Result<Value, String>| it.unwrap_err().split(':').next().unwrap().to_owned();
        assert_eq!(
            start(object.labels::<BTreeMap<String, String>>().map(|_| Value::Null)),
            "metadata.labels cannot be read"
        );
        assert_eq!(start(object.spec()), "spec cannot be read");
        assert_eq!(object.spec_text(), Some(&*nested(200)));
        assert_eq!(object.status::<Value>(), Ok(Value::Null));
    }
}
