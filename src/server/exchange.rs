//! Answers one request within its deadline, even if the handler panics.

use std::{
    convert::Infallible,
    future::poll_fn,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    sync::Arc,
    task::Poll,
};

use axum::{
    Router,
    body::{Body, HttpBody},
    response::{IntoResponse, Response},
};
use http::{
    HeaderValue, Request, StatusCode,
    header::{CONNECTION, RETRY_AFTER},
    request::Parts,
};
use hyper::body::Incoming;
use tokio::{
    sync::{Semaphore, watch},
    time::{Instant, timeout_at},
};
use tower::Service;

use super::{
    Event, Observer, Stage,
    body::{self, Unread},
    connection_state::ConnectionState,
    connections::Connections,
    deadline,
    limits::Limits,
    memory::Memory,
};

/// Answers of at most this many bytes do not count as memory.
const SHORT: usize = 4096;

/// What all connections of a server share.
pub(super) struct Exchange {
    pub(super) limits: Limits,
    pub(super) stage: watch::Receiver<Stage>,
    router: Router,
    in_flight: Semaphore,
    memory: Memory,
    observer: Observer,
}

impl Exchange {
    pub(super) fn new(
        router: Router,
        limits: Limits,
        connections: &Arc<Connections>,
        observer: Observer,
        stage: watch::Receiver<Stage>,
    ) -> Self {
        let in_flight = Semaphore::new(limits.max_in_flight);
        let most = limits.max_buffered_bytes;
        let memory = Memory::new(most, Arc::clone(connections), Arc::clone(&observer));
        Self { limits, stage, router, in_flight, memory, observer }
    }

    /// Answers a request whose head began to arrive at `began`, within its deadline less the
    /// margin.
    pub(super) async fn answer(
        &self,
        request: Request<Incoming>,
        began: Instant,
        connection: &ConnectionState,
    ) -> Response {
        let deadline = began + deadline::allowed(request.uri().query(), &self.limits);
        let (head, mut body) = request.into_parts();
        let most = self.limits.max_body_bytes;
        let until = deadline.min(Instant::now() + self.limits.body_timeout);
        let mut response = match body::read(&mut body, most, &self.memory, connection, until).await
        {
            Ok(bytes) => {
                connection.body_read();
                self.respond(Request::from_parts(head, Body::from(bytes)), deadline).await
            }
            Err(unread) => self.refuse(&head, unread),
        };
        let all_read = body.is_end_stream()
            || timeout_at(until, body::discard(&mut body, most)).await.unwrap_or(false);
        let headers = response.headers_mut();
        // R4: with this header, the API server would repeat the call up to ten times within its own
        // timeout.
        headers.remove(RETRY_AFTER);
        // T2: while the server drains, clients reconnect to another replica.
        if !all_read || *self.stage.borrow() >= Stage::Draining {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        let length = response.body().size_hint().exact().unwrap_or_default();
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        connection.answered((length > SHORT).then(|| self.memory.count(length)));
        response
    }

    fn refuse(&self, head: &Parts, unread: Unread) -> Response {
        match unread {
            Unread::NoRoom => (self.observer)(Event::NoRoom),
            Unread::TooSlow => {
                tracing::debug!(http.path = head.uri.path(), "a body did not arrive in time");
            }
            Unread::TooLarge(_) | Unread::Broken => {}
        }
        unread.into_response()
    }

    /// Handles a request that was read in full. It counts as in progress from here on.
    async fn respond(&self, request: Request<Body>, deadline: Instant) -> Response {
        let Ok(_place) = self.in_flight.try_acquire() else {
            (self.observer)(Event::Shed);
            return text(StatusCode::SERVICE_UNAVAILABLE, "too many requests in flight\n");
        };
        let uri = request.uri().clone();
        let handled = timeout_at(deadline, caught(self.router.clone().call(request))).await;
        match handled {
            Ok(Ok(response)) => response,
            Ok(Err(Panicked)) => {
                tracing::error!(http.path = uri.path(), "a handler panicked");
                text(StatusCode::INTERNAL_SERVER_ERROR, "internal error\n")
            }
            Err(_) => {
                tracing::warn!(http.path = uri.path(), "a handler did not answer in time");
                text(StatusCode::SERVICE_UNAVAILABLE, "no answer in time\n")
            }
        }
    }
}

/// A handler that panicked; the panic hook logs the message.
struct Panicked;

/// Turns a panic of the handler into a value, so that it ends the request but never the connection
/// or the process.
///
/// tower-http's `CatchPanic` does not know the request when it answers, so the log line could not
/// name the path, and it boxes the body of every response.
async fn caught<F>(answering: F) -> Result<Response, Panicked>
where
    F: Future<Output = Result<Response, Infallible>>,
{
    let mut answering = pin!(answering);
    poll_fn(|context| {
        // A panic drops the handler's own state; state that it shares with others must survive a
        // panic.
        match catch_unwind(AssertUnwindSafe(|| answering.as_mut().poll(context))) {
            Ok(polled) => polled.map(|Ok(response)| Ok(response)),
            Err(_) => Poll::Ready(Err(Panicked)),
        }
    })
    .await
}

fn text(status: StatusCode, text: &'static str) -> Response {
    (status, text).into_response()
}
