//! The memory limit of bodies and answers, over all connections.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::oneshot, time::timeout};

use super::{
    Event, Observer,
    crowd::{AskedToClose, Crowd, Turn},
    pulse::Pulse,
};

/// The largest small body. A quarter of the memory is for small bodies only, so that ordinary
/// reviews do not wait for very large ones.
const SMALL: usize = 256 * 1024;

/// How often to search again for a connection to close: one may have become slow.
const AGAIN: Duration = Duration::from_millis(200);

/// The memory limit of bodies. It is never exceeded by bodies.
pub(super) struct Room {
    most: usize,
    crowd: Arc<Crowd>,
    observer: Observer,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    used: usize,
    waiting: Vec<Waiting>,
}

struct Waiting {
    turn: Turn,
    grant: oneshot::Sender<Reserved>,
}

/// The bytes that a request holds. Dropping it returns them.
pub(super) struct Reserved {
    room: Arc<Room>,
    bytes: usize,
}

/// The error for more bytes than the limit ever allows.
#[derive(Debug)]
pub(super) struct NeverRoom;

impl Room {
    pub(super) fn new(most: usize, crowd: Arc<Crowd>, observer: Observer) -> Arc<Self> {
        Arc::new(Self { most, crowd, observer, state: Mutex::default() })
    }

    /// Waits for room. Connections of clearly lower rank are closed to make some.
    ///
    /// Dropping the future gives up the request's turn.
    pub(super) async fn take(
        self: &Arc<Self>,
        bytes: usize,
        pulse: &Pulse,
    ) -> Result<Reserved, NeverRoom> {
        if bytes > self.limit(bytes) {
            return Err(NeverRoom);
        }
        let (turn, mut granted) = {
            let mut state = self.state();
            if state.waiting.is_empty() && state.used + bytes <= self.limit(bytes) {
                state.used += bytes;
                return Ok(Reserved { room: Arc::clone(self), bytes });
            }
            let turn = self.crowd.turn(pulse, bytes);
            let (grant, granted) = oneshot::channel();
            state.waiting.push(Waiting { turn, grant });
            self.grant(&mut state);
            (turn, granted)
        };
        loop {
            self.make_room(turn);
            if let Ok(granted) = timeout(AGAIN, &mut granted).await {
                // The sender is dropped only with the room, and `self` keeps the room.
                return granted.map_err(|_| NeverRoom);
            }
        }
    }

    /// Asks connections to close for a request with that turn.
    fn make_room(&self, turn: Turn) {
        let used = self.state().used;
        let missing = (used + turn.wanted).saturating_sub(self.limit(turn.wanted));
        if missing > 0 {
            let AskedToClose(asked) = self.crowd.make_room_for(missing, turn);
            (0..asked).for_each(|_| (self.observer)(Event::Replaced));
        }
    }

    /// Counts an answer that is in memory already: it may exceed the limit, and bodies wait until
    /// it is returned.
    pub(super) fn take_at_once(self: &Arc<Self>, bytes: usize) -> Reserved {
        self.state().used += bytes;
        Reserved { room: Arc::clone(self), bytes }
    }

    /// How much may be in use after a body of that size is admitted.
    fn limit(&self, bytes: usize) -> usize {
        if bytes <= SMALL { self.most } else { self.most / 4 * 3 }
    }

    fn give_back(self: &Arc<Self>, bytes: usize) {
        let mut state = self.state();
        state.used -= bytes;
        self.grant(&mut state);
    }

