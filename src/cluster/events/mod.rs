//! Tells of refused pods where people look: in Events on their owners.
//!
//! A pod that was refused is not there to be described. Its `ReplicaSet` or Job
//! is, and may be refused its pods again and again: `ledger` says what is
//! worth an Event, the rest here carries that to the API server.

mod ledger;

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::{
    api::{
        core::v1::ObjectReference,
        events::v1::{Event, EventSeries},
    },
    apimachinery::pkg::apis::meta::v1::MicroTime,
};
use kube::{
    Api, Client,
    api::{ObjectMeta, Patch, PatchParams, PostParams},
};
use serde_json::json;
use tokio::{
    sync::mpsc::{self, Receiver},
    time::{Instant, sleep_until},
};

use super::{Report, chain, clock_reading::ClockReading, cut};
use crate::{call::within, profile::is_subdomain};
use ledger::{Ledger, Occurrence};

/// A pod that was refused, and whose it would have been.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Of the pod, and so of its owner.
    pub namespace: String,
    pub owner: Owner,
    /// The same for all pods that are refused for the same reason.
    pub why: String,
}

/// An object that makes pods, as an `OwnerReference` names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    pub api_version: String,
    pub kind: String,
    pub name: String,
    pub uid: String,
}

/// Refusals that wait to be looked at, which takes microseconds, unless the
/// API server keeps an Event waiting.
const QUEUE: usize = 256;

/// How long one write may take, kube's own retries included.
const PATIENCE: Duration = Duration::from_secs(5);

/// In bytes: what the API server allows (`NoteLengthLimit` in
/// pkg/apis/core/validation/events.go).
const LONGEST_NOTE: usize = 1024;

/// In bytes. No object has a longer name, but whoever writes a pod may write
/// anything into its references.
const LONGEST_NAME: usize = 253;

/// In bytes: `ReportingInstanceLengthLimit`, in the same place.
const LONGEST_INSTANCE: usize = 128;

/// As whom we report.
const CONTROLLER: &str = "callgate";

/// How to tell of refusals without waiting, and what then writes Events of
/// them, for ever. `instance` is the name of this replica.
///
/// `told` hears what became of each Event, and of each refusal for which there
/// was no room. An Event that cannot be written is not tried again before its
/// owner is refused another pod.
pub fn reporter<T: Fn(Report) + Clone + Send + Sync + 'static>(
    client: Client,
    instance: String,
    told: T,
) -> (impl Fn(Refusal) + Send + Sync + 'static, impl Future<Output = ()> + Send) {
    let (queue, refusals) = mpsc::channel(QUEUE);
    let tell = told.clone();
    let sender = move |refusal: Refusal| {
        if refusal.shortened().is_none_or(|it| queue.try_send(it).is_err()) {
            tell(Report::Dropped);
        }
    };
    let write = move |it: Occurrence| {
        let (client, instance) = (client.clone(), instance.clone());
        async move { write(&client, &instance, &it).await }
    };
    (sender, keep(refusals, write, told))
}

async fn keep<W: Future<Output = Report>>(
    mut refusals: Receiver<Refusal>,
    write: impl Fn(Occurrence) -> W,
    told: impl Fn(Report),
) {
    let mut ledger = Ledger::default();
    loop {
        let wake = ledger.wake().map(Instant::from_std);
        tokio::select! {
            refusal = refusals.recv() => match refusal {
                None => return,
                Some(it) => if !ledger.note(it, ClockReading::now()) {
                    told(Report::Dropped);
                }
            },
            () = sleep_until(wake.unwrap_or_else(Instant::now)), if wake.is_some() => {
                if let Some(it) = ledger.next(ClockReading::now()) {
                    told(write(it).await);
                }
            }
        }
    }
}

async fn write(client: &Client, instance: &str, occurrence: &Occurrence) -> Report {
    let why = match within(PATIENCE, put(client, instance, occurrence)).await {
        Ok(()) => return Report::Written,
        Err(error) => chain(&error),
    };
    let Refusal { namespace, owner, why: _ } = &occurrence.refusal;
    // Not louder: a namespace that is being deleted takes no new Events.
    tracing::debug!(namespace, owner = owner.name, error = why, "an event is not written");
    Report::Failed
}

/// Events end an hour after they were written last, or sooner: one that is gone
/// is written whole again.
async fn put(client: &Client, instance: &str, occurrence: &Occurrence) -> kube::Result<()> {
    let event = event(instance, occurrence);
    let events = Api::<Event>::namespaced(client.clone(), &occurrence.refusal.namespace);
    if !occurrence.is_new {
        let name = event.metadata.name.as_deref().unwrap_or_default();
        let series = Patch::Merge(json!({ "series": event.series }));
        match events.patch(name, &PatchParams::default(), &series).await {
            Err(kube::Error::Api(status)) if status.is_not_found() => {}
            done => return done.map(drop),
        }
    }
    events.create(&PostParams::default(), &event).await.map(drop)
}

/// `events.k8s.io/v1`, which `kubectl describe` and `kubectl get events` show
/// like those of before.
fn event(instance: &str, occurrence: &Occurrence) -> Event {
    let Occurrence { refusal, first, last, count, is_new: _ } = occurrence;
    let Refusal { namespace, owner, why } = refusal;
    let Owner { api_version, kind, name, uid } = owner;
    let text = |it: &str| Some(it.to_owned());
    let regarding = ObjectReference {
        api_version: text(api_version),
        kind: text(kind),
        name: text(name),
        namespace: text(namespace),
        uid: text(uid),
        ..ObjectReference::default()
    };
    let metadata = ObjectMeta {
        name: Some(name_of(name, *first)),
        namespace: text(namespace),
        ..ObjectMeta::default()
    };
    let last_observed_time = MicroTime(*last);
    let count = i32::try_from(*count).unwrap_or(i32::MAX);
    Event {
        metadata,
        event_time: Some(MicroTime(*first)),
        type_: text("Warning"),
        reason: text("SeccompRefused"),
        action: text("CreatePod"),
        note: text(why),
        regarding: Some(regarding),
        reporting_controller: text(CONTROLLER),
        reporting_instance: text(cut(instance, LONGEST_INSTANCE)),
        // A series of one is none.
        series: (count > 1).then_some(EventSeries { count, last_observed_time }),
        ..Event::default()
    }
}

/// As client-go names them: after the object and the moment, so that no two
/// replicas write one.
fn name_of(owner: &str, first: Timestamp) -> String {
    let moment = format!(".{:x}", first.as_nanosecond());
    let stem = cut(owner, LONGEST_NAME - moment.len()).trim_end_matches(['.', '-']);
    format!("{stem}{moment}")
}

impl Refusal {
    /// As short as Events have to be; `None` if it names no object there can be.
    fn shortened(mut self) -> Option<Self> {
        let Owner { api_version, kind, name, uid } = &self.owner;
        let texts = [api_version, kind, name, uid, &self.namespace];
        if texts.iter().any(|it| it.len() > LONGEST_NAME) || !is_subdomain(name) {
            return None;
        }
        if self.why.len() > LONGEST_NOTE {
            const END: &str = "…";
            self.why = format!("{}{END}", cut(&self.why, LONGEST_NOTE - END.len()));
        }
        Some(self)
    }
}

#[cfg(test)]
mod tests;
