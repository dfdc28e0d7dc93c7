//! What is read of workloads and pods besides the pods themselves.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{
    json::{Bounded, Entry, Str, objects},
    pod::Kind,
};

objects! {
    /// The metadata alone, which the API server has validated.
    pub(super) struct Named<'a> {
        pub(super) metadata("metadata"): Metadata<'a>,
    }

    pub(super) struct Metadata<'a> {
        pub(super) namespace("namespace"): Str<'a>,
        pub(super) name("name"): Str<'a>,
        pub(super) uid("uid"): Str<'a>,
        generate_name("generateName"): Str<'a>,
        labels("labels"): Labels<'a>,
        owners("ownerReferences"): Bounded<Reference<'a>>,
    }

    struct Labels<'a> {
        template_hash("pod-template-hash"): Str<'a>,
    }

    pub(super) struct Reference<'a> {
        pub(super) api_version("apiVersion"): Str<'a>,
        pub(super) kind("kind"): Str<'a>,
        pub(super) name("name"): Str<'a>,
        controller("controller"): bool,
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct State {
    spec: Option<Spec>,
    status: Option<Status>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Spec {
    replicas: Option<i64>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Status {
    phase: Option<String>,
    conditions: Option<Vec<Condition>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Condition {
    r#type: String,
    status: String,
}

impl Entry for Reference<'_> {}

impl<'a> Metadata<'a> {
    /// The name, or what the API server generates one from.
    pub(super) fn any_name(&self) -> Option<&str> {
        let name = self.name.as_deref().filter(|it| !it.is_empty());
        name.or(self.generate_name.as_deref())
    }

    /// The hash by which Deployments name their replica sets.
    pub(super) fn template_hash(&self) -> Option<&str> {
        self.labels.as_ref()?.template_hash.as_deref()
    }

    /// The owner that controls it, if one does.
    pub(super) fn controller(&self) -> Option<&Reference<'a>> {
        self.owners.as_deref()?.iter().find(|it| it.controller == Some(true))
    }
}

/// Whether it is a pod or a Job that has ended, and makes no pods any more.
pub(super) fn is_finished(kind: Kind, text: &str) -> Result<bool, String> {
    let status = state(text)?.status.unwrap_or_default();
    let has_ended =
        |it: &Condition| matches!(it.r#type.as_str(), "Complete" | "Failed") && it.status == "True";
    Ok(match kind {
        Kind::Pod => matches!(status.phase.as_deref(), Some("Succeeded" | "Failed")),
        Kind::Job => status.conditions.iter().flatten().any(has_ended),
        _ => false,
    })
}

/// Whether it is to have no pods.
pub(super) fn is_scaled_to_zero(text: &str) -> Result<bool, String> {
    Ok(state(text)?.spec.and_then(|it| it.replicas) == Some(0))
}

fn state(text: &str) -> Result<State, String> {
    serde_json::from_str(text).map_err(|it| it.to_string())
}

/// The text of the pod template in an object of that kind; `None` if there is none.
pub(super) fn template(kind: Kind, text: &str) -> Result<Option<&str>, String> {
    let mut text = text;
    for key in kind.prefix().split_terminator('.') {
        let fields: Option<BTreeMap<String, &RawValue>> =
            serde_json::from_str(text).map_err(|it| it.to_string())?;
        let Some(value) = fields.and_then(|it| it.get(key).copied()) else { return Ok(None) };
        text = value.get();
    }
    Ok(Some(text).filter(|it| *it != "null"))
}
