//! The phase of a connection, and since when it lasts.
//!
//! hyper's own timeout for headers starts as soon as a connection is idle, so an idle connection
//! would last no longer than a slow head may. Here the first byte distinguishes the two.

use std::{
    future::poll_fn,
    io::{self, IoSlice},
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker, ready},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Instant,
};

use super::{budget::Reserved, peer::Peer};

/// The phase of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// No request has arrived yet: the client is in the handshake, is about to send a request, or
    /// keeps a spare connection.
    Fresh,
    /// Between two requests.
    Idle,
    /// Part of a request's head has been read.
    Head,
    /// The head has been read, and part of the body.
    Body,
    /// The request has been read in full; there is no answer yet.
    Request,
    /// The answer is being written.
    Answer,
}

/// The phase of one connection, which its bytes and requests advance, and the state that decides
/// whether it is closed to make room.
///
/// Besides the connection's own task, only the search for room locks it, and only briefly.
#[derive(Debug)]
pub(super) struct ConnectionState {
    peer: Peer,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    phase: Phase,
    since: Instant,
    /// A request of this connection has been answered.
    served: bool,
    /// How many bytes of its body or of its answer are in memory.
    held: usize,
    /// The memory that is returned once the answer is written.
    answer: Option<Reserved>,
    close_requested: bool,
    task: Option<Waker>,
}

/// The state of a connection at one moment, for the search for room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Status {
    pub(super) peer: Peer,
    pub(super) phase: Phase,
    pub(super) since: Instant,
    pub(super) served: bool,
    pub(super) held: usize,
    pub(super) close_requested: bool,
}

impl ConnectionState {
    pub(super) fn new(peer: Peer) -> Self {
        let inner = Inner {
            phase: Phase::Fresh,
            since: Instant::now(),
            served: false,
            held: 0,
            answer: None,
            close_requested: false,
            task: None,
        };
        Self { peer, inner: Mutex::new(inner) }
    }

    pub(super) fn status(&self) -> Status {
        let Inner { phase, since, served, held, close_requested, .. } = *self.lock();
        Status { peer: self.peer, phase, since, served, held, close_requested }
    }

    /// Like `status`, for the connection's own task, which is woken when the connection is asked
    /// to close.
    pub(super) fn status_for_task(&self, context: &Context<'_>) -> Status {
        let mut inner = self.lock();
        if !inner.task.as_ref().is_some_and(|it| it.will_wake(context.waker())) {
            inner.task = Some(context.waker().clone());
        }
        drop(inner);
        self.status()
    }

