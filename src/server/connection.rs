//! Serves one connection.

use std::{convert::Infallible, future::poll_fn, pin::pin, sync::Arc, task::Poll, time::Duration};

use http::Request;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    select,
    time::{Instant, sleep_until, timeout},
};

use super::{
    Stage,
    connection_state::{ConnectionState, Phase, Status, Watched},
    exchange::Exchange,
    limits::Limits,
};

/// How long a stopping server waits for the first request of a connection: a client that has just
/// connected is about to send one.
const FIRST_REQUEST: Duration = Duration::from_secs(2);

/// The timeout of closing a connection, in which a TLS alert and buffered bytes are written.
const GOODBYE: Duration = Duration::from_secs(1);

/// How much of a request is read at once. hyper would read up to 400 KiB at once from a fast
/// client, which is hundreds of MiB for hundreds of connections.
const BUFFER_BYTES: usize = 16 * 1024;

/// Serves requests until the client or the server closes the connection.
pub(super) async fn serve<S>(stream: S, exchange: Arc<Exchange>, state: Arc<ConnectionState>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    state.handshake_completed();
    let service = service_fn(|request: Request<Incoming>| {
        let began = state.head_read();
        let (exchange, state) = (Arc::clone(&exchange), Arc::clone(&state));
        async move { Ok::<_, Infallible>(exchange.answer(request, began, &state).await) }
    });
    let stream = TokioIo::new(Watched::new(stream, Arc::clone(&state)));
    let mut connection = pin!(http(&exchange.limits).serve_connection(stream, service));

    let mut stages = exchange.stage.clone();
    let mut stopping = pin!(stages.wait_for(|it| *it >= Stage::Stopping));
    let mut is_stopping = false;
    let mut timer = pin!(sleep_until(Instant::now()));
    let end = poll_fn(|context| {
        // Bytes are read first, so that a request that has arrived is answered.
        if connection.as_mut().poll(context).is_ready() {
            return Poll::Ready(End::Over);
        }
        is_stopping = is_stopping || stopping.as_mut().poll(context).is_ready();
        let Status { phase, since, close_requested, .. } = state.status_for_task(context);
        if close_requested && phase != Phase::Request {
            return Poll::Ready(End::MadeRoom(phase));
        }
        let Some(allowed) = allowed(phase, is_stopping, &exchange.limits) else {
            return Poll::Pending;
        };
        if timer.deadline() != since + allowed {
            timer.as_mut().reset(since + allowed);
        }
        timer.as_mut().poll(context).map(|()| End::TooSlow(phase))
    })
    .await;

    match end {
        End::Over => {}
        End::TooSlow(Phase::Fresh | Phase::Idle) => {
            connection.as_mut().graceful_shutdown();
            select! {
                _ = timeout(GOODBYE, connection) => {}
                () = state.close_requested() => {}
            }
        }
        End::TooSlow(phase) => tracing::debug!(?phase, "connection cut, its client is too slow"),
        End::MadeRoom(phase) => tracing::debug!(?phase, "connection cut to make room for others"),
    }
}

/// Why the server closes a connection.
enum End {
    Over,
    TooSlow(Phase),
    MadeRoom(Phase),
}

/// How long a connection may stay in a phase; `None` in a phase that the request's own deadline
/// limits.
fn allowed(phase: Phase, is_stopping: bool, limits: &Limits) -> Option<Duration> {
    match (phase, is_stopping) {
        (Phase::Fresh | Phase::Idle, false) => Some(limits.idle_timeout),
        (Phase::Fresh, true) => Some(limits.idle_timeout.min(FIRST_REQUEST)),
        (Phase::Idle, true) => Some(Duration::ZERO),
        (Phase::Head, _) => Some(limits.header_timeout),
        (Phase::Body | Phase::Request, _) => None,
        (Phase::Answer, _) => Some(limits.body_timeout),
    }
}

fn http(limits: &Limits) -> http1::Builder {
    let mut http = http1::Builder::new();
    http.header_read_timeout(None) // It would count idle time too: see `pulse`.
        .max_headers(limits.max_headers)
        .max_header_size(limits.max_header_bytes)
        .max_buf_size(limits.max_header_bytes.max(BUFFER_BYTES));
    http
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::server::limits::tests::limits;

    const IDLE: Option<Duration> = Some(Duration::from_mins(2));
    const HEAD: Option<Duration> = Some(Duration::from_secs(10));
    const BODY: Option<Duration> = Some(Duration::from_secs(3));

    #[rstest]
    #[case(Phase::Fresh, IDLE, Some(FIRST_REQUEST))]
    #[case(Phase::Idle, IDLE, Some(Duration::ZERO))]
    #[case(Phase::Head, HEAD, HEAD)]
    #[case(Phase::Body, None, None)]
    #[case(Phase::Request, None, None)]
    #[case(Phase::Answer, BODY, BODY)]
    fn stopping_shortens_only_the_waiting_for_a_request(
        #[case] phase: Phase,
        #[case] serving: Option<Duration>,
        #[case] stopping: Option<Duration>,
    ) {
        let limits = limits(&[]);
        assert_eq!(allowed(phase, false, &limits), serving);
        assert_eq!(allowed(phase, true, &limits), stopping);
    }
}
