//! Counts the calls that were denied.

use std::{collections::BTreeMap, mem};

use jiff::Timestamp;

use super::{Denials, DeniedCall, MOST_LISTED, Record};
use crate::{
    pod::Owner,
    profile::{Architecture, Effect},
    witness::{Place, Pods},
};

/// The most calls that are kept, of all containers together.
const MOST: usize = 1000;

/// The most calls that are kept of one container, so that one cannot take the room of all others.
const MOST_OF_ONE: usize = 50;

/// The most calls that wait for their containers.
const MOST_WAITING: usize = 1000;

/// How often a call waits for its container to appear in the status of a pod: the kubelet reports a
/// container seconds after it has started.
const PATIENCE: u32 = 60;

/// For how long a call is kept that is not made again, in seconds.
const KEPT_FOR: i64 = 24 * 60 * 60;

/// Counts calls by container.
#[derive(Debug)]
pub struct Tally {
    native: Option<Architecture>,
    /// In seconds since 1970, as all times here.
    since: i64,
    waiting: BTreeMap<(Vec<String>, Call), Waiting>,
    calls: BTreeMap<Place, BTreeMap<Call, Count>>,
    /// The calls for which there was no room.
    dropped: u64,
    totals: Totals,
}

/// How many records there were since the start, by what became of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Of containers of the node, by action, `SCMP_ACT_…`.
    pub by_action: BTreeMap<&'static str, u64>,
    /// Of processes of the node itself, or of a container that is in no pod.
    pub others: u64,
    /// Of processes that had ended.
    pub unknown: u64,
    pub malformed: u64,
    /// How often records were lost; the kernel does not say how many.
    pub lost: u64,
}

/// As the kernel writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Call {
    architecture: u32,
    number: u32,
    action: u32,
}

#[derive(Clone, Copy, Debug, Default)]
struct Count {
    count: u64,
    last: i64,
}

#[derive(Debug, Default)]
struct Waiting {
    count: Count,
    /// How often its container was looked for.
    looks: u32,
}

/// Calls that were attributed to a container.
#[derive(Debug, PartialEq, Eq)]
pub struct Denied {
    /// With the count since the last look.
    pub call: DeniedCall,
    /// Of the pod.
    pub controller: Option<Owner>,
}

impl Tally {
    /// Nothing yet, on a node of this architecture.
    pub fn new(native: Option<Architecture>, since: i64) -> Self {
        let (waiting, calls) = (BTreeMap::new(), BTreeMap::new());
        Self { native, since, waiting, calls, dropped: 0, totals: Totals::default() }
    }

    /// Takes a record, with what may be the IDs of the containers of its process; `None` if that is
    /// not known.
    pub fn note(&mut self, record: &Record, containers: Option<Vec<String>>) {
        match containers {
            None => self.totals.unknown += 1,
            Some(it) if it.is_empty() => self.totals.others += 1,
            Some(it) => {
                let Record { at, architecture, call: number, action, .. } = *record;
                let key = (it, Call { architecture, number, action });
                if self.waiting.len() < MOST_WAITING || self.waiting.contains_key(&key) {
                    self.waiting.entry(key).or_default().count.add(Count { count: 1, last: at });
                } else {
                    self.totals.unknown += 1;
                }
            }
        }
    }

    /// Counts so many records that cannot be read.
    pub fn malformed(&mut self, count: u64) {
        self.totals.malformed += count;
    }

    /// Notes that the kernel had more records than there was room for, so many times.
    pub fn lost(&mut self, count: u64) {
        self.totals.lost += count;
    }

    pub fn totals(&self) -> &Totals {
        &self.totals
    }

    /// Looks for the containers of the calls that wait; called once a second. Returns the calls whose
    /// containers were found.
    pub fn settle(&mut self, pods: &Pods, now: i64) -> Vec<Denied> {
        let by_id = pods.by_id();
        let mut found = BTreeMap::<(Place, Call), (Count, Option<&Owner>)>::new();
        for ((ids, call), mut waiting) in mem::take(&mut self.waiting) {
            // The outermost one that is a container of this node.
            if let Some((pod, container)) = ids.iter().find_map(|it| by_id.get(&**it)) {
                let found = found.entry((Place::of(pod, container), call)).or_default();
                found.0.add(waiting.count);
                found.1 = pod.controller.as_ref();
            } else if waiting.looks < PATIENCE {
                waiting.looks += 1;
                self.waiting.insert((ids, call), waiting);
            } else {
                self.totals.others += waiting.count.count;
            }
        }
        let mut denied = Vec::new();
        for ((place, call), (count, controller)) in found {
            let written = call.written(self.native, &place, count);
            denied.push(Denied { call: written, controller: controller.cloned() });
            let action = Effect::of_returned(call.action).action();
            *self.totals.by_action.entry(action).or_default() += count.count;
            self.count(place, call, count);
        }
        for calls in self.calls.values_mut() {
            calls.retain(|_, it| it.last.saturating_add(KEPT_FOR) > now);
        }
        self.calls.retain(|_, it| !it.is_empty());
        denied
    }

    fn count(&mut self, place: Place, call: Call, count: Count) {
        let kept: usize = self.calls.values().map(BTreeMap::len).sum();
        let of_one = self.calls.get(&place);
        let is_known = of_one.is_some_and(|it| it.contains_key(&call));
        if is_known || kept < MOST && of_one.map_or(0, BTreeMap::len) < MOST_OF_ONE {
            self.calls.entry(place).or_default().entry(call).or_default().add(count);
        } else {
            self.dropped += count.count;
        }
    }

    /// The report: the calls that were made last, as many as it has room for.
    pub fn report(&self) -> Denials {
        let all = self.calls.iter();
        let mut all: Vec<_> = all
            .flat_map(|(place, calls)| calls.iter().map(move |(call, count)| (place, call, *count)))
            .collect();
        // The sort is stable, so that the same calls are listed as long as no other one is made.
        all.sort_by_key(|it| std::cmp::Reverse(it.2.last));
        let beyond = all.get(MOST_LISTED..).unwrap_or_default();
        let unlisted = self.dropped + beyond.iter().map(|it| it.2.count).sum::<u64>();
        all.truncate(MOST_LISTED);
        all.sort_by_key(|it| (it.0, it.1));
        let Totals { unknown, lost, .. } = self.totals;
        Denials {
            since: time(self.since),
            calls: all
                .iter()
                .map(|(place, call, it)| call.written(self.native, place, *it))
                .collect(),
            unlisted: Some(unlisted).filter(|it| *it > 0),
            unknown,
            lost,
        }
    }
}

impl Call {
    fn written(self, native: Option<Architecture>, place: &Place, count: Count) -> DeniedCall {
        let Self { architecture, number, action } = self;
        let known = native.and_then(|it| it.of_call(architecture, number));
        let name = known.and_then(|(architecture, number)| architecture.call(number));
        let number = known.map_or(number, |it| it.1);
        DeniedCall {
            place: place.clone(),
            syscall: name.map_or_else(|| number.to_string(), str::to_owned),
            architecture: known
                .map_or_else(|| format!("{architecture:#x}"), |it| it.0.seccomp().to_owned()),
            action: Effect::of_returned(action).action().to_owned(),
            count: count.count,
            last: time(count.last),
        }
    }
}

impl Count {
    fn add(&mut self, other: Self) {
        self.count = self.count.saturating_add(other.count);
        self.last = self.last.max(other.last);
    }
}

/// A time that no timestamp can hold is that of a broken clock.
fn time(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap_or_default()
}

#[cfg(test)]
mod tests;