    /// Waits until the connection is asked to close.
    pub(super) async fn close_requested(&self) {
        poll_fn(|context| {
            if self.status_for_task(context).close_requested {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
    }

    /// Asks the connection to close, to make room.
    pub(super) fn request_close(&self) {
        let mut inner = self.lock();
        inner.close_requested = true;
        let task = inner.task.clone();
        drop(inner);
        if let Some(task) = task {
            task.wake();
        }
    }

    /// The handshake is complete: from now on requests can arrive.
    pub(super) fn handshake_completed(&self) {
        self.lock().since = Instant::now();
    }

    /// A head has been read; returns when it began to arrive.
    pub(super) fn head_read(&self) -> Instant {
        let Status { phase, since, .. } = self.status();
        self.step(|_| Phase::Body);
        // If a head arrived together with the request before it, its begin is not known.
        if phase == Phase::Head { since } else { Instant::now() }
    }

    /// That many bytes of the body are in memory, or are about to be.
    pub(super) fn set_held(&self, bytes: usize) {
        self.lock().held = bytes;
    }

    /// The body has been read.
    pub(super) fn body_read(&self) {
        self.step(|_| Phase::Request);
    }

    /// An answer exists. Our answers have one piece, which hyper takes at once.
    pub(super) fn answered(&self, answer: Option<Reserved>) {
        self.step(|_| Phase::Answer);
        let mut inner = self.lock();
        inner.held = answer.as_ref().map_or(0, Reserved::bytes);
        let before = std::mem::replace(&mut inner.answer, answer);
        drop(inner);
        drop(before);
    }

    /// Bytes arrived. During a request they belong to its body. If a client sends the next request
    /// without waiting for the answer, the head of that request gets the timeout of an idle
    /// connection.
    fn received(&self) {
        self.step(|phase| match phase {
            Phase::Fresh | Phase::Idle => Phase::Head,
            later => later,
        });
    }

    /// hyper flushes when it has nothing left to write.
    pub(super) fn flushed(&self) {
        self.step(|phase| match phase {
            Phase::Answer => Phase::Idle,
            other => other,
        });
    }

    fn step(&self, next: impl FnOnce(Phase) -> Phase) {
        let mut inner = self.lock();
        let phase = next(inner.phase);
        if phase == inner.phase {
            return;
        }
        (inner.phase, inner.since) = (phase, Instant::now());
        // A connection that was answered before stays open if its next request was on its way. A
        // request that was read in full is always answered.
        inner.close_requested &= !(inner.served || phase == Phase::Request);
        let mut written = None;
        if phase == Phase::Idle {
            (inner.served, inner.held) = (true, 0);
            written = inner.answer.take();
        }
        // Dropping it returns memory to waiting requests, which locks the states: the lock must be
        // free.
        drop(inner);
        drop(written);
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A stream whose bytes advance the phase.
pub(super) struct Watched<S> {
    stream: S,
    state: Arc<ConnectionState>,
}

impl<S> Watched<S> {
    pub(super) fn new(stream: S, state: Arc<ConnectionState>) -> Self {
        Self { stream, state }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        if buffer.filled().len() > before {
            self.state.received();
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_flush(context))?;
        self.state.flushed();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn state() -> ConnectionState {
        ConnectionState::new(Peer::of(Ipv4Addr::LOCALHOST.into()))
    }

    fn phases(steps: &[fn(&ConnectionState)]) -> Vec<Phase> {
        let state = state();
        let after = |step: &fn(&ConnectionState)| {
            step(&state);
            state.status().phase
        };
        steps.iter().map(after).collect()
    }

    const HEAD_READ: fn(&ConnectionState) = |it| {
        it.head_read();
    };

    #[test]
    fn two_requests_one_after_the_other() {
        let request: [fn(&ConnectionState); 7] = [
            ConnectionState::received,
            HEAD_READ,
            ConnectionState::received,
            ConnectionState::flushed, // "100 Continue"
            ConnectionState::body_read,
            |it| it.answered(None),
            ConnectionState::flushed,
        ];
        let expected = [
            Phase::Head,
            Phase::Body,
            Phase::Body,
            Phase::Body,
            Phase::Request,
            Phase::Answer,
            Phase::Idle,
        ];
        assert_eq!(phases(&request.repeat(2)), expected.repeat(2));
    }

    #[test]
    fn a_flush_before_the_first_request_is_the_handshakes() {
        assert_eq!(phases(&[ConnectionState::flushed]), [Phase::Fresh]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_begins_with_its_first_byte() {
        let state = state();
        let start = Instant::now();
        state.received();
        tokio::time::advance(std::time::Duration::from_secs(1)).await;
        state.received();
        let Status { phase, since, .. } = state.status();
        assert_eq!((phase, since), (Phase::Head, start));
        assert_eq!(state.head_read(), start);
    }

    #[test]
    fn a_served_connection_with_a_new_request_is_not_closed() {
        let state = state();
        for (is_served, stays) in [(false, false), (true, true)] {
            assert_eq!(state.status().served, is_served);
            state.request_close();
            state.received();
            assert_eq!(!state.status().close_requested, stays);
            state.head_read();
            state.body_read();
            state.answered(None);
            state.flushed();
        }
    }
}
