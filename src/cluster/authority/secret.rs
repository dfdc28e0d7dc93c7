//! The Secret that all replicas share, changed by compare-and-swap.

use std::collections::BTreeMap;

use futures_util::Stream;
use k8s_openapi::{ByteString, api::core::v1::Secret};
use kube::{
    Api, Client,
    api::{ObjectMeta, PostParams},
    core::PartialObjectMeta,
};

use super::{
    Data, MANAGER,
    call::{CallError, Written, call, write},
    watch,
};

/// One Secret, by name.
pub(super) struct Place {
    api: Api<Secret>,
    watched: Api<PartialObjectMeta<Secret>>,
    name: String,
}

/// The Secret as it was; what is written is written over exactly this.
pub(super) struct Held(Option<Secret>);

impl Place {
    pub(super) fn new(client: &Client, namespace: &str, name: &str) -> Self {
        let api = Api::namespaced(client.clone(), namespace);
        let watched = Api::namespaced(client.clone(), namespace);
        Self { api, watched, name: name.to_owned() }
    }

    pub(super) fn changes(&self) -> impl Stream<Item = ()> + use<> {
        watch::changes(self.watched.clone(), &self.name, format!("Secret {:?}", self.name))
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) async fn read(&self) -> Result<Held, CallError> {
        let what = || format!("read Secret {:?}", self.name);
        call(what, self.api.get_opt(&self.name)).await.map(Held)
    }

    /// Writes unless somebody else has written since.
    pub(super) async fn write(&self, held: Held, data: Data) -> Result<Written, CallError> {
        let params =
            PostParams { field_manager: Some(MANAGER.to_owned()), ..PostParams::default() };
        let data = Some(data.into_iter().map(|(name, it)| (name, ByteString(it))).collect());
        match held.0 {
            None => {
                let secret = Secret { data, metadata: self.metadata(), ..Secret::default() };
                let what = || format!("create Secret {:?}", self.name);
                write(what, self.api.create(&params, &secret)).await
            }
            // It carries its resourceVersion: over a newer one it is a conflict.
            Some(secret) => {
                let secret = Secret { data, ..secret };
                let what = || format!("update Secret {:?}", self.name);
                write(what, self.api.replace(&self.name, &params, &secret)).await
            }
        }
    }

    fn metadata(&self) -> ObjectMeta {
        let labels = BTreeMap::from(
            ["name", "managed-by"]
                .map(|it| (format!("app.kubernetes.io/{it}"), "callgate".to_owned())),
        );
        ObjectMeta { name: Some(self.name.clone()), labels: Some(labels), ..ObjectMeta::default() }
    }
}

impl Held {
    pub(super) fn data(&self) -> Option<Data> {
        let data = self.0.as_ref()?.data.clone().unwrap_or_default();
        Some(data.into_iter().map(|(name, ByteString(it))| (name, it)).collect())
    }
}
