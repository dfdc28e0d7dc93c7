//! Writes into policies and profiles what is made of them.
//!
//! What means nothing may have been let in while the webhook was away, or by
//! an older schema. It stops nobody else, and is told of where it stands: in
//! its condition `Accepted`. All replicas write it, and none writes what is
//! there already.

mod plan;
mod verdict;

use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{
    Api, Client, ResourceExt,
    api::{ApiResource, DynamicObject, Patch, PatchParams},
    core::GroupVersionKind,
    runtime::watcher::Event,
};
use serde_json::{Value, json};
use tokio::{
    sync::mpsc::{self, UnboundedReceiver},
    time::{Instant, sleep_until, timeout},
};

use super::{Report, chain, moment::Moment};
use plan::{Plan, Stored, Write};
use verdict::Verdict;

/// The types of objects that have a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Policy,
    Profile,
}

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

/// What is to be shown every event of a watch, and what then writes conditions,
/// for ever. `told` hears what became of each write, but for those that another
/// replica was quicker with.
pub(super) fn keeper(
    client: Client,
    told: impl Fn(Report),
) -> (impl Fn(Kind, &Event<DynamicObject>), impl Future<Output = ()>) {
    // No larger than what is stored: the plan has one place for each object.
    let (show, seen) = mpsc::unbounded_channel();
    let see = move |kind: Kind, event: &Event<DynamicObject>| {
        let seen = match event {
            Event::Init => Seen::Begin(kind),
            Event::InitApply(it) | Event::Apply(it) => {
                Seen::Object(kind, it.name_any(), Box::new(stored(kind, it)))
            }
            Event::InitDone => return,
            Event::Delete(it) => Seen::Gone(kind, it.name_any()),
        };
        // Who reads ends only with us.
        let _ = show.send(seen);
    };
    (see, keep(client, seen, told))
}

fn stored(kind: Kind, object: &DynamicObject) -> Stored {
    let json = serde_json::to_value(object).unwrap_or_default();
    let verdict = match kind {
        Kind::Policy => Verdict::of_policy(&json),
        Kind::Profile => Verdict::of_profile(&json, &object.name_any()),
    };
    Stored {
        generation: object.metadata.generation.unwrap_or_default(),
        version: object.resource_version().unwrap_or_default(),
        condition: condition(&json),
        verdict,
    }
}

/// Ours, if it is there and can be read.
fn condition(object: &Value) -> Option<Condition> {
    let conditions = object["status"]["conditions"].as_array()?;
    let ours = conditions.iter().find(|it| it["type"] == ACCEPTED)?;
    serde_json::from_value(ours.clone()).ok()
}

async fn keep(client: Client, mut seen: UnboundedReceiver<Seen>, told: impl Fn(Report)) {
    let mut plan = Plan::default();
    loop {
        let wake = plan.wake(Moment::now().steady).map(Instant::from_std);
        tokio::select! {
            // What is known to be no more is not written.
            biased;
            it = seen.recv() => match it {
                None => return,
                Some(Seen::Begin(kind)) => plan.begins(kind),
                Some(Seen::Object(kind, name, stored)) => plan.saw(kind, name, *stored),
                Some(Seen::Gone(kind, name)) => plan.gone(kind, name),
            },
            () = sleep_until(wake.unwrap_or_else(Instant::now)), if wake.is_some() => {
                if let Some(it) = plan.next(Moment::now()) {
                    write(&client, &it).await.into_iter().for_each(&told);
                }
            }
        }
    }
}

/// `None` if the object has changed meanwhile: the watch tells how.
async fn write(client: &Client, write: &Write) -> Option<Report> {
    let Write { kind, name, version, condition } = write;
    let resource = kind.resource();
    let status = json!({
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "metadata": { "name": name, "resourceVersion": version },
        "status": { "conditions": [condition] },
    });
    let objects = Api::<DynamicObject>::all_with(client.clone(), &resource);
    let params = PatchParams::apply(MANAGER).force();
    let status = Patch::Apply(&status);
    let why = match timeout(PATIENCE, objects.patch_status(name, &params, &status)).await {
        Ok(Ok(_)) => return Some(Report::Written),
        Ok(Err(kube::Error::Api(it))) if it.is_conflict() || it.is_not_found() => return None,
        Ok(Err(error)) => chain(&error),
        Err(_) => "the API server did not answer in time".to_owned(),
    };
    tracing::debug!(kind = resource.kind, name, error = why, "a condition is not written");
    Some(Report::Failed)
}

impl Kind {
    pub(super) fn resource(self) -> ApiResource {
        let (kind, plural) = match self {
            Self::Policy => ("SeccompPolicy", "seccomppolicies"),
            Self::Profile => ("SeccompProfile", "seccompprofiles"),
        };
        let kind = GroupVersionKind::gvk("callgate.dev", "v1alpha1", kind);
        ApiResource::from_gvk_with_plural(&kind, plural)
    }
}

#[cfg(test)]
mod tests;
