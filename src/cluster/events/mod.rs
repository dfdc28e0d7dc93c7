//! Reports denied pods, and denied calls of containers, as Events on the owners of the pods.
//!
//! A denied pod does not exist, so it cannot be described. Its `ReplicaSet` or Job exists, and may
//! have its pods denied again and again: `ledger` decides what is worth an Event, and the rest of
//! this module writes it to the API server.

mod denial;
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

pub use self::denial::{Denial, What};
use self::{
    denial::LONGEST_NAME,
    ledger::{Ledger, Occurrence},
};
use super::{Report, chain, clock_reading::ClockReading, cut};
use crate::{call::within, pod::Owner};

/// How many denials may wait for the ledger. Each takes microseconds, except while the API server
/// delays the write of an Event.
const QUEUE: usize = 256;

/// The deadline of one write, kube's own retries included.
const PATIENCE: Duration = Duration::from_secs(5);

/// In bytes: `ReportingInstanceLengthLimit` in the same file.
const LONGEST_INSTANCE: usize = 128;

/// The `reportingController` of our Events.
const CONTROLLER: &str = "callgate";

/// Returns a function that takes denials without waiting, and the future that writes Events about
/// them and never ends. `instance` is the name of this replica.
///
/// `on_report` receives the outcome of each Event, and of each denial for which there was no room.
/// An Event that cannot be written is not tried again before another pod of its owner is denied.
pub fn reporter<T: Fn(Report) + Clone + Send + Sync + 'static>(
    client: Client,
    instance: String,
    what: What,
    on_report: T,
) -> (impl Fn(Denial) + Send + Sync + 'static, impl Future<Output = ()> + Send) {
    let (queue, denials) = mpsc::channel(QUEUE);
    let report_dropped = on_report.clone();
    let sender = move |denial: Denial| {
        if denial.shortened().is_none_or(|it| queue.try_send(it).is_err()) {
            report_dropped(Report::Dropped);
        }
    };
    let write = move |it: Occurrence| {
        let (client, instance) = (client.clone(), instance.clone());
        async move { write(&client, &instance, what, &it).await }
    };
    (sender, run(denials, write, on_report))
}

async fn run<W: Future<Output = Report>>(
    mut denials: Receiver<Denial>,
    write: impl Fn(Occurrence) -> W,
    on_report: impl Fn(Report),
) {
    let mut ledger = Ledger::default();
    loop {
        let wake = ledger.wake().map(Instant::from_std);
        tokio::select! {
            denial = denials.recv() => match denial {
                None => return,
                Some(it) => if !ledger.note(it, ClockReading::now()) {
                    on_report(Report::Dropped);
                }
            },
            () = sleep_until(wake.unwrap_or_else(Instant::now)), if wake.is_some() => {
                if let Some(it) = ledger.next(ClockReading::now()) {
                    on_report(write(it).await);
                }
            }
        }
    }
}

async fn write(client: &Client, instance: &str, what: What, occurrence: &Occurrence) -> Report {
    let why = match within(PATIENCE, put(client, instance, what, occurrence)).await {
        Ok(()) => return Report::Written,
        Err(error) => chain(&error),
    };
    let Denial { namespace, owner, .. } = &occurrence.denial;
    // Not louder: a namespace that is being deleted accepts no new Events.
    tracing::debug!(namespace, owner = owner.name, error = why, "an event is not written");
    Report::Failed
}

/// The API server deletes an Event an hour after its last write, or earlier. An Event that is gone
/// is created again as a whole.
async fn put(
    client: &Client,
    instance: &str,
    what: What,
    occurrence: &Occurrence,
) -> kube::Result<()> {
    let event = event(instance, what, occurrence);
    let events = Api::<Event>::namespaced(client.clone(), &occurrence.denial.namespace);
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

/// An `events.k8s.io/v1` Event, which `kubectl describe` and `kubectl get events` show like a
/// core/v1 Event.
fn event(instance: &str, what: What, occurrence: &Occurrence) -> Event {
    let Occurrence { denial, first, last, count, is_new: _ } = occurrence;
    let Denial { namespace, owner, why, .. } = denial;
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
        reason: text(what.reason()),
        action: text(what.action()),
        note: text(why),
        regarding: Some(regarding),
        reporting_controller: text(CONTROLLER),
        reporting_instance: text(cut(instance, LONGEST_INSTANCE)),
        // A single occurrence has no series.
        series: (count > 1).then_some(EventSeries { count, last_observed_time }),
        ..Event::default()
    }
}

/// The name that client-go would choose: the name of the owner and the time, so that two replicas
/// never write the same Event.
fn name_of(owner: &str, first: Timestamp) -> String {
    let moment = format!(".{:x}", first.as_nanosecond());
    let stem = cut(owner, LONGEST_NAME - moment.len()).trim_end_matches(['.', '-']);
    format!("{stem}{moment}")
}

#[cfg(test)]
mod tests;
