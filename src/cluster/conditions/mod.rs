//! Writes into policies and profiles what is made of them.
//!
//! What means nothing may have been let in while the webhook was away, or by
//! an older schema. It stops nobody else, and is told of where it stands: in
//! its condition `Accepted`. All replicas write it, and none writes what is
//! there already.

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

use super::{Report, chain, clock_reading::ClockReading, facts::manifest, kind::Kind};
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

/// As whom we write: all replicas are one, and none but them writes it.
const MANAGER: &str = "callgate";

/// How long one write may take, kube's own retries included.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a watch told.
enum Seen {
    /// A list of all objects follows.
    Begin(Kind),
    Object(Kind, String, Box<Stored>),
    Gone(Kind, String),
}

/// Is to be shown every change of policies and profiles.
pub(super) struct Show(UnboundedSender<Seen>);

/// What is to be shown every change, and what then writes conditions, for ever. `told` hears what
/// became of each write, but for those that another replica was quicker with.
pub(super) fn reconciler(
    client: Client,
    told: impl Fn(Report),
) -> (Show, impl Future<Output = ()>) {
    // No larger than what is stored: the plan has one place for each object.
    let (show, seen) = mpsc::unbounded_channel();
    (Show(show), keep(client, seen, told))
}

impl Show {
    /// Takes note of what is stored, and leaves the rest.
    pub(super) fn see<T>(&self, kind: Kind, change: Change<(T, Stored)>) -> Change<T> {
        let seen = match &change {
            Change::Begin => Some(Seen::Begin(kind)),
            Change::Listed(name, (_, it)) | Change::Put(name, (_, it)) => {
                Some(Seen::Object(kind, name.clone(), Box::new(it.clone())))
            }
            Change::End => None,
            Change::Gone(name) => Some(Seen::Gone(kind, name.clone())),
        };
        // Who reads ends only with us.
        let _ = seen.map(|it| self.0.send(it));
        change.map(|(it, _)| it)
    }
}

/// An object with its condition and what is made of it.
pub(super) fn stored(kind: Kind, object: &Object<'_>) -> Stored {
    let verdict = match manifest(object, kind) {
        Ok(it) if kind == Kind::Policy => Verdict::of_policy(&it),
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

/// Ours, if it is there and can be read.
fn condition(status: &Value) -> Option<Condition> {
    let conditions = status["conditions"].as_array()?;
    let ours = conditions.iter().find(|it| it["type"] == ACCEPTED)?;
    serde_json::from_value(ours.clone()).ok()
}

async fn keep(client: Client, mut seen: UnboundedReceiver<Seen>, told: impl Fn(Report)) {
    let mut plan = Plan::new(RandomState::new().hash_one(()));
    loop {
        let wake = plan.wake().map(Instant::from_std);
        tokio::select! {
            // What is known to be no more is not written.
            biased;
            it = seen.recv() => match it {
                None => return,
                Some(Seen::Begin(kind)) => plan.begins(kind),
                Some(Seen::Object(kind, name, stored)) => {
                    plan.saw(kind, name, *stored, ClockReading::now().monotonic);
                }
                Some(Seen::Gone(kind, name)) => plan.gone(kind, name),
            },
            () = sleep_until(wake.unwrap_or_else(Instant::now)), if wake.is_some() => {
                if let Some(it) = plan.next(ClockReading::now()) {
                    match write(&client, &it).await {
                        Some(report) => told(report),
                        None => plan.lost(&it, ClockReading::now().monotonic),
                    }
                }
            }
        }
    }
}

/// `None` if the object has changed meanwhile: the watch tells how.
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
    // The answer is the object, with whatever others have written into it: it is not parsed.
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
