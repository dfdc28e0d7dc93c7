//! The Secret that all replicas share, written by compare-and-swap on its `resourceVersion`.

use std::collections::BTreeMap;

use futures_util::Stream;
use k8s_openapi::{ByteString, api::core::v1::Secret};
use kube::{
    Api, Client,
    api::{DeleteParams, ObjectMeta, PostParams, Preconditions},
    core::PartialObjectMeta,
};

use super::{
    MANAGER,
    call::{CallError, WriteOutcome, call, write},
    stored::SecretData,
    watch,
};

/// How often a write that conflicts is repeated to add what a deleted Secret held.
const ATTEMPTS: usize = 3;

type Contents = Option<BTreeMap<String, ByteString>>;

/// One Secret, by name.
pub(super) struct SecretRef {
    api: Api<Secret>,
    watched: Api<PartialObjectMeta<Secret>>,
    name: String,
}

/// The Secret as it was; what is written is written over exactly this.
pub(super) struct SecretSnapshot(Option<Secret>);

impl SecretRef {
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

    pub(super) async fn read(&self) -> Result<SecretSnapshot, CallError> {
        let what = || format!("read Secret {:?}", self.name);
        call(what, self.api.get_opt(&self.name)).await.map(SecretSnapshot)
    }

    /// Writes the data; a conflict if the Secret was changed after it was read.
    pub(super) async fn write(
        &self,
        held: SecretSnapshot,
        data: SecretData,
    ) -> Result<WriteOutcome, CallError> {
        let data = Some(data.into_iter().map(|(name, it)| (name, ByteString(it))).collect());
        match held.0 {
            None => {
                let secret = Secret { data, metadata: self.metadata(), ..Secret::default() };
                self.create(&secret, false).await
            }
            Some(old) if old.immutable == Some(true) => self.make_anew(old, data).await,
            // It carries the resourceVersion that was read, so that a newer one is a conflict.
            Some(secret) => {
                let secret = Secret { data, ..secret };
                let what = || format!("update Secret {:?}", self.name);
                write(what, self.api.replace(&self.name, &params(false), &secret)).await
            }
        }
    }

    /// Deletes the immutable Secret that was read, and creates another one in its place.
    ///
    /// A replica that finds none meanwhile stores the CA that it signs with. A dry run first tests
    /// that the API server would create the new one: it asks quotas and webhooks before it notices
    /// that the name is taken.
    async fn make_anew(&self, old: Secret, data: Contents) -> Result<WriteOutcome, CallError> {
        let Secret { metadata, type_, .. } = old;
        let what = || format!("Secret {:?}, which is immutable", self.name);
        if metadata.deletion_timestamp.is_some() {
            return Err(CallError::Stuck { what: what() });
        }
        let ObjectMeta { labels, annotations, owner_references, uid, resource_version, .. } =
            metadata;
        let metadata = ObjectMeta {
            labels: labels.or(self.metadata().labels),
            annotations,
            owner_references,
            ..self.metadata()
        };
        let secret = Secret { data, type_, metadata, ..Secret::default() };
        if self.create(&secret, true).await? == WriteOutcome::Done {
            return Ok(WriteOutcome::Conflict);
        }
        let delete = DeleteParams::default().preconditions(Preconditions { resource_version, uid });
        let deleted = self.api.delete(&self.name, &delete);
        match write(|| format!("delete {}", what()), deleted).await? {
            WriteOutcome::Conflict => Ok(WriteOutcome::Conflict),
            WriteOutcome::Done => {
                tracing::warn!(secret = self.name, "the Secret was immutable, recreated");
                match self.create(&secret, false).await? {
                    WriteOutcome::Done => Ok(WriteOutcome::Done),
                    WriteOutcome::Conflict => self.add_missing(&secret).await,
                }
            }
        }
    }

    /// Adds to the Secret that another replica created, between our delete and our create, what
    /// only the deleted one held: that replica knows the CA and nothing else.
    async fn add_missing(&self, deleted: &Secret) -> Result<WriteOutcome, CallError> {
        for _ in 0..ATTEMPTS {
            let what = || format!("read Secret {:?}", self.name);
            let Some(created) = call(what, self.api.get_opt(&self.name)).await? else { break };
            let what = || format!("update Secret {:?}", self.name);
            let merged = with_missing(created, deleted);
            let params = params(false);
            let replaced = self.api.replace(&self.name, &params, &merged);
            if write(what, replaced).await? == WriteOutcome::Done {
                break;
            }
        }
        Ok(WriteOutcome::Conflict)
    }

    async fn create(&self, secret: &Secret, dry_run: bool) -> Result<WriteOutcome, CallError> {
        let what = || format!("create Secret {:?}", self.name);
        match call(what, self.api.create(&params(dry_run), secret)).await {
            Ok(_) => Ok(WriteOutcome::Done),
            Err(CallError::Call {
                source: crate::call::CallError::Answer(kube::Error::Api(status)),
                ..
            }) if status.is_already_exists() => Ok(WriteOutcome::Conflict),
            // A namespace that does not exist is an error, not a conflict.
            Err(error) => Err(error),
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

/// `created` with the keys, labels and annotations that only `deleted` has.
fn with_missing(mut created: Secret, deleted: &Secret) -> Secret {
    fn add<T: Clone>(to: &mut Option<BTreeMap<String, T>>, from: Option<&BTreeMap<String, T>>) {
        for (key, value) in from.into_iter().flatten() {
            to.get_or_insert_default().entry(key.clone()).or_insert_with(|| value.clone());
        }
    }
    add(&mut created.data, deleted.data.as_ref());
    add(&mut created.metadata.labels, deleted.metadata.labels.as_ref());
    add(&mut created.metadata.annotations, deleted.metadata.annotations.as_ref());
    created
}

fn params(dry_run: bool) -> PostParams {
    PostParams { field_manager: Some(MANAGER.to_owned()), dry_run }
}

impl SecretSnapshot {
    pub(super) fn data(&self) -> Option<SecretData> {
        let data = self.0.as_ref()?.data.clone().unwrap_or_default();
        Some(data.into_iter().map(|(name, ByteString(it))| (name, it)).collect())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn secret(metadata: &Value, data: &Value) -> Secret {
        serde_json::from_value(json!({ "metadata": metadata, "data": data })).unwrap()
    }

    #[test]
    fn what_only_the_deleted_secret_held_is_added_and_nothing_overwritten() {
        let deleted = secret(
            &json!({ "labels": { "team": "shop", "a": "old" }, "annotations": { "why": "audit" } }),
            &json!({ "ca.crt": "b2xk", "x": "eA==" }),
        );
        let created = secret(
            &json!({ "labels": { "a": "new" }, "resourceVersion": "7" }),
            &json!({ "ca.crt": "bmV3", "ca.key": "bmV3" }),
        );
        let merged = secret(
            &json!({
                "labels": { "team": "shop", "a": "new" }, "annotations": { "why": "audit" },
                "resourceVersion": "7",
            }),
            &json!({ "ca.crt": "bmV3", "ca.key": "bmV3", "x": "eA==" }),
        );
        assert_eq!(with_missing(created, &deleted), merged);
    }
}
