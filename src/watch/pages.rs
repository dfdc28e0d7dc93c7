//! Requests of lists and watches, and lists page by page.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, header::ACCEPT};
use http_body_util::BodyExt;
use kube::{Client, client::Body};
use serde::Deserialize;
use tokio::{
    task::yield_now,
    time::{error::Elapsed, timeout},
};

use super::{source::accept, split::Items, stream::Failure};
use crate::causes::chain;

/// How much of an error's text is read.
const LONGEST_ERROR: usize = 64 << 10;
const LONGEST_REASON: usize = 512;

/// The fields of a list besides its items.
#[derive(Deserialize)]
struct List {
    metadata: ListMetadata,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ListMetadata {
    resource_version: String,
    r#continue: String,
}

/// The `Status` in an error of the API server.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Status {
    pub(super) code: u16,
    message: String,
    /// Where a list can be continued whose `continue` has expired.
    metadata: ListMetadata,
}

/// Why a request has no answer that can be used.
pub(super) enum Refusal {
    Status(Status),
    Failed(Failure),
}

/// Which objects are listed once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Listing<'a> {
    /// The path of their list.
    pub(crate) path: &'a str,
    /// Selectors; empty for all.
    pub(crate) labels: &'a str,
    pub(crate) fields: &'a str,
    /// The number of objects in a page.
    pub(crate) page: usize,
    /// Whether only their metadata are passed on.
    pub(crate) metadata_only: bool,
}

/// How long the API server may take to begin an answer to a list, and to continue it.
const PATIENCE: Duration = Duration::from_mins(1);

/// Passes on every object of a list as text, one at a time.
pub(crate) async fn list(
    client: &Client,
    listing: Listing<'_>,
    each: impl FnMut(&str),
) -> Result<(), Failure> {
    let Listing { path, labels, fields, page, metadata_only } = listing;
    let mut uri = format!("{path}?limit={page}");
    for (key, selector) in [("labelSelector", labels), ("fieldSelector", fields)] {
        if !selector.is_empty() {
            uri.extend(["&", key, "=", &encoded(selector)]);
        }
    }
    let accept = accept(metadata_only, true);
    let pages = pages(client, &uri, accept, (PATIENCE, Expired::Continues), each);
    pages.await.map(drop).map_err(Into::into)
}

/// What happens if the API server no longer has the version of the first page.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Expired {
    /// The list fails: a watch must know every object at one version.
    Fails,
    /// The list goes on with the current version.
    Continues,
}

