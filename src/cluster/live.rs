//! Requests single objects from the API server, when a review needs one that the watches have not
//! reported yet.
//!
//! Every client of the webhook can cause such requests. So the number of waiting requests, the
//! number of concurrent ones and how often a missing name is requested are all bounded: look-ups
//! then take neither the places of other reviews nor too much of the API server.

use std::{sync::Arc, time::Duration};

use http::{Request, header::ACCEPT};
use kube::Client;
use tokio::{
    sync::Semaphore,
    time::{Instant, timeout_at},
};

use super::chain;
use crate::recent::RecentNames;

/// Well within the five seconds that the API server waits for our answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long one connection may be silent before another is tried.
const ATTEMPT: Duration = Duration::from_millis(800);

/// How many requests to the API server may be in flight at once.
const ASKING: usize = 8;

/// How long an object that was missing is not requested again.
const ABSENCE: Duration = Duration::from_secs(1);

/// How many missing names are remembered.
const ABSENT: usize = 1024;

/// The look-ups of all reviews together. A clone shares the same state.
#[derive(Clone)]
pub struct Live(Arc<Shared>);

struct Shared {
    client: Client,
    patience: Duration,
    waiting: Semaphore,
    asking: Semaphore,
    /// The paths that the API server answered with 404.
    absent: RecentNames,
}

impl Live {
    /// At most `waiting` requests wait for an answer; further ones fail at once.
    pub fn new(client: Client, waiting: usize) -> Self {
        Self::within(client, waiting, PATIENCE)
    }

    /// The same, and no request waits for longer than `patience`.
    pub fn within(client: Client, waiting: usize, patience: Duration) -> Self {
        let (waiting, asking) = (Semaphore::new(waiting), Semaphore::new(ASKING));
        let absent = RecentNames::new(ABSENCE, ABSENT);
        Self(Arc::new(Shared { client, patience, waiting, asking, absent }))
    }

    /// The text of the object at that path; `None` if the API server has just answered that there
    /// is none; otherwise the reason why that is not known.
    ///
    /// An existing object is requested each time, since an older answer may be outdated.
    pub(super) async fn get(&self, path: &str, accept: &str) -> Result<Option<String>, String> {
        if self.0.absent.contains(path) {
            return Ok(None);
        }
        let Ok(_waiting) = self.0.waiting.try_acquire() else {
            return Err("too many others are being asked for, try again".to_owned());
        };
        let until = Instant::now() + self.0.patience;
        let answer = timeout_at(until, async {
            let _asking = self.0.asking.acquire().await;
            self.ask(path, accept, until).await
        });
        let found = answer.await.unwrap_or_else(|_| Err(late()))?;
        if found.is_none() {
            self.0.absent.note(path);
        }
        Ok(found)
    }

    /// Dropping an unanswered request closes its connection, so the next attempt opens another.
    async fn ask(
        &self,
        path: &str,
        accept: &str,
        until: Instant,
    ) -> Result<Option<String>, String> {
        loop {
            let request = Request::get(path).header(ACCEPT, accept).body(Vec::new());
            let request = request.map_err(|it| chain(&it))?;
            let attempt = (Instant::now() + ATTEMPT).min(until);
            match timeout_at(attempt, self.0.client.request_text(request)).await {
                Ok(Ok(text)) => return Ok(Some(text)),
                Ok(Err(kube::Error::Api(it))) if it.is_not_found() => return Ok(None),
                Ok(Err(error)) => return Err(chain(&error)),
                Err(_) if attempt < until => {}
                Err(_) => return Err(late()),
            }
        }
    }
}

