//! Lists the objects of one type, then watches them, for ever.
//!
//! A watch is short: when the API server ends it, all that happened until then has been told, and
//! that is how we know how old our knowledge is. One that says nothing for longer is given up, and
//! its connection with it.

use std::{
    hash::{BuildHasher, RandomState},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, header::ACCEPT};
use http_body_util::BodyExt;
use kube::{Client, client::Body};
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::time::{Instant, error::Elapsed, sleep, timeout, timeout_at};

use super::{
    cut,
    facts::Change,
    kind::Kind,
    object::Object,
    split::{Items, Lines},
};
use crate::causes::chain;

/// How long a watch lasts. Three replicas with six watches each begin about two in a second.
const TERM: Duration = Duration::from_secs(10);

/// How long the first one lasts after a failure: its end confirms that we are up to date again.
const FIRST_TERM: Duration = Duration::from_secs(1);

/// How much later its end may come.
const GRACE: Duration = Duration::from_secs(2);

/// How long the API server may take to begin an answer or to go on with it.
const SILENCE: Duration = Duration::from_secs(5);

/// The pauses between tries: the first, and the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// What is read of the text of a refusal, and what is told of it.
const LONGEST_REFUSAL: usize = 64 << 10;
const LONGEST_REASON: usize = 512;

/// What became of a list or a watch.
#[derive(Debug)]
pub(super) enum Told<T> {
    Change(Change<T>),
    /// An object of which not even the name can be read.
    Nameless(String),
    /// Up to this instant all has been told.
    Confirmed(Instant),
    Failed(Failure),
}

/// Why a list or a watch ended too soon; it is tried again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) why: String,
    /// Whether the API server said so, rather than nothing.
    pub(super) is_answer: bool,
}

struct Stream<'a, Read, Tell> {
    client: &'a Client,
    kind: Kind,
    /// That of the last change.
    version: Option<String>,
    read: Read,
    tell: Tell,
}

/// What of a list is not its items.
#[derive(Deserialize)]
struct List {
    metadata: ListMetadata,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ListMetadata {
    resource_version: String,
    #[serde(default)]
    r#continue: String,
}

/// One line of a watch.
#[derive(Deserialize)]
struct Line<'a> {
    r#type: &'a str,
    #[serde(borrow)]
    object: &'a RawValue,
}

/// What the API server says when it refuses.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Status {
    message: String,
    code: u16,
}

