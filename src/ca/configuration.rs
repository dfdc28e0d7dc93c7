//! One webhook configuration, whose `caBundle` fields are the certificates that the API server
//! trusts when it calls our webhooks.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use futures_util::Stream;
use k8s_openapi::{
    api::core::v1::ObjectReference, apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry,
};
use kube::{
    Api, Client, Resource,
    api::{ApiResource, DynamicObject, Patch, PatchParams},
    core::PartialObjectMeta,
};
use serde_json::{Value, json};

use super::{
    MANAGER,
    call::{CallError, WriteOutcome, call, write},
    watch,
};
use crate::group::WEBHOOK_SUFFIX;

/// One webhook configuration, by kind and name.
pub(super) struct Configuration {
    api: Api<DynamicObject>,
    watched: Api<PartialObjectMeta<DynamicObject>>,
    kind: ApiResource,
    name: String,
}

/// A configuration as it was read; a write to it is a conflict once it has changed.
pub(super) struct ConfigurationSnapshot {
    uid: String,
    version: String,
    /// The names of our webhooks and their `caBundle`, decoded.
    webhooks: Vec<(String, Vec<u8>)>,
    /// Another field manager that owns the `caBundle` of one of them.
    manager: Option<String>,
}

impl Configuration {
    pub(super) fn new<K: Resource<DynamicType = ()>>(client: &Client, name: &str) -> Self {
        let kind = ApiResource::erase::<K>(&());
        let api = Api::all_with(client.clone(), &kind);
        let watched = Api::all_with(client.clone(), &kind);
        Self { api, watched, kind, name: name.to_owned() }
    }

    pub(super) async fn read(&self) -> Result<ConfigurationSnapshot, CallError> {
        let what = self.what();
        let object = call(|| format!("read {what}"), self.api.get_opt(&self.name)).await?;
        let object = object.ok_or_else(|| CallError::Missing { what: what.clone() })?;
        let webhooks = object.data["webhooks"].as_array().into_iter().flatten();
        let webhooks: Vec<_> = webhooks.filter_map(webhook).collect();
        if webhooks.is_empty() {
            return Err(CallError::Empty { what });
        }
        let metadata = object.metadata;
        let managers = metadata.managed_fields.unwrap_or_default();
        Ok(ConfigurationSnapshot {
            uid: metadata.uid.unwrap_or_default(),
            version: metadata.resource_version.unwrap_or_default(),
            manager: managers.into_iter().find(sets_a_bundle).and_then(|it| it.manager),
            webhooks,
        })
    }

    /// A reference for Events.
    pub(super) fn reference(&self, found: &ConfigurationSnapshot) -> ObjectReference {
        ObjectReference {
            api_version: Some(self.kind.api_version.clone()),
            kind: Some(self.kind.kind.clone()),
            name: Some(self.name.clone()),
            uid: Some(found.uid.clone()),
            ..ObjectReference::default()
        }
    }

    /// Sets the `caBundle` of our webhooks and nothing else, by server-side apply: the other fields
    /// stay with their managers. `force` takes the field from a manager that overwrote it.
    ///
    /// Returns a conflict if the configuration was changed or deleted after it was read.
    pub(super) async fn publish(
        &self,
        found: &ConfigurationSnapshot,
        bundle: &str,
    ) -> Result<WriteOutcome, CallError> {
        let bundle = STANDARD.encode(bundle);
        let names = found.webhooks.iter().map(|(name, _)| name);
        let webhooks: Vec<_> =
            names.map(|it| json!({ "name": it, "clientConfig": { "caBundle": bundle } })).collect();
        let ours = json!({
            "apiVersion": self.kind.api_version,
            "kind": self.kind.kind,
            "metadata": { "name": self.name, "resourceVersion": found.version },
            "webhooks": webhooks,
        });
        let params = PatchParams::apply(MANAGER).force();
        let what = || format!("publish the CA in {}", self.what());
        write(what, self.api.patch(&self.name, &params, &Patch::Apply(&ours))).await
    }

    pub(super) fn changes(&self) -> impl Stream<Item = ()> + use<> {
        watch::changes(self.watched.clone(), &self.name, self.what())
    }

    pub(super) fn what(&self) -> String {
        format!("{} {:?}", self.kind.kind, self.name)
    }
}

impl ConfigurationSnapshot {
    pub(super) fn bundles(&self) -> impl Iterator<Item = &Vec<u8>> {
        self.webhooks.iter().map(|(_, bundle)| bundle)
    }

    /// Changes when the configuration is deleted and created again.
    pub(super) fn uid(&self) -> &str {
        &self.uid
    }

    /// Another field manager that owns the `caBundle` of one of our webhooks. A removed field has
    /// no manager.
    pub(super) fn manager(&self) -> Option<&str> {
        self.manager.as_deref()
    }
}

/// Whether another manager owns the `caBundle` of one of our webhooks.
fn sets_a_bundle(entry: &ManagedFieldsEntry) -> bool {
    let is_ours = |key: &str| {
        let key = key.strip_prefix("k:").and_then(|it| serde_json::from_str::<Value>(it).ok());
        key.is_some_and(|it| it["name"].as_str().is_some_and(|it| it.ends_with(WEBHOOK_SUFFIX)))
    };
    let fields = entry.fields_v1.as_ref().map(|it| &it.0["f:webhooks"]);
    let mut webhooks = fields.and_then(Value::as_object).into_iter().flatten();
    entry.manager.as_deref() != Some(MANAGER)
        && webhooks.any(|(key, fields)| {
            is_ours(key) && fields["f:clientConfig"].get("f:caBundle").is_some()
        })
}

fn webhook(value: &Value) -> Option<(String, Vec<u8>)> {
    let name = value["name"].as_str().filter(|it| it.ends_with(WEBHOOK_SUFFIX))?;
    let bundle = value["clientConfig"]["caBundle"].as_str().unwrap_or_default();
    Some((name.to_owned(), STANDARD.decode(bundle).unwrap_or_default()))
}
