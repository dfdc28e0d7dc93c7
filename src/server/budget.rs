//! The memory that is reserved for bodies and answers, and the requests that wait for some.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// The largest small body. A quarter of the memory is for small bodies only, so that ordinary
/// reviews do not wait for very large ones.
pub(super) const SMALL: usize = 256 * 1024;

/// The memory limit of bodies. It is never exceeded by bodies.
pub(super) struct Budget {
    most: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    used: usize,
    waiting: Vec<Waiting>,
}

struct Waiting {
    priority: Priority,
    grant: oneshot::Sender<Reserved>,
}

/// The order in which waiting requests get memory: the smallest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Priority {
    pub(super) was_never_served: bool,
    /// The memory that all connections of the peer hold.
    pub(super) share: usize,
    pub(super) wanted: usize,
}

/// The bytes that a request holds. Dropping it returns them.
pub(super) struct Reserved {
    budget: Arc<Budget>,
    bytes: usize,
}

impl Budget {
    pub(super) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { most, state: Mutex::default() })
    }

    /// Whether so many bytes can ever be reserved.
    pub(super) fn allows(&self, bytes: usize) -> bool {
        bytes <= self.limit(bytes)
    }

    /// Reserves so many bytes if they are free and no request waits.
    pub(super) fn try_reserve(self: &Arc<Self>, bytes: usize) -> Option<Reserved> {
        let mut state = self.lock();
        if !state.waiting.is_empty() || state.used + bytes > self.limit(bytes) {
            return None;
        }
        state.used += bytes;
        Some(Reserved { budget: Arc::clone(self), bytes })
    }

    /// Waits for the bytes that the priority names. Dropping the receiver ends the wait.
    pub(super) fn wait(self: &Arc<Self>, priority: Priority) -> oneshot::Receiver<Reserved> {
        let (grant, granted) = oneshot::channel();
        let mut state = self.lock();
        state.waiting.push(Waiting { priority, grant });
        self.grant(&mut state);
        granted
    }

    /// How many bytes must be returned before so many can be reserved.
    pub(super) fn missing(&self, bytes: usize) -> usize {
        (self.lock().used + bytes).saturating_sub(self.limit(bytes))
    }

    /// Counts bytes that are in memory already: they may exceed the limit, and bodies wait until
    /// they are returned.
    pub(super) fn count(self: &Arc<Self>, bytes: usize) -> Reserved {
        self.lock().used += bytes;
        Reserved { budget: Arc::clone(self), bytes }
    }

    /// How much may be in use after a body of that size is admitted.
    fn limit(&self, bytes: usize) -> usize {
        if bytes <= SMALL { self.most } else { self.most / 4 * 3 }
    }

    fn release(self: &Arc<Self>, bytes: usize) {
        let mut state = self.lock();
        state.used -= bytes;
        self.grant(&mut state);
    }

    /// Grants free bytes to waiting requests, in their order. A request that needs too much does
    /// not delay those that need less.
    fn grant(self: &Arc<Self>, state: &mut State) {
        state.waiting.retain(|it| !it.grant.is_closed());
        state.waiting.sort_by_key(|it| it.priority);
        let mut left = Vec::new();
        for Waiting { priority, grant } in state.waiting.drain(..) {
            let bytes = priority.wanted;
            if state.used + bytes > self.limit(bytes) {
                left.push(Waiting { priority, grant });
                continue;
            }
            state.used += bytes;
            if let Err(mut returned) = grant.send(Reserved { budget: Arc::clone(self), bytes }) {
                // The request was cancelled. Dropping the grant would lock the state again.
                state.used -= std::mem::take(&mut returned.bytes);
            }
        }
        state.waiting = left;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
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
            self.budget.release(self.bytes);
        }
    }
}

impl std::fmt::Debug for Reserved {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Reserved").field(&self.bytes).finish()
    }
}