/// Passes on every item of a list, and returns its resource version.
///
/// `uri` has a limit, so that the API server returns the list in pages.
pub(super) async fn pages(
    client: &Client,
    uri: &str,
    accept: &str,
    (patience, expired): (Duration, Expired),
    mut each: impl FnMut(&str),
) -> Result<String, Refusal> {
    let mut next = String::new();
    loop {
        let mut body = match ask(client, &format!("{uri}{next}"), accept, patience).await {
            Err(Refusal::Status(it)) if expired == Expired::Continues && it.is_continued() => {
                next = format!("&continue={}", encoded(&it.metadata.r#continue));
                continue;
            }
            other => other?,
        };
        let mut items = Items::default();
        while let Some(bytes) = timeout(patience, chunk(&mut body)).await?? {
            items.push(&bytes, |text| each(&text));
            // Reading many objects takes a while, and an agent has only one thread.
            yield_now().await;
        }
        let List { metadata } = serde_json::from_str(&items.rest()).map_err(Failure::from)?;
        if metadata.r#continue.is_empty() {
            return Ok(metadata.resource_version);
        }
        next = format!("&continue={}", encoded(&metadata.r#continue));
    }
}

/// The body of an answer to a GET.
pub(super) async fn ask(
    client: &Client,
    uri: &str,
    accept: &str,
    patience: Duration,
) -> Result<Body, Refusal> {
    let request = Request::get(uri).header(ACCEPT, accept);
    let request = request.body(Body::empty()).map_err(|it| Failure::silent(chain(&it)))?;
    let sent = timeout(patience, client.send(request)).await?;
    let response = sent.map_err(|it| Failure::silent(chain(&it)))?;
    let (code, mut body) = (response.status(), response.into_body());
    if code.is_success() {
        return Ok(body);
    }
    let mut text = Vec::new();
    while text.len() < LONGEST_ERROR
        && let Some(bytes) = timeout(patience, chunk(&mut body)).await??
    {
        text.extend_from_slice(&bytes);
    }
    let status: Status = serde_json::from_slice(&text).unwrap_or_default();
    let message = if status.message.is_empty() { code.to_string() } else { status.message };
    Err(Refusal::Status(Status { code: code.as_u16(), message, ..status }))
}

/// The next bytes of a body.
pub(super) async fn chunk(body: &mut Body) -> Result<Option<Bytes>, Failure> {
    loop {
        match body.frame().await {
            None => return Ok(None),
            Some(Err(error)) => return Err(Failure::silent(chain(&error))),
            // Trailers hold no data.
            Some(Ok(frame)) => {
                if let Ok(bytes) = frame.into_data() {
                    return Ok(Some(bytes));
                }
            }
        }
    }
}

/// Encodes a value for the query of a URI.
pub(super) fn encoded(text: &str) -> String {
    let plain = |it: u8| it.is_ascii_alphanumeric() || b"-_.~".contains(&it);
    text.bytes()
        .map(|it| if plain(it) { char::from(it).to_string() } else { format!("%{it:02X}") })
        .collect()
}

impl Status {
    /// Whether the version has expired, and the rest of the list can be had at another one.
    fn is_continued(&self) -> bool {
        self.code == 410 && !self.metadata.r#continue.is_empty()
    }
}

impl From<Status> for Failure {
    fn from(Status { code, message, .. }: Status) -> Self {
        let message = &message[..message.floor_char_boundary(LONGEST_REASON)];
        let why = format!("the API server says: {message}");
        Self { why, is_answer: true, code: Some(code) }
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Status(status) => status.into(),
            Refusal::Failed(it) => it,
        }
    }
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl From<Elapsed> for Refusal {
    fn from(elapsed: Elapsed) -> Self {
        Self::Failed(elapsed.into())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use http::Response;
    use tower::service_fn;

    use super::*;

    /// Lists pods of an API server that forgets the version of the first page.
    #[tokio::test]
    async fn a_list_whose_version_expires_goes_on_with_the_current_one() {
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let log = Arc::clone(&asked);
        let service = service_fn(move |request: Request<Body>| {
            let query = request.uri().query().unwrap_or_default().to_owned();
            let (code, text) = match query.rsplit("continue=").next() {
                Some("old") => {
                    (410, r#"{"kind":"Status","metadata":{"continue":"new"},"code":410}"#)
                }
                Some("new") => (200, r#"{"metadata":{},"items":[{"name":"b"}]}"#),
                _ => (200, r#"{"metadata":{"continue":"old"},"items":[{"name":"a"}]}"#),
            };
            log.lock().unwrap().push(query);
            let response =
                Response::builder().status(code).body(Body::from(text.as_bytes().to_vec()));
            std::future::ready(response.map_err(|it| it.to_string()))
        });
        let client = Client::new(service, "default");
        let listing = Listing {
            path: "/api/v1/pods",
            labels: "app in (a,b)",
            fields: "",
            page: 1,
            metadata_only: false,
        };
        let mut found = Vec::new();
        let result = list(&client, listing, |it| found.push(it.to_owned())).await;
        assert_eq!(result, Ok(()));
        assert_eq!(found, [r#"{"name":"a"}"#, r#"{"name":"b"}"#]);
        let first = "limit=1&labelSelector=app%20in%20%28a%2Cb%29";
        let expected = ["", "&continue=old", "&continue=new"].map(|it| format!("{first}{it}"));
        assert_eq!(*asked.lock().unwrap(), expected);
    }
}
