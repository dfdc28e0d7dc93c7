//! Reads what callgate needs of each object of a watch.

use serde::Deserialize;
use serde_json::{Value, json};

use super::object_type::ObjectType;
use crate::{
    group::API_VERSION,
    policy::{Labels, Revision, Stored},
    profile::{DecodedProfile, Managed},
    watch::Object,
};

/// The labels by which a namespace opts in.
#[derive(Default, Deserialize)]
#[serde(default)]
struct OwnLabels {
    #[serde(rename = "callgate.dev/policy")]
    policy: Option<String>,
    #[serde(rename = "callgate.dev/mode")]
    mode: Option<String>,
}

/// Reads our labels of a namespace.
pub(super) fn labels(object: &Object<'_>) -> Result<Labels, String> {
    let OwnLabels { policy, mode } = object.labels()?;
    Ok(Labels { policy, mode })
}

/// Reads the same; `None` for a namespace that is being deleted.
pub(super) fn labels_in_use(object: &Object<'_>) -> Result<Option<Labels>, String> {
    if object.is_terminating() { Ok(None) } else { labels(object).map(Some) }
}

/// One of our objects, with its name and spec only: metadata that others wrote is left out.
pub(super) fn manifest(object: &Object<'_>, kind: ObjectType) -> Result<Value, String> {
    Ok(json!({
        "apiVersion": API_VERSION,
        "kind": kind.name(),
        "metadata": { "name": object.name() },
        "spec": object.spec::<Value>()?,
    }))
}

/// The handler that runs the pods of a `RuntimeClass` on the nodes.
pub(super) fn handler(object: &Object<'_>) -> Result<String, String> {
    object.handler()
}

/// Reads a stored policy.
pub(super) fn policy(object: &Object<'_>) -> Result<Stored, String> {
    let revision = Revision { uid: object.uid().to_owned(), generation: object.generation() };
    Ok(Stored { revision, ..policy_of(&manifest(object, ObjectType::Policy)?)? })
}

pub(super) fn policy_of(manifest: &Value) -> Result<Stored, String> {
    Stored::read(manifest).map_err(|it| it.to_string())
}

/// Reads a stored profile: its spec is the profile.
pub(super) fn profile(object: &Object<'_>) -> Result<Managed, String> {
    Ok(DecodedProfile::of_spec(object.spec()?).managed())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::group::{MODE_LABEL, POLICY_LABEL};

    #[test]
    fn only_our_labels_of_a_namespace_are_read() {
        let read = |labels: Value| {
            let text = json!({ "metadata": { "name": "shop", "labels": labels } }).to_string();
            labels_of(&text)
        };
        let ours = Labels { policy: Some("restricted".into()), mode: None };
        assert_eq!(read(json!({ "team": "x", POLICY_LABEL: "restricted" })), Ok(ours));
        let why = read(json!({ MODE_LABEL: 7 })).unwrap_err();
        assert!(why.starts_with("metadata.labels cannot be read"), "{why}");
    }

    fn labels_of(text: &str) -> Result<Labels, String> {
        labels(&Object::read(text)?)
    }
}
