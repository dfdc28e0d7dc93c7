//! All connections of one listener, and which of them are closed when there are too many.
//!
//! An API server uses few addresses and sends many requests. An attacker who wants to lock it out
//! needs many connections or much memory, and gets no answers. So the connections that close first
//! are those on which no request was ever answered, and those of a peer with more connections than
//! an API server keeps. Among them, those of the peer with the most connections close first, and of
//! one peer the oldest. A connection whose request was read in full is never closed.

use std::{
    cmp::Reverse,
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};

use super::{
    budget::Priority,
    connection_state::{ConnectionState, Phase, Status},
    peer::Peer,
};

/// A body that takes longer to arrive is slow, as is an answer that takes longer to be read: its
/// connection may be closed for one of the same rank.
const SLOW: Duration = Duration::from_secs(1);

/// More idle connections than an API server keeps: client-go keeps 25 (`idleConnsPerHost` in
/// transport/cache.go). The connections of a peer that has more get no priority for having been
/// answered once.
const KEPT: usize = 32;

/// The open connections of a listener.
#[derive(Debug, Default)]
pub(super) struct Connections {
    open: Mutex<Open>,
    /// Notified when a connection closes.
    pub(super) closed: Notify,
}

#[derive(Debug, Default)]
struct Open {
    last: u64,
    states: BTreeMap<u64, Arc<ConnectionState>>,
}

/// An entry for one open connection, removed on drop.
#[derive(Debug)]
pub(super) struct Entry {
    connections: Arc<Connections>,
    id: u64,
}

impl Connections {
    pub(super) fn len(&self) -> usize {
        self.lock().states.len()
    }

    pub(super) fn add(self: &Arc<Self>, state: Arc<ConnectionState>) -> Entry {
        let mut open = self.lock();
        open.last += 1;
        let id = open.last;
        open.states.insert(id, state);
        Entry { connections: Arc::clone(self), id }
    }

    /// Asks one connection to close, unless one is closing already; `None` if all are at work.
    pub(super) fn make_room(&self) -> Option<AskedToClose> {
        let open = self.lock();
        let all = open.statuses();
        if all.iter().any(|(_, it)| it.is_closing()) {
            return Some(AskedToClose(0));
        }
        let shares = shares(all.iter().map(|(_, it)| (*it, 1)));
        let (state, _) = all
            .into_iter()
            .filter(|(_, it)| it.phase != Phase::Request)
            .max_by_key(|(_, it)| (!it.served, shares.get(&it.kind()), Reverse(it.since)))?;
        state.request_close();
        Some(AskedToClose(1))
    }

    /// The priority of a connection that wants that many bytes.
    pub(super) fn priority(&self, state: &ConnectionState, wanted: usize) -> Priority {
        let open = self.lock();
        let of = open.as_ranked(state.status());
        let all = open.statuses().into_iter().map(|(_, it)| it);
        let share = all.filter(|it| it.kind() == of.kind()).map(|it| it.held).sum();
        Priority { was_never_served: !of.served, share, wanted }
    }

