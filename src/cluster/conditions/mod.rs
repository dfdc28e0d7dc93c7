//! Writes into the status of policies and profiles whether callgate accepts them, and of policies
//! whether the API server itself sets their profiles.
//!
//! An invalid object may have been stored while the webhook was away, or under an older schema. It
//! does not affect other objects, and its condition `Accepted` shows what is wrong with it. Every
//! replica writes conditions, and skips those that are already correct.

mod compiled;
mod plan;
mod reconciler;
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
    sync::{
        mpsc::{self, UnboundedReceiver, UnboundedSender},
        watch,
    },
    time::{Instant, sleep_until},
};

use super::{Report, chain, clock_reading::ClockReading, object_type::ObjectType, read::manifest};
use crate::{
    call::{CallError, within},
    group::API_VERSION,
    policy::Revision,
    watch::{Change, Object},
};
use compiled::PolicySeen;
use plan::{Stored, Write};
use reconciler::Reconciler;
use verdict::{Verdict, Wanted};

pub use compiled::InProcess;

/// What a condition is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Topic {
    /// Whether callgate can read and apply the object.
    Accepted,
    /// Whether the API server itself sets the profiles of a policy.
    Compiled,
}

/// An object as a watch reported it.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    version: String,
    generation: i64,
    status: Value,
    accepted: Verdict,
    /// Of a policy.
    policy: Option<PolicySeen>,
}

/// The deadline of one write, kube's own retries included.
const PATIENCE: Duration = Duration::from_secs(5);

/// What the watches report.
enum WatchEvent {
    /// A list of all objects follows.
    Begin(ObjectType),
    Object(ObjectType, String, Box<Seen>),
    Gone(ObjectType, String),
}

/// Takes every change of policies and profiles.
pub(super) struct Observer(UnboundedSender<WatchEvent>);

/// Returns what takes every change, and the future that writes the conditions and never ends.
/// `on_report` receives the outcome of each write, except where another replica wrote first.
pub(super) fn reconciler(
    client: Client,
    in_process: watch::Receiver<InProcess>,
    on_report: impl Fn(Report),
) -> (Observer, impl Future<Output = ()>) {
    // Unbounded, but no larger than what is stored: the plan has one place for each object.
    let (observer, seen) = mpsc::unbounded_channel();
    (Observer(observer), run(client, seen, in_process, on_report))
}

impl Observer {
    /// Takes what is stored out of a change, and returns the rest.
    pub(super) fn observe<T>(&self, kind: ObjectType, change: Change<(T, Seen)>) -> Change<T> {
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

/// What conditions depend on.
pub(super) fn seen(kind: ObjectType, object: &Object<'_>) -> Seen {
    let manifest = manifest(object, kind);
    let accepted = match &manifest {
        Ok(it) if kind == ObjectType::Policy => Verdict::of_policy(it),
        Ok(it) => Verdict::of_profile(it, object.name()),
        Err(why) => Verdict::no(why),
    };
    let policy = (kind == ObjectType::Policy).then(|| {
        let revision = Revision { uid: object.uid().to_owned(), generation: object.generation() };
        PolicySeen::new(object.name(), revision, &manifest)
    });
    Seen {
        version: object.version().to_owned(),
        generation: object.generation(),
        status: object.status().unwrap_or_default(),
        accepted,
        policy,
    }
}

impl Seen {
    fn stored(&self, topic: Topic, wanted: Wanted) -> Stored {
        let Self { version, generation, status, .. } = self;
        let condition = topic.condition_in(status);
        Stored { generation: *generation, version: version.clone(), condition, wanted }
    }
}

impl Topic {
    /// The type of the condition.
    fn condition(self) -> &'static str {
        match self {
            Self::Accepted => "Accepted",
            Self::Compiled => "Compiled",
        }
    }

    /// The field manager. All replicas use the same one, and nothing else uses it. A replica that
    /// applies one condition leaves the other as it is, since that belongs to another manager.
    fn manager(self) -> &'static str {
        match self {
            Self::Accepted => "callgate",
            Self::Compiled => "callgate-in-process",
        }
    }

    /// The condition, if it exists and can be read.
    fn condition_in(self, status: &Value) -> Option<Condition> {
        let conditions = status["conditions"].as_array()?;
        let ours = conditions.iter().find(|it| it["type"] == self.condition())?;
        serde_json::from_value(ours.clone()).ok()
    }
}

async fn run(
    client: Client,
    mut seen: UnboundedReceiver<WatchEvent>,
    mut in_process: watch::Receiver<InProcess>,
    on_report: impl Fn(Report),
) {
    let now = || ClockReading::now().monotonic;
    let mut all = Reconciler::new(
        [(); 2].map(|()| RandomState::new().hash_one(())),
        in_process.borrow_and_update().clone(),
    );
    let mut may_change = true;
    loop {
        let wake = all.wake().map(Instant::from_std);
        tokio::select! {
            // Changes go first, so that no condition is written to an object that is known to be
            // gone.
            biased;
            it = seen.recv() => match it {
                None => return,
                Some(it) => all.take(it, now()),
            },
            it = in_process.changed(), if may_change => {
                may_change = it.is_ok();
                let it = in_process.borrow_and_update().clone();
                all.take_in_process(it, now());
            }
            () = sleep_until(wake.unwrap_or_else(Instant::now)), if wake.is_some() => {
                for plan in [&mut all.accepted, &mut all.compiled] {
                    let Some(it) = plan.next(ClockReading::now()) else { continue };
                    match write(&client, &it).await {
                        Some(report) => on_report(report),
                        None => plan.lost(&it, now()),
                    }
                }
            }
        }
    }
}

/// `None` if the object has changed in the meantime: the watch will report the new version.
async fn write(client: &Client, write: &Write) -> Option<Report> {
    let Write { topic, kind, name, version, condition, .. } = write;
    let status = json!({
        "apiVersion": API_VERSION,
        "kind": kind.name(),
        "metadata": { "name": name, "resourceVersion": version },
        "status": condition.as_ref().map_or(json!({}), |it| json!({ "conditions": [it] })),
    });
    let params = PatchParams::apply(topic.manager()).force();
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
