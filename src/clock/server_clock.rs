//! Reads the API server's clock from the `Date` header of its answers.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Instant, SystemTime},
};

use http::{HeaderMap, Request, header::DATE};
use jiff::fmt::rfc2822::DateTimeParser;
use kube::{Client, client::Body};
use tower::service_fn;

use super::ServerTime;

/// The `Date` of the last answer.
#[derive(Clone, Default)]
pub(crate) struct ServerClock(Arc<Mutex<Option<ServerTime>>>);

impl ServerClock {
    /// A client that sends by the given one, and the clock that reads its answers. Must be called in
    /// a tokio runtime.
    pub(crate) fn watched_by(client: &Client) -> (Client, Self) {
        let clock = Self::default();
        let watched = {
            let (client, clock) = (client.clone(), clock.clone());
            service_fn(move |request: Request<Body>| {
                let (client, clock) = (client.clone(), clock.clone());
                async move {
                    let sent = Instant::now();
                    let answer = client.send(request).await?;
                    let date = date_of(answer.headers());
                    clock.note(date.map(|date| ServerTime {
                        date,
                        sent,
                        received: Instant::now(),
                    }));
                    Ok::<_, kube::Error>(answer)
                }
            })
        };
        (Client::new(watched, client.default_namespace()), clock)
    }

    /// `None` before the first answer, and if the last answer had no `Date`.
    pub(crate) fn read(&self) -> Option<ServerTime> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, reading: Option<ServerTime>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = reading;
    }
}

fn date_of(headers: &HeaderMap) -> Option<SystemTime> {
    let text = headers.get(DATE)?.to_str().ok()?;
    Some(DateTimeParser::new().parse_timestamp(text).ok()?.into())
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use http::HeaderValue;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::as_servers_write_it("Thu, 26 Nov 2026 19:41:54 GMT", Some(1_795_722_114))]
    #[case::no_date("yesterday", None)]
    #[case::empty("", None)]
    fn a_date_is_read(#[case] text: &'static str, #[case] expected: Option<u64>) {
        let headers = HeaderMap::from_iter([(DATE, HeaderValue::from_static(text))]);
        assert_eq!(date_of(&headers), expected.map(|it| UNIX_EPOCH + Duration::from_secs(it)));
    }

    #[test]
    fn an_answer_without_a_date_shows_none() {
        assert_eq!(date_of(&HeaderMap::new()), None);
    }
}
