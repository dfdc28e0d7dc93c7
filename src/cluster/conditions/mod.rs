//! Writes into the status of policies and profiles whether callgate accepts them.
//!
//! An invalid object may have been stored while the webhook was away, or under an older schema. It
//! does not affect other objects, and its condition `Accepted` shows what is wrong with it. Every
//! replica writes conditions, and skips those that are already correct.

mod plan;
mod verdict;

use std::{
    hash::{BuildHasher, RandomState},
    time::Duration,
};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{
    Client,
    api::{Patch, PatchParams},
    core::Request,
};
use serde_json::{Value, json};
use tokio::{
    sync::mpsc::{self, UnboundedReceiver, UnboundedSender},
    time::{Instant, sleep_until},
};

use super::{Report, chain, clock_reading::ClockReading, object_type::ObjectType, read::manifest};
use crate::{
    call::{CallError, within},
    group::API_VERSION,
    watch::{Change, Object},
};
use plan::{Plan, Write};
use verdict::Verdict;

pub(super) use plan::Stored;

/// The type of our condition.
const ACCEPTED: &str = "Accepted";

/// The field manager. All replicas use the same one, and nothing else uses it.
const MANAGER: &str = "callgate";

/// The deadline of one write, kube's own retries included.
const PATIENCE: Duration = Duration::from_secs(5);

/// What the watches report.
enum WatchEvent {
    /// A list of all objects follows.
    Begin(ObjectType),
    Object(ObjectType, String, Box<Stored>),
    Gone(ObjectType, String),
}

/// Takes every change of policies and profiles.
pub(super) struct Observer(UnboundedSender<WatchEvent>);

/// Returns what takes every change, and the future that writes the conditions and never ends.
/// `on_report` receives the outcome of each write, except where another replica wrote first.
pub(super) fn reconciler(
    client: Client,
    on_report: impl Fn(Report),
) -> (Observer, impl Future<Output = ()>) {
    // Unbounded, but no larger than what is stored: the plan has one place for each object.
    let (observer, seen) = mpsc::unbounded_channel();
    (Observer(observer), run(client, seen, on_report))
}

impl Observer {
    /// Takes what is stored out of a change, and returns the rest.
    pub(super) fn observe<T>(&self, kind: ObjectType, change: Change<(T, Stored)>) -> Change<T> {
        let seen = match &change {
            Change::Begin => Some(WatchEvent::Begin(kind)),
            Change::Listed(name, (_, it)) | Change::Put(name, (_, it)) => {
                Some(WatchEvent::Object(kind, name.clone(), Box::new(it.clone())))
            }
            Change::End => None,
            Change::Gone(name) => Some(WatchEvent::Gone(kind, name.clone())),
        };
        // The receiver is dropped only together with this sender.
        let _ = seen.map(|it| self.0.send(it));
        change.map(|(it, _)| it)
    }
}

/// The condition of an object, and our verdict on it.
pub(super) fn stored(kind: ObjectType, object: &Object<'_>) -> Stored {
    let verdict = match manifest(object, kind) {
        Ok(it) if kind == ObjectType::Policy => Verdict::of_policy(&it),
        Ok(it) => Verdict::of_profile(&it, object.name()),
        Err(why) => Verdict::no(why),
    };
    let status: Value = object.status().unwrap_or_default();
    Stored {
        generation: object.generation(),
        version: object.version().to_owned(),
        condition: condition(&status),
        verdict,
    }
}

/// Our condition, if it exists and can be read.
fn condition(status: &Value) -> Option<Condition> {
    let conditions = status["conditions"].as_array()?;
    let ours = conditions.iter().find(|it| it["type"] == ACCEPTED)?;
    serde_json::from_value(ours.clone()).ok()
}

async fn run(client: Client, mut seen: UnboundedReceiver<WatchEvent>, on_report: impl Fn(Report)) {
    let mut plan = Plan::new(RandomState::new().hash_one(()));
    loop {
        let wake = plan.wake().map(Instant::from_std);
        tokio::select! {
            // Changes go first, so that no condition is written to an object that is known to be
            // gone.
            biased;
            it = seen.recv() => match it {
                None => return,
                Some(WatchEvent::Begin(kind)) => plan.begins(kind),
                Some(WatchEvent::Object(kind, name, stored)) => {
                    plan.saw(kind, name, *stored, ClockReading::now().monotonic);
                }
                Some(WatchEvent::Gone(kind, name)) => plan.gone(kind, name),
            },
            () = sleep_until(wake.unwrap_or_else(Instant::now)), if wake.is_some() => {
                if let Some(it) = plan.next(ClockReading::now()) {
                    match write(&client, &it).await {
                        Some(report) => on_report(report),
                        None => plan.lost(&it, ClockReading::now().monotonic),
                    }
                }
            }
        }
    }
}

/// `None` if the object has changed in the meantime: the watch will report the new version.
async fn write(client: &Client, write: &Write) -> Option<Report> {
    let Write { kind, name, version, condition } = write;
    let status = json!({
        "apiVersion": API_VERSION,
        "kind": kind.name(),
        "metadata": { "name": name, "resourceVersion": version },
        "status": { "conditions": [condition] },
    });
    let params = PatchParams::apply(MANAGER).force();
    let status = Patch::Apply(&status);
    let request = Request::new(kind.path()).patch_subresource("status", name, &params, &status);
    // The answer is the object, which may hold anything that others wrote into it: it is not
    // parsed.
    let written =
        async { client.request_text(request.map_err(kube::Error::BuildRequest)?).await.map(drop) };
    let why = match within(PATIENCE, written).await {
        Ok(()) => return Some(Report::Written),
        Err(CallError::Answer(kube::Error::Api(it))) if it.is_conflict() || it.is_not_found() => {
            return None;
        }
        Err(error) => chain(&error),
    };
    tracing::debug!(kind = kind.name(), name, error = why, "a condition is not written");
    Some(Report::Failed)
}

#[cfg(test)]
mod tests;
