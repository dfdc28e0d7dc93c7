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
                self.create(&secret, false).await
            }
        }
    }

    async fn create(&self, secret: &Secret, dry_run: bool) -> Result<WriteOutcome, CallError> {
        let what = || format!("create Secret {:?}", self.name);
        match call(what, self.api.create(&params(dry_run), secret)).await {
            Ok(_) => Ok(WriteOutcome::Done),
            Err(CallError::Refused { source: kube::Error::Api(status), .. })
                if status.is_already_exists() =>
            {
                Ok(WriteOutcome::Conflict)
            }
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

fn params(dry_run: bool) -> PostParams {
    PostParams { field_manager: Some(MANAGER.to_owned()), dry_run }
}

impl SecretSnapshot {
    pub(super) fn data(&self) -> Option<SecretData> {
        let data = self.0.as_ref()?.data.clone().unwrap_or_default();
        Some(data.into_iter().map(|(name, ByteString(it))| (name, it)).collect())
    }
}
