//! Which condition to write where, and how often at most.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use super::{Kind, verdict::Verdict};
use crate::cluster::clock_reading::ClockReading;

/// Two replicas of different versions may make different things of one object,
/// and each would for ever put right what the other wrote.
const PAUSE: Duration = Duration::from_mins(1);

/// An object as it was seen last, and what is made of it.
#[derive(Clone, Debug)]
pub(in crate::cluster) struct Stored {
    /// Counts the changes of the spec.
    pub(super) generation: i64,
    /// Of the object as a whole.
    pub(super) version: String,
    /// What was said of it until now.
    pub(super) condition: Option<Condition>,
    pub(super) verdict: Verdict,
}

/// What to write, over exactly that version.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Write {
    pub(super) kind: Kind,
    pub(super) name: String,
    pub(super) version: String,
    pub(super) condition: Condition,
}

/// All objects of ours.
#[derive(Debug, Default)]
pub(super) struct Plan {
    objects: BTreeMap<(Kind, String), Object>,
}

#[derive(Debug)]
struct Object {
    stored: Stored,
    /// Of which generation something was said last, and when.
    said: Option<(i64, Instant)>,
}

impl Plan {
    pub(super) fn saw(&mut self, kind: Kind, name: String, stored: Stored) {
        let known = self.objects.remove(&(kind, name.clone()));
        let said = known.and_then(|it| it.said);
        self.objects.insert((kind, name), Object { stored, said });
    }

    pub(super) fn gone(&mut self, kind: Kind, name: String) {
        self.objects.remove(&(kind, name));
    }

    /// A list of all objects of that kind follows.
    pub(super) fn begins(&mut self, kind: Kind) {
        self.objects.retain(|(it, _), _| *it != kind);
    }

    /// What to write now, if anything. Whether that succeeds is seen by what
    /// the watch tells; if it does not, it is tried again after a minute.
    pub(super) fn next(&mut self, now: ClockReading) -> Option<Write> {
        let mut objects = self.objects.iter_mut();
        let is_due = |it: &Object| it.is_untold() && it.due().is_none_or(|it| it <= now.monotonic);
        let ((kind, name), object) = objects.find(|(_, it)| is_due(it))?;
        let Stored { generation, version, .. } = &object.stored;
        object.said = Some((*generation, now.monotonic));
        let condition = object.stored.wanted(now);
        Some(Write { kind: *kind, name: name.clone(), version: version.clone(), condition })
    }

    /// When there will be something to write, if nothing else happens.
    pub(super) fn wake(&self, now: Instant) -> Option<Instant> {
        let untold = self.objects.values().filter(|it| it.is_untold());
        untold.map(|it| it.due().unwrap_or(now)).min()
    }
}

impl Object {
    fn is_untold(&self) -> bool {
        !self.stored.is_told()
    }

    /// `None` for at once: whoever changes the spec waits for a word.
    fn due(&self) -> Option<Instant> {
        let (generation, at) = self.said?;
        (generation == self.stored.generation).then(|| at + PAUSE)
    }
}

impl Stored {
    /// Whether all that is to be said is said; since when does not matter.
    fn is_told(&self) -> bool {
        let Some(it) = &self.condition else { return false };
        let Verdict { status, reason, message } = &self.verdict;
        (&*it.status, &*it.reason, &it.message) == (status, reason, message)
            && it.observed_generation == Some(self.generation)
    }

    fn wanted(&self, now: ClockReading) -> Condition {
        let Verdict { status, reason, message } = self.verdict.clone();
        let before = self.condition.as_ref().filter(|it| it.status == status);
        Condition {
            last_transition_time: before
                .map_or(Time(now.wall), |it| it.last_transition_time.clone()),
            message,
            observed_generation: Some(self.generation),
            reason: reason.to_owned(),
            status: status.to_owned(),
            type_: super::ACCEPTED.to_owned(),
        }
    }
}
