//! Lists the objects of a source, then watches them, for ever.
//!
//! When the API server ends a watch in time, every change until then has been reported. A watch
//! that is silent for longer is given up together with its connection.

use std::{
    hash::{BuildHasher, RandomState},
    time::Duration,
};

use kube::Client;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::time::{Instant, error::Elapsed, sleep, timeout_at};

use super::{
    Change, Object, Source,
    pages::{Expired, Refusal, Status, ask, chunk, encoded, pages},
    split::Lines,
};

/// How much later than requested the API server may end a watch.
const GRACE: Duration = Duration::from_secs(2);

/// After a watch that lasted this long, the backoff starts again at its shortest pause.
const LONG_ENOUGH: Duration = Duration::from_secs(5);

/// What a list or a watch reports.
#[derive(Debug)]
pub(crate) enum Event<T> {
    Change(Change<T>),
    /// An object without a readable name.
    Nameless(String),
    /// Every change up to this instant has been reported.
    Confirmed(Instant),
    Failed(Failure),
}

/// Why a list or a watch ended too early; it is tried again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) why: String,
    /// Whether the API server answered with an error, rather than not at all.
    pub(crate) is_answer: bool,
    /// The status of that answer.
    pub(crate) code: Option<u16>,
}

struct Stream<'a, Read, Notify> {
    client: &'a Client,
    source: Source,
    /// The resource version of the last change.
    version: Option<String>,
    read: Read,
    notify: Notify,
}

/// One line of a watch.
#[derive(Deserialize)]
struct Line<'a> {
    r#type: &'a str,
    #[serde(borrow)]
    object: &'a RawValue,
}

/// Reports the objects of a source, as `read` reads them, and every change of them, for ever.
pub(crate) async fn stream<T>(
    client: &Client,
    source: Source,
    read: impl Fn(&Object<'_>) -> T,
    notify: impl Fn(Event<T>),
) {
    let timing = source.timing;
    let mut stream = Stream { client, source, version: None, read, notify };
    let (mut pause, mut term) = (timing.pauses.0, timing.term);
    loop {
        let began = Instant::now();
        let outcome = match stream.version.clone() {
            None => stream.list().await.map(|()| true),
            // A watch that ends at once has not failed, but the next one must not begin at once.
            Some(version) => {
                let least = (term / 2).min(LONG_ENOUGH);
                stream.watch(&version, term).await.map(|()| began.elapsed() > least)
            }
        };
        if began.elapsed() > LONG_ENOUGH {
            pause = timing.pauses.0;
        }
        let is_good = *outcome.as_ref().unwrap_or(&false);
        if let Err(failure) = outcome {
            (stream.notify)(Event::Failed(failure));
        }
        if is_good {
            (pause, term) = (timing.pauses.0, timing.term);
            continue;
        }
        term = timing.first_term;
        sleep(jittered(pause)).await;
        pause = (pause * 2).min(timing.pauses.1);
    }
}

impl<T, Read: Fn(&Object<'_>) -> T, Notify: Fn(Event<T>)> Stream<'_, Read, Notify> {
    async fn list(&mut self) -> Result<(), Failure> {
        let began = Instant::now();
        (self.notify)(Event::Change(Change::Begin));
        let Source { path, page, timing, .. } = &self.source;
        let uri = format!("{path}?limit={page}{}", self.selector());
        // Boxed, since it is large, and is awaited rarely.
        let list = Box::pin(pages(
            self.client,
            &uri,
            self.source.accept(true),
            (timing.patience, Expired::Fails),
            |text| {
                drop(self.report(text, Change::Listed));
            },
        ));
        let version = list.await;
        self.version = Some(version.map_err(|it| self.refused(it))?);
        (self.notify)(Event::Change(Change::End));
        (self.notify)(Event::Confirmed(began));
        Ok(())
    }

    async fn watch(&mut self, version: &str, term: Duration) -> Result<(), Failure> {
        let began = Instant::now();
        let (seconds, version) = (term.as_secs(), encoded(version));
        let (path, selector) = (&self.source.path, self.selector());
        let uri = format!(
            "{path}?watch=true&allowWatchBookmarks=true&timeoutSeconds={seconds}&resourceVersion={version}{selector}"
        );
        let patience = self.source.timing.patience;
        let body = ask(self.client, &uri, self.source.accept(false), patience).await;
        let mut body = body.map_err(|it| self.refused(it))?;
        let mut lines = Lines::default();
        let silence = self.source.timing.silence;
        let until = || (began + term + GRACE).min(Instant::now() + silence);
        while let Some(bytes) = timeout_at(until(), chunk(&mut body)).await?? {
            let mut all = Vec::new();
            lines.push(&bytes, |it| all.push(it));
            all.iter().try_for_each(|it| self.line(it))?;
        }
        // The last bytes may have been under way for long.
        (self.notify)(Event::Confirmed(Instant::now().min(began + term)));
        Ok(())
    }

    /// The field selector as a further parameter of the URI, if there is one.
    fn selector(&self) -> String {
        let fields = &self.source.fields;
        if fields.is_empty() {
            String::new()
        } else {
            format!("&fieldSelector={}", encoded(fields))
        }
    }

    fn line(&mut self, text: &str) -> Result<(), Failure> {
        let Line { r#type, object } = match serde_json::from_str(text) {
            Ok(line) => line,
            Err(error) => {
                (self.notify)(Event::Nameless(error.to_string()));
                return Ok(());
            }
        };
        let object = object.get();
        let version = match r#type {
            "ADDED" | "MODIFIED" => self.report(object, Change::Put),
            "DELETED" => self.report(object, |name, _| Change::Gone(name)),
            "BOOKMARK" => Object::read(object).ok().map(|it| it.version().to_owned()),
            _ => {
                let status: Status = serde_json::from_str(object).unwrap_or_default();
                return Err(self.refused(Refusal::Status(status)));
            }
        };
        self.version = version.or(self.version.take());
        Ok(())
    }

    /// Reports an object, and returns its version.
    fn report(&self, text: &str, change: impl Fn(String, T) -> Change<T>) -> Option<String> {
        let object = Object::read(text).and_then(|it| {
            if it.name().is_empty() { Err("it has no name".to_owned()) } else { Ok(it) }
        });
        match object {
            Ok(object) => {
                let value = (self.read)(&object);
                (self.notify)(Event::Change(change(object.key(), value)));
                Some(object.version().to_owned())
            }
            Err(why) => {
                (self.notify)(Event::Nameless(why));
                None
            }
        }
    }

    /// The API server rejects the version that the watch continues from, unless it is only
    /// overloaded.
    fn refused(&mut self, refusal: Refusal) -> Failure {
        match refusal {
            Refusal::Status(status) => {
                if !matches!(status.code, 429 | 500 | 503) {
                    self.version = None;
                }
                status.into()
            }
            Refusal::Failed(it) => it,
        }
    }
}

impl Failure {
    pub(super) fn silent(why: String) -> Self {
        Self { why, is_answer: false, code: None }
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
        Self { why, is_answer: true, code: None }
    }
}

/// Between half of a pause and all of it, so that watches that failed together are not retried
/// together.
fn jittered(pause: Duration) -> Duration {
    let dice = RandomState::new().hash_one(()) % 1000;
    pause / 2 + pause / 2 * u32::try_from(dice).unwrap_or_default() / 1000
}

#[cfg(test)]
mod tests;