    /// Asks connections that hold memory to close for a request of clearly higher rank, until the
    /// memory that they hold makes up for `missing` bytes.
    pub(super) fn make_room_for(&self, missing: usize, priority: Priority) -> AskedToClose {
        let open = self.lock();
        let now = Instant::now();
        let all = open.statuses();
        let shares = shares(all.iter().map(|(_, it)| (*it, it.held)));
        let share = |it: &Status| shares.get(&it.kind()).copied().unwrap_or_default();
        let mut holders: Vec<_> =
            all.into_iter().filter(|(_, it)| it.holds_what_others_wait_for()).collect();
        holders.sort_by_key(|(_, it)| Reverse((!it.served, share(it), Reverse(it.since))));
        let (mut freed, mut asked) = (0, 0);
        for (state, it) in holders {
            if freed >= missing {
                break;
            }
            let gives_way = match (!it.served, priority.was_never_served) {
                (true, false) => true,
                (false, true) => false,
                _ => share(&it) > 2 * (priority.share + priority.wanted) || now - it.since > SLOW,
            };
            if it.close_requested || gives_way {
                freed += it.held;
                asked += usize::from(!it.close_requested);
                state.request_close();
            }
        }
        AskedToClose(asked)
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open {
    fn statuses(&self) -> Vec<(&Arc<ConnectionState>, Status)> {
        let mut all: Vec<_> = self.states.values().map(|it| (it, it.status())).collect();
        let counts = shares(all.iter().map(|(_, it)| (*it, 1)));
        for (_, it) in &mut all {
            it.served &= counts.get(&it.kind()).is_none_or(|it| *it <= KEPT);
        }
        all
    }

    /// One status, adjusted as `statuses` does.
    fn as_ranked(&self, it: Status) -> Status {
        let alike = self.states.values().filter(|other| other.status().kind() == it.kind());
        Status { served: it.served && alike.take(KEPT + 1).count() <= KEPT, ..it }
    }
}

/// How many connections were asked to close.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "connections that are asked to close are counted"]
pub(super) struct AskedToClose(pub(super) usize);

impl Status {
    /// The group of connections in which a share is counted. The connections of a peer that were
    /// answered are a group of their own, so that a new connection of an API server does not count
    /// against them.
    fn kind(&self) -> (Peer, bool) {
        (self.peer, self.served)
    }

    fn is_closing(&self) -> bool {
        self.close_requested && self.phase != Phase::Request
    }

    /// Whether the connection holds memory while it waits for its client to send or to read.
    fn holds_what_others_wait_for(&self) -> bool {
        self.held > 0 && matches!(self.phase, Phase::Body | Phase::Answer)
    }
}

fn shares(of: impl Iterator<Item = (Status, usize)>) -> BTreeMap<(Peer, bool), usize> {
    let mut shares = BTreeMap::new();
    for (status, share) in of {
        *shares.entry(status.kind()).or_default() += share;
    }
    shares
}

impl Drop for Entry {
    fn drop(&mut self) {
        let state = self.connections.lock().states.remove(&self.id);
        // Dropping it returns memory to waiting requests, which locks the connections: the lock is
        // free by now.
        drop(state);
        self.connections.closed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    /// Connections that were opened one second apart.
    struct Scene {
        connections: Arc<Connections>,
        states: Vec<(Arc<ConnectionState>, Entry)>,
    }

    impl Scene {
        fn new() -> Self {
            Self { connections: Arc::default(), states: Vec::new() }
        }

        /// Opens a connection from the address `10.0.0.peer`.
        async fn comes(&mut self, peer: u8) -> &ConnectionState {
            tokio::time::advance(Duration::from_secs(1)).await;
            let state = ConnectionState::new(Peer::of(Ipv4Addr::new(10, 0, 0, peer).into()));
            let state = Arc::new(state);
            let entry = self.connections.add(Arc::clone(&state));
            self.states.push((state, entry));
            &self.states.last().expect("it has just come").0
        }

        /// Makes room until no connection can be closed any more; returns the closed ones in order.
        fn all_who_go(&mut self) -> Vec<usize> {
            let mut gone = Vec::new();
            while self.connections.make_room().is_some() {
                gone.push(self.last_asked(&gone));
                let (state, _) = &self.states[*gone.last().expect("one has gone")];
                self.connections.lock().states.retain(|_, it| !Arc::ptr_eq(it, state));
            }
            gone
        }

        fn last_asked(&self, before: &[usize]) -> usize {
            let asked = |it: &usize| self.states[*it].0.status().close_requested;
            (0..self.states.len())
                .filter(asked)
                .find(|it| !before.contains(it))
                .expect("one is asked")
        }
    }

    fn served(state: &ConnectionState) {
        state.head_read();
        state.body_read();
        state.answered(None);
        state.flushed();
    }

    #[tokio::test(start_paused = true)]
    async fn never_served_connections_close_first_then_those_of_the_largest_peer_then_the_oldest() {
        let mut scene = Scene::new();
        served(scene.comes(1).await);
        served(scene.comes(2).await);
        served(scene.comes(2).await);
        scene.comes(1).await;
        scene.comes(3).await;
        scene.comes(3).await;
        scene.comes(4).await;
        assert_eq!(scene.all_who_go(), [4, 3, 5, 6, 1, 0, 2]);
    }

    #[tokio::test(start_paused = true)]
    async fn an_answered_connection_is_not_protected_if_its_client_has_very_many() {
        let mut scene = Scene::new();
        for _ in 0..=KEPT {
            served(scene.comes(1).await);
        }
        scene.comes(2).await;
        assert_eq!(scene.connections.make_room(), Some(AskedToClose(1)));
        let asked = scene.states.iter().position(|(it, _)| it.status().close_requested);
        assert_eq!(asked, Some(0));
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_was_read_is_never_given_up() {
        let mut scene = Scene::new();
        let busy = scene.comes(1).await;
        busy.head_read();
        busy.body_read();
        assert_eq!(scene.connections.make_room(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn no_connection_is_closed_while_another_one_is_closing() {
        let mut scene = Scene::new();
        scene.comes(1).await;
        scene.comes(1).await;
        assert_eq!(scene.connections.make_room(), Some(AskedToClose(1)));
        assert_eq!(scene.connections.make_room(), Some(AskedToClose(0)));
        assert!(!scene.states[1].0.status().close_requested);
    }

    /// Whether a connection that holds memory is closed for one that wants ten bytes of it.
    async fn gives_way(holder: (u8, bool, usize), wants: (u8, bool), age: Duration) -> bool {
        let mut scene = Scene::new();
        let state = scene.comes(holder.0).await;
        if holder.1 {
            served(state);
        }
        state.head_read();
        state.set_held(holder.2);
        tokio::time::advance(age).await;
        let wanting = ConnectionState::new(Peer::of(Ipv4Addr::new(10, 0, 0, wants.0).into()));
        if wants.1 {
            served(&wanting);
        }
        let priority = scene.connections.priority(&wanting, 10);
        scene.connections.make_room_for(5, priority) == AskedToClose(1)
    }

    #[tokio::test(start_paused = true)]
    async fn memory_is_given_up_only_to_connections_with_clearly_higher_priority() {
        let fast = Duration::from_millis(10);
        // One that was never answered closes for one that was.
        assert!(gives_way((1, false, 1), (2, true), fast).await);
        assert!(!gives_way((1, true, 1000), (2, false), fast).await);
        // One that holds more than twice as much closes for one of another peer.
        assert!(gives_way((1, true, 21), (2, true), fast).await);
        assert!(!gives_way((1, true, 20), (2, true), fast).await);
        assert!(!gives_way((1, true, 1000), (1, true), fast).await);
        // A slow one closes for one of the same rank.
        assert!(gives_way((1, true, 1), (1, true), SLOW * 2).await);
        assert!(!gives_way((1, true, 1), (1, false), SLOW * 2).await);
    }
}
