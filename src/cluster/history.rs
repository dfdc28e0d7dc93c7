//! Reads what decides about the next step of a namespace: when its labels and its policy were
//! changed, and the evidence.

use std::collections::BTreeMap;

use jiff::Timestamp;
use kube::{
    Client,
    api::{Patch, PatchParams},
    core::Request,
};
use serde_json::json;

use super::{chain, evidence, read::labels};
use crate::{
    api::SeccompEvidenceStatus,
    call::{CallError, within},
    group::{EVIDENCE, MODE_LABEL, POLICY, POLICY_LABEL},
    policy::{Labels, Mode},
    watch::{Failure, Listing, ManagedField, Object, list},
};

/// The number of objects in a page.
const PAGE: usize = 500;

/// The deadline of one write.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(30);

/// A namespace with our label.
#[derive(Clone, Debug)]
pub struct Labelled {
    pub labels: Labels,
    /// The version of the object.
    pub version: String,
    pub(crate) managed_fields: Vec<ManagedField>,
}

/// What was read, by the name of the namespace or policy.
#[derive(Clone, Debug, Default)]
pub struct History {
    pub namespaces: BTreeMap<String, Labelled>,
    pub(crate) policies: BTreeMap<String, Vec<ManagedField>>,
    /// The time of their creation, and what they hold.
    pub evidence: BTreeMap<String, (Timestamp, SeccompEvidenceStatus)>,
}

/// Why it could not be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot list {resource}: {why}")]
pub struct Unlisted {
    resource: &'static str,
    why: String,
}

/// Why the labels of a namespace were not changed.
#[derive(Debug, thiserror::Error)]
pub enum NotLabelled {
    #[error("namespace {0:?} was changed in the meantime")]
    Changed(String),
    #[error("cannot label namespace {0:?}: {1}")]
    Refused(String, String),
}

/// Reads the namespaces with our label, or the one of that name, and what belongs to them.
///
/// # Errors
/// If one of the lists cannot be read. callgate's own kinds may be unknown to the API server.
pub async fn history(client: &Client, namespace: Option<&str>) -> Result<History, Unlisted> {
    let mut all = History::default();
    let by_name = namespace.map(|it| format!("metadata.name={it}")).unwrap_or_default();
    let label = if namespace.is_some() { "" } else { POLICY_LABEL };
    let namespaces = ("namespaces", "/api/v1/namespaces".to_owned(), label, by_name.as_str(), true);
    each(client, namespaces, |it| {
        let labelled = Labelled {
            labels: labels(it).unwrap_or_default(),
            version: it.version().to_owned(),
            // Without them nothing is known of the time, which is never safe.
            managed_fields: it.managed_fields().unwrap_or_default(),
        };
        all.namespaces.insert(it.name().to_owned(), labelled);
    })
    .await?;
    each(client, (POLICY.plural, POLICY.path.to_owned(), "", "", true), |it| {
        all.policies.insert(it.name().to_owned(), it.managed_fields().unwrap_or_default());
    })
    .await?;
    let path = namespace.map_or(EVIDENCE.path.to_owned(), evidence::path);
    let fields = format!("metadata.name={}", evidence::NAME);
    each(client, (EVIDENCE.plural, path, "", &fields, false), |it| {
        if let (Some(created), Ok(status)) = (it.created(), it.status()) {
            all.evidence.insert(it.namespace().to_owned(), (created, status));
        }
    })
    .await?;
    Ok(all)
}

async fn each(
    client: &Client,
    (resource, path, labels, fields, metadata_only): (&'static str, String, &str, &str, bool),
    mut take: impl FnMut(&Object<'_>),
) -> Result<(), Unlisted> {
    let listing = Listing { path: &path, labels, fields, page: PAGE, metadata_only };
    let mut unreadable = None;
    let listed = list(client, listing, |text| match Object::read(text) {
        Ok(it) => take(&it),
        Err(why) => unreadable = Some(why),
    });
    match (listed.await, unreadable) {
        // The API server does not know the kind: callgate is not installed, or without evidence.
        (Ok(()), None) | (Err(Failure { code: Some(404), .. }), _) => Ok(()),
        (Ok(()), Some(why)) | (Err(Failure { why, .. }), _) => Err(Unlisted { resource, why }),
    }
}

/// Labels a namespace with a mode, unless it has changed since it was read.
///
/// # Errors
/// If it has changed, or the API server rejects it.
pub async fn promote(
    client: &Client,
    (name, version): (&str, &str),
    mode: Mode,
) -> Result<(), NotLabelled> {
    let patch = json!({ "metadata": {
        "resourceVersion": version, "labels": { MODE_LABEL: mode.as_str() },
    } });
    let params =
        PatchParams { field_manager: Some("callgate-ladder".to_owned()), ..PatchParams::default() };
    let request = Request::new("/api/v1/namespaces").patch(name, &params, &Patch::Merge(patch));
    let written =
        async { client.request_text(request.map_err(kube::Error::BuildRequest)?).await.map(drop) };
    match within(PATIENCE, written).await {
        Ok(()) => Ok(()),
        Err(CallError::Answer(kube::Error::Api(it))) if it.is_conflict() => {
            Err(NotLabelled::Changed(name.to_owned()))
        }
        Err(error) => Err(NotLabelled::Refused(name.to_owned(), chain(&error))),
    }
}
