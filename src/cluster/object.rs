//! What is read of an object that an API server holds.
//!
//! Whoever may write an object may write what is strange: `managedFields` that are nested a
//! thousand levels deep are stored as they come. So what is not needed is skipped, without
//! recursion, and a part that is needed is parsed by itself.

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::value::RawValue;

use crate::policy::Labels;

/// An object, its parts as text.
#[derive(Debug, Deserialize)]
pub(super) struct Object<'a> {
    #[serde(borrow)]
    metadata: Metadata<'a>,
}

#[derive(Debug, Deserialize)]
struct Metadata<'a> {
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

    /// What the labels of a namespace say to us.
    pub(super) fn labels(&self) -> Result<Labels, String> {
        let OwnLabels { policy, mode } = part("metadata.labels", self.metadata.labels)?;
        Ok(Labels { policy, mode })
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
        let labels = Labels { policy: Some("restricted".into()), mode: None };
        assert_eq!(object.labels(), Ok(labels));
    }

    #[test]
    fn labels_that_cannot_be_read_are_told_by_their_place() {
        let text = format!(r#"{{"metadata":{{"name":"web","labels":{{"{MODE_LABEL}":7}}}}}}"#);
        let why = Object::read(&text).unwrap().labels().unwrap_err();
        assert!(why.starts_with("metadata.labels cannot be read: "), "{why}");
    }
}
