//! Works on many things on all processors; the results keep the order.

use std::{
    num::NonZero,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

/// More threads read no faster.
const MOST_THREADS: usize = 16;

pub(in crate::cli) fn map<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    map_by(None, items, work)
}

/// `threads`: how many work at once; `None`: as many as there are processors.
pub(super) fn map_by<T: Sync, R: Send>(
    threads: Option<NonZero<usize>>,
    items: &[T],
    work: impl Fn(&T) -> R + Sync,
) -> Vec<R> {
    let own = || thread::available_parallelism().map_or(1, NonZero::get).min(MOST_THREADS);
    let threads = threads.map_or_else(own, NonZero::get).min(items.len());
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::with_capacity(items.len()));
    let run = || {
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(at) else { return };
            let result = work(item);
            done.lock().unwrap_or_else(PoisonError::into_inner).push((at, result));
        }
    };
    thread::scope(|scope| {
        for _ in 1..threads {
            scope.spawn(run);
        }
        run();
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_results_are_in_the_order_of_the_items() {
        let items: Vec<_> = (0..1000).collect();
        let twice = map(&items, |it| it * 2);
        assert_eq!(twice, items.iter().map(|it| it * 2).collect::<Vec<_>>());
        assert!(map(&[], |it: &u8| *it).is_empty());
    }
}