fn late() -> String {
    "the API server did not answer in time".to_owned()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::future::join_all;
    use http::{Response, StatusCode};
    use kube::client::Body;
    use tower::service_fn;

    use super::*;

    /// Counts the requests to an API server and how many of them are concurrent, and sets its
    /// answer.
    #[derive(Clone, Default)]
    struct Server {
        asked: Arc<AtomicUsize>,
        open: Arc<AtomicUsize>,
        most: Arc<AtomicUsize>,
    }

    impl Server {
        fn live(
            &self,
            takes: Duration,
            answer: impl Fn(usize) -> StatusCode + Clone + Send + 'static,
        ) -> Live {
            let server = self.clone();
            let service = service_fn(move |_: Request<Body>| {
                let (server, answer) = (server.clone(), answer.clone());
                async move {
                    let number = server.asked.fetch_add(1, Ordering::Relaxed);
                    let open = server.open.fetch_add(1, Ordering::Relaxed) + 1;
                    server.most.fetch_max(open, Ordering::Relaxed);
                    tokio::time::sleep(takes).await;
                    server.open.fetch_sub(1, Ordering::Relaxed);
                    let status = answer(number);
                    let body = if status == StatusCode::OK { "{}" } else { NOT_FOUND };
                    let body = Body::from(body.as_bytes().to_vec());
                    let response = Response::builder().status(status).body(body);
                    Ok::<_, String>(response.expect("it is complete"))
                }
            });
            Live::new(Client::new(service, "callgate-system"), WAITING)
        }

        fn asked(&self) -> usize {
            self.asked.load(Ordering::Relaxed)
        }
    }

    const WAITING: usize = 32;

    const PATH: &str = "/api/v1/namespaces/shop";

    const NOT_FOUND: &str =
        r#"{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"NotFound","code":404}"#;

    #[tokio::test(start_paused = true)]
    async fn a_missing_object_is_looked_up_once_a_second_and_an_existing_one_each_time() {
        let server = Server::default();
        let live = server.live(Duration::ZERO, |number| {
            if number < 2 { StatusCode::NOT_FOUND } else { StatusCode::OK }
        });
        for _ in 0..100 {
            assert_eq!(live.get(PATH, "").await, Ok(None));
        }
        assert_eq!(server.asked(), 1);
        tokio::time::advance(ABSENCE).await;
        assert_eq!(live.get(PATH, "").await, Ok(None));
        tokio::time::advance(ABSENCE).await;
        for _ in 0..3 {
            assert_eq!(live.get(PATH, "").await, Ok(Some("{}".to_owned())));
        }
        assert_eq!(server.asked(), 5);
    }

    #[tokio::test(start_paused = true)]
    async fn look_ups_and_waiting_reviews_are_limited_and_others_fail_at_once() {
        let server = Server::default();
        let live = server.live(Duration::from_millis(100), |_| StatusCode::OK);
        let all = (0..500).map(|at| {
            let live = live.clone();
            async move { live.get(&format!("/api/v1/namespaces/shop-{at}"), "").await }
        });
        let answers = join_all(all).await;
        let found = answers.iter().filter(|it| it.is_ok()).count();
        let later = "too many others are being asked for, try again".to_owned();
        assert_eq!(found, WAITING);
        assert!(answers.iter().all(|it| it.is_ok() || *it == Err(later.clone())), "{answers:?}");
        assert_eq!((server.asked(), server.most.load(Ordering::Relaxed)), (WAITING, ASKING));
        assert!(live.get(PATH, "").await.is_ok(), "their places are free again");
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_connection_is_given_up_for_another_one_until_patience_ends() {
        let start = Instant::now();
        let server = Server::default();
        let live = server.live(Duration::from_hours(1), |_| StatusCode::OK);
        assert_eq!(live.get(PATH, "").await, Err(late()));
        assert_eq!((server.asked(), start.elapsed()), (3, PATIENCE));
    }

    #[tokio::test(start_paused = true)]
    async fn names_that_are_not_there_take_a_bounded_room() {
        let server = Server::default();
        let live = server.live(Duration::ZERO, |_| StatusCode::NOT_FOUND);
        for at in 0..ABSENT + 10 {
            assert_eq!(live.get(&format!("/api/v1/namespaces/shop-{at}"), "").await, Ok(None));
        }
        assert_eq!(live.0.absent.len(), ABSENT);
    }
}
