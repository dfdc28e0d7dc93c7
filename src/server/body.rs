//! A request's body, and what a handler leaves of it.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::{
    Request,
    body::{Body, Frame, Incoming, SizeHint},
};

/// A request's body that is not lost when a handler lets go of it unread.
pub(super) struct Tracked {
    body: Option<Incoming>,
    unread: Arc<Unread>,
}

/// What a handler left of a body.
#[derive(Default)]
pub(super) struct Unread(Mutex<Option<Incoming>>);

/// Hands out a body and, for later, what will be left of it.
pub(super) fn tracked(request: Request<Incoming>) -> (Request<Tracked>, Arc<Unread>) {
    let unread = Arc::new(Unread::default());
    let request = request.map(|body| Tracked { body: Some(body), unread: Arc::clone(&unread) });
    (request, unread)
}

impl Unread {
    /// True once a handler has let go of a body that has not ended.
    pub(super) fn is_some(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// Reads the rest, so that the connection can carry the next request;
    /// false if there is too much of it.
    ///
    /// Without this an answer given early would close the connection under a
    /// client that is still writing, which then may never see the answer.
    pub(super) async fn discard(&self, most: usize) -> bool {
        let Some(mut body) = self.0.lock().unwrap_or_else(PoisonError::into_inner).take() else {
            return true;
        };
        let mut read = 0;
        while let Some(frame) = body.frame().await {
            let Ok(frame) = frame else { return false };
            read += frame.data_ref().map_or(0, Bytes::len);
            if read > most {
                return false;
            }
        }
        true
    }
}

impl Body for Tracked {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Some(body) = &mut self.body else {
            return Poll::Ready(None);
        };
        let frame = ready!(Pin::new(body).poll_frame(context));
        if frame.is_none() {
            self.body = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

impl Drop for Tracked {
    fn drop(&mut self) {
        let rest = self.body.take().filter(|it| !it.is_end_stream());
        *self.unread.0.lock().unwrap_or_else(PoisonError::into_inner) = rest;
    }
}
