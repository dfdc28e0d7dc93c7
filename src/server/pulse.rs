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
    /// The head has been read; there is no answer yet.
    Request,
    /// The answer is being written.
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

    /// A head has been read; returns when it began to come.
    pub(super) fn head_read(&self) -> Instant {
        let (phase, since) = self.phase();
        self.step(|_| Phase::Request);
        // A head that came with the request before it began at no known time.
        if phase == Phase::Head { since } else { Instant::now() }
    }

    /// The handler is done; our answers are of one piece, which hyper takes at once.
    pub(super) fn answered(&self) {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn phases(steps: &[fn(&Pulse)]) -> Vec<Phase> {
        let pulse = Pulse::new();
        let after = |step: &fn(&Pulse)| {
            step(&pulse);
            pulse.phase().0
        };
        steps.iter().map(after).collect()
    }

    const HEAD_READ: fn(&Pulse) = |it| {
        it.head_read();
    };

    #[test]
    fn two_requests_one_after_the_other() {
        let request: [fn(&Pulse); 6] = [
            Pulse::received,
            HEAD_READ,
            Pulse::received,
            Pulse::flushed, // "100 Continue"
            Pulse::answered,
            Pulse::flushed,
        ];
        let expected = [
            Phase::Head,
            Phase::Request,
            Phase::Request,
            Phase::Request,
            Phase::Answer,
            Phase::Idle,
        ];
        assert_eq!(phases(&request.repeat(2)), expected.repeat(2));
    }

    #[test]
    fn a_flush_before_the_first_request_is_the_handshakes() {
        assert_eq!(phases(&[Pulse::flushed]), [Phase::Fresh]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_begins_with_its_first_byte() {
        let pulse = Pulse::new();
        let start = Instant::now();
        pulse.received();
        tokio::time::advance(std::time::Duration::from_secs(1)).await;
        pulse.received();
        assert_eq!(pulse.phase(), (Phase::Head, start));
        assert_eq!(pulse.head_read(), start);
    }
}
