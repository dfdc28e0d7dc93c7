//! Writes evidence, and Reports of it, to the API server.

use std::time::Duration;

use kube::{
    Client,
    api::{Patch, PatchParams, PostParams},
    core::Request,
};
use serde_json::json;

use super::{NAME, chain, ledger::Write, report, tally::Tally};
use crate::{
    api::SeccompEvidenceStatus,
    call::{CallError, within},
    group::{API_PATH, API_VERSION, EVIDENCE},
    log_once::LogOnce,
    watch::Object,
};

/// The field manager of Reports. All replicas use the same one, and nothing else uses it.
const MANAGER: &str = "callgate-evidence";

/// The deadline of one call, kube's own retries included.
const PATIENCE: Duration = Duration::from_secs(5);

/// The outcome of a write.
pub(super) enum Written {
    /// What the object holds now; `None` if it was only created.
    Done(Option<SeccompEvidenceStatus>),
    /// Another replica wrote at the same time.
    Conflict,
    /// The namespace is gone.
    Gone,
    Failed(String),
}

/// Adds counts to the object, which is created if it does not exist.
pub(super) async fn put(client: &Client, Write { namespace, tally }: &Write) -> Written {
    match put_all(client, namespace, tally.clone()).await {
        Ok(status) => Written::Done(status),
        Err(CallError::Answer(kube::Error::Api(it))) if it.is_conflict() => Written::Conflict,
        Err(CallError::Answer(kube::Error::Api(it))) if is_gone(&it) => Written::Gone,
        Err(error) => Written::Failed(chain(&error)),
    }
}

/// Whether the namespace does not exist, or is being deleted.
fn is_gone(status: &kube::core::Status) -> bool {
    let details = status.details.as_ref();
    let is_of_namespace = details.is_some_and(|it| it.kind == "namespaces");
    let is_terminating =
        details.is_some_and(|it| it.causes.iter().any(|it| it.reason == "NamespaceTerminating"));
    (status.is_not_found() && is_of_namespace) || is_terminating
}

/// The path of the objects of a namespace.
pub(in crate::cluster) fn path(namespace: &str) -> String {
    format!("{API_PATH}/namespaces/{namespace}/{}", EVIDENCE.plural)
}

async fn put_all(
    client: &Client,
    namespace: &str,
    tally: Tally,
) -> Result<Option<SeccompEvidenceStatus>, CallError> {
    let call = |request: Result<http::Request<Vec<u8>>, kube::core::request::Error>| {
        let client = client.clone();
        let sent =
            async move { client.request_text(request.map_err(kube::Error::BuildRequest)?).await };
        within(PATIENCE, sent)
    };
    let api = Request::new(path(namespace));
    let create = || {
        let object = json!({
            "apiVersion": API_VERSION,
            "kind": EVIDENCE.kind,
            "metadata": { "name": NAME, "labels": { "app.kubernetes.io/managed-by": "callgate" } },
            "spec": {},
        });
        call(api.create(&PostParams::default(), object.to_string().into_bytes()))
    };
    let exists = |error: &CallError| matches!(error, CallError::Answer(kube::Error::Api(it)) if it.is_already_exists());
    if tally.is_empty() {
        return match create().await {
            Err(error) if !exists(&error) => Err(error),
            _ => Ok(None),
        };
    }
    let text = match call(api.get(NAME, &kube::api::GetParams::default())).await {
        Err(CallError::Answer(kube::Error::Api(it))) if it.is_not_found() => create().await?,
        other => other?,
    };
    let object = Object::read(&text).ok();
    let version = object.as_ref().map(|it| it.version().to_owned()).unwrap_or_default();
    // What cannot be read is replaced: a client that may write it has written what is no evidence.
    let stored: Option<SeccompEvidenceStatus> = object.and_then(|it| it.status().ok());
    let mut all = Tally::from(stored.unwrap_or_default());
    all.merge(tally);
    let status = SeccompEvidenceStatus::from(all);
    let patch = json!({ "metadata": { "resourceVersion": version }, "status": status });
    let params = PatchParams::default();
    call(api.patch_subresource("status", NAME, &params, &Patch::Merge(patch))).await?;
    Ok(Some(status))
}

/// Writes the Report on a namespace. One that cannot be written is written with the next evidence.
pub(super) async fn put_report(
    client: &Client,
    namespace: &str,
    status: &SeccompEvidenceStatus,
    logged: &mut LogOnce<&'static str>,
) {
    let report = report::report(namespace, status);
    let params = PatchParams::apply(MANAGER).force();
    let request =
        Request::new(report::path(namespace)).patch(NAME, &params, &Patch::Apply(&report));
    let written =
        async { client.request_text(request.map_err(kube::Error::BuildRequest)?).await.map(drop) };
    match within(PATIENCE, written).await {
        Ok(()) => _ = logged.is_over(&"report"),
        Err(error) => {
            let why = chain(&error);
            if logged.is_new("report", why.clone()) {
                tracing::warn!(namespace, error = why, "a report of openreports.io is not written");
            }
        }
    }
}
