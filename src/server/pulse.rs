//! What a connection is busy with, and since when.
//!
//! hyper starts its own time-out for headers as soon as a connection is idle,
//! so with it an idle connection would live no longer than a slow head. We tell
//! the two apart by the first byte.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Instant,
};

/// Where in the life of a connection it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// No request came yet; the client has just connected to send one, or it
    /// keeps a connection in reserve.
    Fresh,
    /// Between two requests.
    Idle,
    /// Part of a request's head has been read.
    Head,
    /// The head has been read; the answer is not yet complete.
    Request,
    /// The answer is complete and being written.
    Answer,
}

/// The phase of one connection, moved on by its bytes and by its requests.
///
/// All of them happen within the connection's own task: the lock is never
/// waited for.
#[derive(Debug)]
pub(super) struct Pulse(Mutex<(Phase, Instant)>);

impl Pulse {
    pub(super) fn new() -> Self {
        Self(Mutex::new((Phase::Fresh, Instant::now())))
    }

    pub(super) fn phase(&self) -> (Phase, Instant) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn head_read(&self) {
        self.step(|_| Phase::Request);
    }

    pub(super) fn answer_complete(&self) {
        self.step(|_| Phase::Answer);
    }

    /// Bytes that come while a request is being answered are its body; clients
    /// that send the next request without waiting for an answer have the time
    /// of an idle connection for its head.
    fn received(&self) {
        self.step(|phase| match phase {
            Phase::Fresh | Phase::Idle => Phase::Head,
            later => later,
        });
    }

    /// hyper flushes when it has nothing left to write.
    fn flushed(&self) {
        self.step(|phase| match phase {
            Phase::Answer => Phase::Idle,
            other => other,
        });
    }

    fn step(&self, next: impl FnOnce(Phase) -> Phase) {
        let mut now = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let phase = next(now.0);
        if phase != now.0 {
            *now = (phase, Instant::now());
        }
    }
}

/// A stream whose bytes move the pulse on.
pub(super) struct Watched<S> {
    stream: S,
    pulse: Arc<Pulse>,
}

impl<S> Watched<S> {
    pub(super) fn new(stream: S, pulse: Arc<Pulse>) -> Self {
        Self { stream, pulse }
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
            self.pulse.received();
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
        self.pulse.flushed();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