/// Tells of all objects of a type, for ever, as `read` reads them.
pub(super) async fn stream<T>(
    client: &Client,
    kind: Kind,
    read: impl Fn(&Object<'_>) -> T,
    tell: impl Fn(Told<T>),
) {
    let mut stream = Stream { client, kind, version: None, read, tell };
    let (mut pause, mut term) = (FIRST_PAUSE, TERM);
    loop {
        let began = Instant::now();
        let outcome = match stream.version.clone() {
            None => stream.list().await.map(|()| true),
            // One that ends at once did not fail, but the next one must not begin at once.
            Some(version) => {
                stream.watch(&version, term).await.map(|()| began.elapsed() > term / 2)
            }
        };
        let is_good = *outcome.as_ref().unwrap_or(&false);
        if let Err(failure) = outcome {
            (stream.tell)(Told::Failed(failure));
        }
        if is_good {
            (pause, term) = (FIRST_PAUSE, TERM);
            continue;
        }
        term = FIRST_TERM;
        sleep(jittered(pause)).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

impl<T, Read: Fn(&Object<'_>) -> T, Tell: Fn(Told<T>)> Stream<'_, Read, Tell> {
    async fn list(&mut self) -> Result<(), Failure> {
        let began = Instant::now();
        (self.tell)(Told::Change(Change::Begin));
        let (path, limit) = (self.kind.path(), self.kind.page());
        let mut next = String::new();
        let version = loop {
            let mut body = self.ask(&format!("{path}?limit={limit}{next}"), true).await?;
            let mut items = Items::default();
            while let Some(bytes) = timeout(SILENCE, chunk(&mut body)).await?? {
                items.push(&bytes, |text| drop(self.told(&text, Change::Listed)));
            }
            let List { metadata } = serde_json::from_str(&items.rest())?;
            if metadata.r#continue.is_empty() {
                break metadata.resource_version;
            }
            next = format!("&continue={}", encoded(&metadata.r#continue));
        };
        self.version = Some(version);
        (self.tell)(Told::Change(Change::End));
        (self.tell)(Told::Confirmed(began));
        Ok(())
    }

    async fn watch(&mut self, version: &str, term: Duration) -> Result<(), Failure> {
        let began = Instant::now();
        let (path, seconds, version) = (self.kind.path(), term.as_secs(), encoded(version));
        let uri = format!(
            "{path}?watch=true&allowWatchBookmarks=true&timeoutSeconds={seconds}&resourceVersion={version}"
        );
        let mut body = self.ask(&uri, false).await?;
        let mut lines = Lines::default();
        while let Some(bytes) = timeout_at(began + term + GRACE, chunk(&mut body)).await?? {
            let mut all = Vec::new();
            lines.push(&bytes, |it| all.push(it));
            all.iter().try_for_each(|it| self.line(it))?;
        }
        // What comes late may have been under way for long.
        (self.tell)(Told::Confirmed(Instant::now().min(began + term)));
        Ok(())
    }

    fn line(&mut self, text: &str) -> Result<(), Failure> {
        let Line { r#type, object } = match serde_json::from_str(text) {
            Ok(line) => line,
            Err(error) => {
                (self.tell)(Told::Nameless(error.to_string()));
                return Ok(());
            }
        };
        let object = object.get();
        let version = match r#type {
            "ADDED" | "MODIFIED" => self.told(object, Change::Put),
            "DELETED" => self.told(object, |name, _| Change::Gone(name)),
            "BOOKMARK" => Object::read(object).ok().map(|it| it.version().to_owned()),
            _ => {
                let Status { message, code } = serde_json::from_str(object).unwrap_or_default();
                return Err(self.refused(code, &message));
            }
        };
        self.version = version.or(self.version.take());
        Ok(())
    }

    /// Tells of an object, and returns its version.
    fn told(&self, text: &str, change: impl Fn(String, T) -> Change<T>) -> Option<String> {
        let object = Object::read(text).and_then(|it| {
            if it.name().is_empty() { Err("it has no name".to_owned()) } else { Ok(it) }
        });
        match object {
            Ok(object) => {
                let value = (self.read)(&object);
                (self.tell)(Told::Change(change(object.name().to_owned(), value)));
                Some(object.version().to_owned())
            }
            Err(why) => {
                (self.tell)(Told::Nameless(why));
                None
            }
        }
    }

    async fn ask(&mut self, uri: &str, is_list: bool) -> Result<Body, Failure> {
        let request = Request::get(uri).header(ACCEPT, self.kind.accept(is_list));
        let request = request.body(Body::empty()).map_err(|it| Failure::silent(chain(&it)))?;
        let sent = timeout(SILENCE, self.client.send(request)).await?;
        let response = sent.map_err(|it| Failure::silent(chain(&it)))?;
        let (code, mut body) = (response.status(), response.into_body());
        if code.is_success() {
            return Ok(body);
        }
        let mut text = Vec::new();
        while text.len() < LONGEST_REFUSAL
            && let Some(bytes) = timeout(SILENCE, chunk(&mut body)).await??
        {
            text.extend_from_slice(&bytes);
        }
        let Status { message, .. } = serde_json::from_slice(&text).unwrap_or_default();
        let message = if message.is_empty() { code.to_string() } else { message };
        Err(self.refused(code.as_u16(), &message))
    }

    /// The API server does not want to go on from where we are, unless it only has too much to do.
    fn refused(&mut self, code: u16, message: &str) -> Failure {
        if !matches!(code, 429 | 500 | 503) {
            self.version = None;
        }
        let why = format!("the API server says: {}", cut(message, LONGEST_REASON));
        Failure { why, is_answer: true }
    }
}

impl Failure {
    fn silent(why: String) -> Self {
        Self { why, is_answer: false }
    }
}

impl From<Elapsed> for Failure {
    fn from(_: Elapsed) -> Self {
        Self::silent("the API server fell silent".to_owned())
    }
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        let why = format!("the API server sent what cannot be read: {error}");
        Self { why, is_answer: true }
    }
}

/// What comes next of a body.
async fn chunk(body: &mut Body) -> Result<Option<Bytes>, Failure> {
    loop {
        match body.frame().await {
            None => return Ok(None),
            Some(Err(error)) => return Err(Failure::silent(chain(&error))),
            // Trailers are none.
            Some(Ok(frame)) => {
                if let Ok(bytes) = frame.into_data() {
                    return Ok(Some(bytes));
                }
            }
        }
    }
}

/// As a value in the query of a URI.
fn encoded(text: &str) -> String {
    let plain = |it: u8| it.is_ascii_alphanumeric() || b"-_.~".contains(&it);
    text.bytes()
        .map(|it| if plain(it) { char::from(it).to_string() } else { format!("%{it:02X}") })
        .collect()
}

/// Between half of a pause and all of it, so that what failed together is not tried together.
fn jittered(pause: Duration) -> Duration {
    let dice = RandomState::new().hash_one(()) % 1000;
    pause / 2 + pause / 2 * u32::try_from(dice).unwrap_or_default() / 1000
}

#[cfg(test)]
mod tests;
