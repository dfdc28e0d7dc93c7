//! The bundles by which the API server trusts our webhooks.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use futures_util::Stream;
use kube::{
    Api, Client, Resource,
    api::{ApiResource, DynamicObject, Patch, PatchParams},
    core::PartialObjectMeta,
};
use serde_json::{Value, json};

use super::{
    DOMAIN, MANAGER,
    call::{CallError, Written, call, write},
    watch,
};

/// One webhook configuration, by kind and name.
pub(super) struct Configuration {
    api: Api<DynamicObject>,
    watched: Api<PartialObjectMeta<DynamicObject>>,
    kind: ApiResource,
    name: String,
}

/// A configuration as it was; what is published is published over exactly this.
pub(super) struct Found {
    version: String,
    /// Our webhooks and whom they trust.
    webhooks: Vec<(String, Vec<u8>)>,
}

impl Configuration {
    pub(super) fn new<K: Resource<DynamicType = ()>>(client: &Client, name: &str) -> Self {
        let kind = ApiResource::erase::<K>(&());
        let api = Api::all_with(client.clone(), &kind);
        let watched = Api::all_with(client.clone(), &kind);
        Self { api, watched, kind, name: name.to_owned() }
    }

    pub(super) async fn read(&self) -> Result<Found, CallError> {
        let what = self.what();
        let object = call(|| format!("read {what}"), self.api.get_opt(&self.name)).await?;
        let object = object.ok_or_else(|| CallError::Missing { what: what.clone() })?;
        let webhooks = object.data["webhooks"].as_array().into_iter().flatten();
        let webhooks: Vec<_> = webhooks.filter_map(webhook).collect();
        if webhooks.is_empty() {
            return Err(CallError::Empty { what });
        }
        Ok(Found { version: object.metadata.resource_version.unwrap_or_default(), webhooks })
    }

    /// Sets the bundle of our webhooks and nothing else, unless the
    /// configuration was changed or deleted since it was read.
    ///
    /// Others set the other fields: server-side apply lets each keep his own.
    /// It is by force that we take this one back from whoever overwrote it.
    pub(super) async fn publish(&self, found: &Found, bundle: &str) -> Result<Written, CallError> {
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
        let what = || format!("publish the authority in {}", self.what());
        write(what, self.api.patch(&self.name, &params, &Patch::Apply(&ours))).await
    }

    pub(super) fn changes(&self) -> impl Stream<Item = ()> + use<> {
        watch::changes(self.watched.clone(), &self.name, self.what())
    }

    pub(super) fn what(&self) -> String {
        format!("{} {:?}", self.kind.kind, self.name)
    }
}

impl Found {
    pub(super) fn bundles(&self) -> impl Iterator<Item = &Vec<u8>> {
        self.webhooks.iter().map(|(_, bundle)| bundle)
    }
}

fn webhook(value: &Value) -> Option<(String, Vec<u8>)> {
    let name = value["name"].as_str().filter(|it| it.ends_with(DOMAIN))?;
    let bundle = value["clientConfig"]["caBundle"].as_str().unwrap_or_default();
    Some((name.to_owned(), STANDARD.decode(bundle).unwrap_or_default()))
}
