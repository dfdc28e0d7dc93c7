//! Reserves memory for bodies and answers, and closes connections to make room.

use std::{sync::Arc, time::Duration};

use tokio::time::timeout;

use super::{
    Event, Observer,
    budget::{Budget, Priority, Reserved},
    connection_state::ConnectionState,
    connections::{AskedToClose, Connections},
};

/// How often to search again for a connection to close: one may have become slow.
const AGAIN: Duration = Duration::from_millis(200);

/// The memory for bodies and answers of all connections of a listener.
pub(super) struct Memory {
    budget: Arc<Budget>,
    connections: Arc<Connections>,
    observer: Observer,
}

/// The error for more bytes than the limit ever allows.
#[derive(Debug)]
pub(super) struct ExceedsLimit;

impl Memory {
    pub(super) fn new(most: usize, connections: Arc<Connections>, observer: Observer) -> Self {
        Self { budget: Budget::new(most), connections, observer }
    }

    /// Waits until so many bytes are reserved. Connections of clearly lower priority are closed to
    /// make room.
    ///
    /// Dropping the future ends the wait.
    pub(super) async fn reserve(
        &self,
        bytes: usize,
        connection: &ConnectionState,
    ) -> Result<Reserved, ExceedsLimit> {
        if !self.budget.allows(bytes) {
            return Err(ExceedsLimit);
        }
        if let Some(reserved) = self.budget.try_reserve(bytes) {
            return Ok(reserved);
        }
        let priority = self.connections.priority(connection, bytes);
        let mut granted = self.budget.wait(priority);
        loop {
            self.make_room(priority);
            if let Ok(granted) = timeout(AGAIN, &mut granted).await {
                // The sender is dropped only with the budget, which `self` keeps.
                return granted.map_err(|_| ExceedsLimit);
            }
        }
    }

    /// Counts an answer that is in memory already, whether or not there is room for it.
    pub(super) fn count(&self, bytes: usize) -> Reserved {
        self.budget.count(bytes)
    }

    /// Asks connections to close for a request with that priority.
    fn make_room(&self, priority: Priority) {
        let missing = self.budget.missing(priority.wanted);
        if missing > 0 {
            let AskedToClose(asked) = self.connections.make_room_for(missing, priority);
            (0..asked).for_each(|_| (self.observer)(Event::Replaced));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{future::Future, net::Ipv4Addr, pin::pin, task::Poll};

    use futures_util::poll;

    use super::*;
    use crate::server::{budget::SMALL, peer::Peer};

    fn memory(most: usize) -> Memory {
        Memory::new(most, Arc::default(), Arc::new(|_| {}))
    }

    fn connection(served: bool) -> ConnectionState {
        let state = ConnectionState::new(Peer::of(Ipv4Addr::LOCALHOST.into()));
        if served {
            state.head_read();
            state.answered(None);
            state.flushed();
        }
        state
    }

    /// What has been granted so far.
    async fn given<F>(waiting: &mut std::pin::Pin<&mut F>) -> Option<Reserved>
    where
        F: Future<Output = Result<Reserved, ExceedsLimit>>,
    {
        match poll!(waiting.as_mut()) {
            Poll::Ready(it) => Some(it.expect("it is within the limit")),
            Poll::Pending => None,
        }
    }

    #[tokio::test]
    async fn what_is_given_back_is_there_for_others() {
        let (memory, connection) = (memory(10), connection(false));
        let first = memory.reserve(7, &connection).await.unwrap();
        let mut second = pin!(memory.reserve(7, &connection));
        assert!(given(&mut second).await.is_none());
        drop(first);
        assert_eq!(given(&mut second).await.unwrap().bytes(), 7);
    }

    #[tokio::test]
    async fn a_body_larger_than_all_memory_is_never_admitted() {
        let connection = connection(true);
        assert!(memory(10).reserve(11, &connection).await.is_err());
        // A quarter is for small bodies only.
        let large = memory(SMALL * 8).reserve(SMALL * 6 + 1, &connection).await;
        assert!(large.is_err());
    }

    #[tokio::test]
    async fn served_connections_get_memory_first_and_then_the_smallest_requests() {
        let (memory, new, old) = (memory(10), connection(false), connection(true));
        let all = memory.reserve(10, &new).await.unwrap();
        let mut large = pin!(memory.reserve(6, &new));
        let mut small = pin!(memory.reserve(5, &new));
        let mut served = pin!(memory.reserve(5, &old));
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
        let (memory, connection) = (memory(10), connection(false));
        let all = memory.reserve(10, &connection).await.unwrap();
        {
            let mut gives_up = pin!(memory.reserve(10, &connection));
            assert!(given(&mut gives_up).await.is_none());
            let mut too = pin!(memory.reserve(10, &connection));
            assert!(given(&mut too).await.is_none());
            drop(all);
            // One of the two got everything, and its future is not polled.
        }
        assert_eq!(memory.reserve(10, &connection).await.unwrap().bytes(), 10);
    }

    #[tokio::test]
    async fn small_bodies_have_room_where_large_ones_have_taken_theirs() {
        let (memory, connection) = (memory(SMALL * 8), connection(false));
        let _large = memory.reserve(SMALL * 6, &connection).await.unwrap();
        let mut larger = pin!(memory.reserve(SMALL + 1, &connection));
        assert!(given(&mut larger).await.is_none());
        assert!(memory.reserve(SMALL, &connection).await.is_ok());
    }

    #[tokio::test]
    async fn an_answer_is_counted_though_it_is_too_much() {
        let (memory, connection) = (memory(10), connection(false));
        let answer = memory.count(15);
        let mut waiting = pin!(memory.reserve(1, &connection));
        assert!(given(&mut waiting).await.is_none());
        drop(answer);
        assert!(given(&mut waiting).await.is_some());
    }
}
