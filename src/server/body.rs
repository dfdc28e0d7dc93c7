//! Reads the body of a request into memory, within the memory limit.

use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::StatusCode;
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use tokio::time::{Instant, timeout_at};

use super::{
    budget::Reserved,
    connection_state::ConnectionState,
    memory::{ExceedsLimit, Memory},
};

/// How much is reserved at once for a body whose length is unknown or large.
const STEP: usize = 64 * 1024;

/// Why a body was not read.
#[derive(Debug)]
pub(super) enum Unread {
    TooLarge(usize),
    /// The client closed the connection, or sent what is not HTTP.
    Broken,
    NoRoom,
    TooSlow,
}

/// A body in one piece, and its share of the memory limit.
struct Held {
    bytes: Vec<u8>,
    _reserved: Option<Reserved>,
}

/// Reads a body of at most that many bytes.
///
/// If the client announces the length, room for the whole body is reserved when its first bytes
/// arrive, so that no two bodies wait for each other's second half. Memory is allocated as the
/// bytes arrive: an announcement alone costs none.
pub(super) async fn read(
    body: &mut Incoming,
    most: usize,
    memory: &Memory,
    connection: &ConnectionState,
    until: Instant,
) -> Result<Bytes, Unread> {
    if body.is_end_stream() {
        return Ok(Bytes::new());
    }
    let mut waits = false;
    let reading = collect(body, most, memory, connection, &mut waits);
    match timeout_at(until, reading).await {
        Ok(read) => read,
        Err(_) if waits => Err(Unread::NoRoom),
        Err(_) => Err(Unread::TooSlow),
    }
}

/// `waits` is true while the body waits for room, and false while it waits for the client.
async fn collect(
    body: &mut Incoming,
    most: usize,
    memory: &Memory,
    connection: &ConnectionState,
    waits: &mut bool,
) -> Result<Bytes, Unread> {
    let announced = body.size_hint().exact();
    let announced = announced.map(|it| usize::try_from(it).unwrap_or(usize::MAX));
    if announced.is_some_and(|it| it > most) {
        return Err(Unread::TooLarge(most));
    }
    let mut bytes = Vec::new();
    let mut reserved: Option<Reserved> = None;
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else { return Err(Unread::Broken) };
        let Ok(data) = frame.into_data() else { continue };
        let length = bytes.len() + data.len();
        if length > most {
            return Err(Unread::TooLarge(most));
        }
        let has = reserved.as_ref().map_or(0, Reserved::bytes);
        if length > has {
            let wanted = announced.unwrap_or_else(|| (length * 2).max(STEP).min(most));
            *waits = true;
            let more = memory
                .reserve(wanted - has, connection)
                .await
                .map_err(|ExceedsLimit| Unread::NoRoom)?;
            *waits = false;
            connection.set_held(wanted);
            match &mut reserved {
                Some(it) => it.add(more),
                None => reserved = Some(more),
            }
        }
        if length > bytes.capacity() {
            let has = reserved.as_ref().map_or(length, Reserved::bytes);
            bytes.reserve_exact((length * 2).clamp(STEP.min(has), has) - bytes.len());
        }
        bytes.extend_from_slice(&data);
    }
    Ok(Bytes::from_owner(Held { bytes, _reserved: reserved }))
}

/// Reads and drops the rest of a body, so that the connection can carry the next request; `false`
/// if the rest is too large.
///
/// Without this, an early answer would close the connection while the client is still writing, and
/// the client might never see the answer.
pub(super) async fn discard(body: &mut Incoming, most: usize) -> bool {
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

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl IntoResponse for Unread {
    fn into_response(self) -> Response {
        let (status, text) = match self {
            Self::TooLarge(most) => {
                let text = format!("the body is larger than {most} bytes\n");
                return (StatusCode::PAYLOAD_TOO_LARGE, text).into_response();
            }
            Self::Broken => (StatusCode::BAD_REQUEST, "the body did not arrive in full\n"),
            Self::NoRoom => (StatusCode::SERVICE_UNAVAILABLE, "no memory left for the body\n"),
            Self::TooSlow => (StatusCode::REQUEST_TIMEOUT, "the body did not arrive in time\n"),
        };
        (status, text).into_response()
    }
}
