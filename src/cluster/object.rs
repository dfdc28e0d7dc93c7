//! What is read of an object that an API server holds.
//!
//! Whoever may write an object may write what is strange: `managedFields` that are nested a
//! thousand levels deep are stored as they come. So what is not needed is skipped, without
//! recursion, and a part that is needed is parsed by itself.

use std::collections::BTreeMap;

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json, value::RawValue};

use super::kind::Kind;
use crate::policy::Labels;

/// An object: its name and version, and its other parts as text.
#[derive(Debug, Deserialize)]
pub(super) struct Object<'a> {
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

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata<'a> {
    /// A bookmark has none.
    #[serde(default)]
    name: String,
    #[serde(default)]
    resource_version: String,
    #[serde(default)]
    generation: i64,
    #[serde(borrow, default)]
    labels: Option<&'a RawValue>,
}

/// The labels by which a namespace opts in.
#[derive(Default, Deserialize)]
#[serde(default)]
struct OwnLabels {
    #[serde(rename = "callgate.dev/policy")]
    policy: Option<String>,
    #[serde(rename = "callgate.dev/mode")]
    mode: Option<String>,
}

impl<'a> Object<'a> {
    pub(super) fn read(text: &'a str) -> Result<Self, String> {
        serde_json::from_str(text).map_err(|it| it.to_string())
    }

    pub(super) fn name(&self) -> &str {
        &self.metadata.name
    }

    /// Changes with the object.
    pub(super) fn version(&self) -> &str {
        &self.metadata.resource_version
    }

    /// Counts the changes of the spec.
    pub(super) fn generation(&self) -> i64 {
        self.metadata.generation
    }

    /// What the labels of a namespace say to us.
    pub(super) fn labels(&self) -> Result<Labels, String> {
        let OwnLabels { policy, mode } = part("metadata.labels", self.metadata.labels)?;
        Ok(Labels { policy, mode })
    }

    pub(super) fn all_labels(&self) -> Result<BTreeMap<String, String>, String> {
        part("metadata.labels", self.metadata.labels)
    }

    pub(super) fn spec<T: Default + DeserializeOwned>(&self) -> Result<T, String> {
        part("spec", self.spec)
    }

    pub(super) fn status<T: Default + DeserializeOwned>(&self) -> Result<T, String> {
        part("status", self.status)
    }

    pub(super) fn handler(&self) -> Result<String, String> {
        part("handler", self.handler)
    }

    /// An object of ours of that kind, without what others have written into its metadata.
    pub(super) fn manifest(&self, kind: Kind) -> Result<Value, String> {
        Ok(json!({
            "apiVersion": "callgate.dev/v1alpha1",
            "kind": kind.name(),
            "metadata": { "name": self.name() },
            "spec": self.spec::<Value>()?,
        }))
    }
}

fn part<T: Default + DeserializeOwned>(at: &str, text: Option<&RawValue>) -> Result<T, String> {
    let Some(text) = text else { return Ok(T::default()) };
    serde_json::from_str(text.get()).map_err(|it| format!("{at} cannot be read: {it}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{MODE_LABEL, POLICY_LABEL};

    fn nested(depth: usize) -> String {
        format!("{}{{}}{}", "{\"f:x\":".repeat(depth), "}".repeat(depth))
    }

    #[test]
    fn what_others_wrote_into_metadata_is_skipped_however_deep_it_is() {
        let text = format!(
            r#"{{"metadata":{{"managedFields":[{{"fieldsV1":{}}}],"name":"shop",
                "annotations":{{"a":{}}},"labels":{{"team":"x","{POLICY_LABEL}":"restricted"}}}}}}"#,
            nested(100_000),
            "[".repeat(50_000) + &"]".repeat(50_000),
        );
        let object = Object::read(&text).unwrap();
        assert_eq!(object.name(), "shop");
        let labels = Labels { policy: Some("restricted".into()), mode: None };
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
    fn a_part_that_cannot_be_read_is_told_by_its_place_and_the_others_are_read() {
        let text = format!(
            r#"{{"metadata":{{"name":"web","labels":{{"{MODE_LABEL}":7}}}},"spec":{}}}"#,
            nested(200)
        );
        let object = Object::read(&text).unwrap();
        let start = |it: Result<(), String>| it.unwrap_err().split(':').next().unwrap().to_owned();
        assert_eq!(start(object.labels().map(drop)), "metadata.labels cannot be read");
        assert_eq!(start(object.spec::<Value>().map(drop)), "spec cannot be read");
        assert_eq!(object.status::<Value>(), Ok(Value::Null));
    }
}