    /// Grants free bytes to waiting requests, in their order. A request that needs too much does
    /// not delay those that need less.
    fn grant(self: &Arc<Self>, state: &mut State) {
        state.waiting.retain(|it| !it.grant.is_closed());
        state.waiting.sort_by_key(|it| it.turn);
        let mut left = Vec::new();
        for Waiting { turn, grant } in state.waiting.drain(..) {
            let bytes = turn.wanted;
            if state.used + bytes > self.limit(bytes) {
                left.push(Waiting { turn, grant });
                continue;
            }
            state.used += bytes;
            if let Err(mut returned) = grant.send(Reserved { room: Arc::clone(self), bytes }) {
                // The request was cancelled. Dropping the grant would lock the state again.
                state.used -= std::mem::take(&mut returned.bytes);
            }
        }
        state.waiting = left;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reserved {
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn add(&mut self, mut more: Self) {
        self.bytes += std::mem::take(&mut more.bytes);
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        if self.bytes > 0 {
            self.room.give_back(self.bytes);
        }
    }
}

impl std::fmt::Debug for Reserved {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Reserved").field(&self.bytes).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::{future::Future, net::Ipv4Addr, pin::pin, task::Poll};

    use futures_util::poll;

    use super::*;
    use crate::server::peer::Peer;

    fn room(most: usize) -> Arc<Room> {
        Room::new(most, Arc::default(), Arc::new(|_| {}))
    }

    fn pulse(served: bool) -> Pulse {
        let pulse = Pulse::new(Peer::of(Ipv4Addr::LOCALHOST.into()));
        if served {
            pulse.head_read();
            pulse.answered(None);
            pulse.flushed();
        }
        pulse
    }

    /// What has been granted so far.
    async fn given<F>(taking: &mut std::pin::Pin<&mut F>) -> Option<Reserved>
    where
        F: Future<Output = Result<Reserved, NeverRoom>>,
    {
        match poll!(taking.as_mut()) {
            Poll::Ready(it) => Some(it.expect("there will be room")),
            Poll::Pending => None,
        }
    }

    #[tokio::test]
    async fn what_is_given_back_is_there_for_others() {
        let (room, pulse) = (room(10), pulse(false));
        let first = room.take(7, &pulse).await.unwrap();
        let mut second = pin!(room.take(7, &pulse));
        assert!(given(&mut second).await.is_none());
        drop(first);
        assert_eq!(given(&mut second).await.unwrap().bytes(), 7);
    }

    #[tokio::test]
    async fn a_body_larger_than_all_memory_is_never_admitted() {
        let pulse = pulse(true);
        assert!(room(10).take(11, &pulse).await.is_err());
        // A quarter is for small bodies only.
        let large = room(SMALL * 8).take(SMALL * 6 + 1, &pulse).await;
        assert!(large.is_err());
    }

    #[tokio::test]
    async fn served_connections_get_memory_first_and_then_the_smallest_requests() {
        let (room, new, old) = (room(10), pulse(false), pulse(true));
        let all = room.take(10, &new).await.unwrap();
        let mut large = pin!(room.take(6, &new));
        let mut small = pin!(room.take(5, &new));
        let mut served = pin!(room.take(5, &old));
        for it in [&mut large, &mut small] {
            assert!(given(it).await.is_none());
        }
        assert!(given(&mut served).await.is_none());
        drop(all);
        let (served, small) = (given(&mut served).await, given(&mut small).await);
        assert!(served.is_some() && small.is_some());
        assert!(given(&mut large).await.is_none());
        drop(served);
        assert!(given(&mut large).await.is_none());
        drop(small);
        assert!(given(&mut large).await.is_some());
    }

    #[tokio::test]
    async fn a_cancelled_request_for_memory_delays_no_other_and_keeps_nothing() {
        let (room, pulse) = (room(10), pulse(false));
        let all = room.take(10, &pulse).await.unwrap();
        {
            let mut gives_up = pin!(room.take(10, &pulse));
            assert!(given(&mut gives_up).await.is_none());
            let mut too = pin!(room.take(10, &pulse));
            assert!(given(&mut too).await.is_none());
            drop(all);
            // One of the two got everything, and its future is not polled.
        }
        assert_eq!(room.take(10, &pulse).await.unwrap().bytes(), 10);
    }

    #[tokio::test]
    async fn small_bodies_have_room_where_large_ones_have_taken_theirs() {
        let (room, pulse) = (room(SMALL * 8), pulse(false));
        let _large = room.take(SMALL * 6, &pulse).await.unwrap();
        let mut larger = pin!(room.take(SMALL + 1, &pulse));
        assert!(given(&mut larger).await.is_none());
        assert!(room.take(SMALL, &pulse).await.is_ok());
    }

    #[tokio::test]
    async fn an_answer_is_counted_though_it_is_too_much() {
        let (room, pulse) = (room(10), pulse(false));
        let answer = room.take_at_once(15);
        let mut taking = pin!(room.take(1, &pulse));
        assert!(given(&mut taking).await.is_none());
        drop(answer);
        assert!(given(&mut taking).await.is_some());
    }
}
