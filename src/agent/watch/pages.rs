//! Reads profiles from the API server, a bounded number of bytes at a time.
//!
//! A list is read in pages of so many objects, and an object may have 10 KB or
//! a megabyte.

use std::time::Duration;

use http_body_util::{BodyExt, Limited};
use kube::{
    Client,
    api::{ApiResource, ListParams, ObjectMeta},
    client::Body,
    core::{GroupVersionKind, Request},
};
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::{
    task::yield_now,
    time::{error::Elapsed, timeout},
};

use crate::agent::{
    name::Name,
    wanted::{Want, want},
};

/// With how many objects a list begins, and how many one page has at most.
const FIRST_PAGE: u32 = 50;
const LARGEST_PAGE: u32 = 100;

/// What a page may have in bytes: it is asked for again with half of its
/// objects, where it has more. One object alone may have more.
const PAGE_BYTES: usize = 2 * 1024 * 1024;
const OBJECT_BYTES: usize = 8 * 1024 * 1024;

/// How long one answer may take.
const DEADLINE: Duration = Duration::from_secs(30);

const PATH: &str = "/apis/callgate.dev/v1alpha1/seccompprofiles";

/// Why profiles could not be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum WatchError {
    #[error("cannot read profiles")]
    Call(#[from] kube::Error),
    #[error("cannot read profiles: no answer within {} s", DEADLINE.as_secs())]
    Late(#[from] Elapsed),
    #[error("cannot read profiles: the API server answered {status}: {text}")]
    Refused { status: u16, text: String },
    #[error("cannot read profiles: the answer has more than {OBJECT_BYTES} bytes")]
    TooLarge,
    #[error("cannot read profiles: the answer means nothing")]
    Malformed(#[from] serde_json::Error),
}

/// A `SeccompProfile`, still as text.
#[derive(Deserialize)]
pub(super) struct Item<'a> {
    pub(super) metadata: Metadata,
    #[serde(borrow, default)]
    pub(super) spec: Option<&'a RawValue>,
}

#[derive(Deserialize)]
pub(super) struct Metadata {
    pub(super) name: String,
    uid: Option<String>,
    generation: Option<i64>,
}

/// As long as these are the same, so is the spec.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Key {
    uid: String,
    generation: i64,
}

#[derive(Deserialize)]
struct Page<'a> {
    #[serde(default)]
    metadata: PageMetadata,
    #[serde(borrow)]
    items: Vec<Item<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct PageMetadata {
    resource_version: Option<String>,
    #[serde(rename = "continue")]
    token: Option<String>,
}

/// Shows every profile, and returns the version from which on to watch.
pub(super) async fn list(
    client: &Client,
    mut see: impl FnMut(Item<'_>) -> bool,
) -> Result<String, WatchError> {
    let (mut limit, mut token) = (FIRST_PAGE, None);
    loop {
        let params =
            ListParams { limit: Some(limit), continue_token: token.clone(), ..<_>::default() };
        let request = Request::new(PATH).list(&params).map_err(kube::Error::BuildRequest)?;
        let most = if limit == 1 { OBJECT_BYTES } else { PAGE_BYTES };
        let Some(bytes) = answer(client, request, most).await? else {
            if limit == 1 {
                return Err(WatchError::TooLarge);
            }
            limit /= 2;
            continue;
        };
        if bytes.len() < PAGE_BYTES / 4 {
            limit = (limit * 2).min(LARGEST_PAGE);
        }
        let page: Page<'_> = serde_json::from_slice(&bytes)?;
        for item in page.items {
            see(item);
            // To read a large one takes a while, and there is one thread.
            yield_now().await;
        }
        token = page.metadata.token.filter(|it| !it.is_empty());
        if token.is_none() {
            return Ok(page.metadata.resource_version.unwrap_or_default());
        }
    }
}

/// Reads one profile; an error says in words why it cannot.
pub(in crate::agent) async fn fetch(client: &Client, name: &Name) -> Result<Want, String> {
    let read = async {
        let request = Request::new(PATH);
        let request =
            request.get(name.as_str(), &<_>::default()).map_err(kube::Error::BuildRequest)?;
        answer(client, request, OBJECT_BYTES).await?.ok_or(WatchError::TooLarge)
    };
    let bytes = read.await.map_err(|it| crate::causes::chain(&it))?;
    let item: Item<'_> = serde_json::from_slice(&bytes).map_err(|it| it.to_string())?;
    Ok(want(item.spec.map_or("null", RawValue::get)))
}

/// What the API server answers; none, where it has more than so many bytes.
async fn answer(
    client: &Client,
    request: http::Request<Vec<u8>>,
    most: usize,
) -> Result<Option<bytes::Bytes>, WatchError> {
    let answer = async {
        let response = client.send(request.map(Body::from)).await?;
        let status = response.status();
        let Ok(body) = Limited::new(response.into_body(), most).collect().await else {
            return Ok(None);
        };
        let bytes = body.to_bytes();
        if status.is_success() {
            return Ok(Some(bytes));
        }
        let text = String::from_utf8_lossy(&bytes[..bytes.len().min(512)]).into_owned();
        Err(WatchError::Refused { status: status.as_u16(), text })
    };
    timeout(DEADLINE, answer).await?
}

pub(super) fn profiles() -> ApiResource {
    ApiResource::from_gvk(&GroupVersionKind::gvk("callgate.dev", "v1alpha1", "SeccompProfile"))
}

impl Metadata {
    /// None, where nothing says when the spec was changed.
    pub(super) fn key(&self) -> Option<Key> {
        Some(Key { uid: self.uid.clone()?, generation: self.generation? })
    }
}

impl From<ObjectMeta> for Metadata {
    fn from(it: ObjectMeta) -> Self {
        Self { name: it.name.unwrap_or_default(), uid: it.uid, generation: it.generation }
    }
}
