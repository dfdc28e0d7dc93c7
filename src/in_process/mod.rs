//! Keeps the object from which the API server takes what to set, for the component `in-process`.
//!
//! The component's `MutatingAdmissionPolicy` is the same for every policy and reads this one object
//! (`CompiledPolicies`, named `callgate`). callgate has no right to write admission policies: one
//! that may be written at will can change every object of a cluster, and no admission policy can
//! restrict that, since the API server evaluates none for admission policies.
//!
//! Every replica may write the object; `plan.rs` decides when, and is pure.

mod discover;
mod plan;
mod wanted;

use std::{
    hash::{BuildHasher, RandomState},
    time::Duration,
};

use kube::{
    Client,
    api::{Patch, PatchParams},
    core::Request,
};
use serde_json::{Value, json};
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, sleep_until},
};

use self::plan::{Plan, Stored, Write};
use crate::{
    call::{CallError, within},
    causes::chain,
    group::{API_VERSION, COMPILED},
    log_once::LogOnce,
    watch::{Change, Event, Object, Source, Timing, stream},
};

pub use wanted::{Wanted, wanted};

/// The name of the object.
const NAME: &str = "callgate";

/// The field manager. All replicas use the same one, and nothing else uses it.
const MANAGER: &str = "callgate-in-process";

/// The deadline of one write, kube's own retries included.
const PATIENCE: Duration = Duration::from_secs(5);

const TIMING: Timing = Timing {
    term: Duration::from_mins(5),
    first_term: Duration::from_mins(1),
    silence: Duration::from_mins(6),
    patience: Duration::from_secs(5),
    pauses: (Duration::from_millis(200), Duration::from_secs(30)),
};

/// The outcome of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Written,
    Failed,
}

/// What the API server has of policies.
#[derive(Clone, Debug, PartialEq)]
pub enum State {
    /// It cannot set profiles itself; why.
    Unavailable(String),
    /// The spec of the object; `Null` if there is none.
    Holds(Value),
}

/// What a replica is notified of.
#[derive(Clone, Debug, PartialEq)]
pub enum Notice {
    State(State),
    Outcome(Outcome),
}

/// Keeps the object equal to what is wanted, once the API server has the API that reads it. Never
/// ends.
pub async fn run(
    client: Client,
    watches: Client,
    wanted: watch::Receiver<Option<Wanted>>,
    on_notice: impl Fn(Notice),
) {
    discover::await_served(&client, |why| on_notice(Notice::State(State::Unavailable(why)))).await;
    let (sender, seen) = mpsc::unbounded_channel();
    let source = Source {
        path: COMPILED.path.to_owned(),
        fields: format!("metadata.name={NAME}"),
        page: 1,
        metadata_only: false,
        timing: TIMING,
    };
    let stored = |it: &Object<'_>| Stored {
        version: it.version().to_owned(),
        spec: it.spec().unwrap_or_default(),
    };
    // The receiver is dropped only together with the sender.
    let forward = |event| drop(sender.send(event));
    tokio::join!(
        stream(&watches, source, stored, forward),
        follow(client, wanted, seen, on_notice)
    );
}

async fn follow(
    client: Client,
    mut wanted: watch::Receiver<Option<Wanted>>,
    mut seen: mpsc::UnboundedReceiver<Event<Stored>>,
    on_notice: impl Fn(Notice),
) {
    let saw = |plan: &mut Plan, it: Option<Stored>| {
        let spec = it.as_ref().map_or(Value::Null, |it| it.spec.clone());
        on_notice(Notice::State(State::Holds(spec)));
        plan.saw(it, now());
    };
    let mut plan = Plan::new(RandomState::new().hash_one(()));
    plan.wants(wanted.borrow_and_update().clone(), now());
    let mut listed = None;
    let mut logged = LogOnce::default();
    loop {
        let wake = plan.wake().map(Instant::from_std);
        tokio::select! {
            // Changes go first, so that nothing is written over what is known to be newer.
            biased;
            it = seen.recv() => match it {
                None => return,
                Some(Event::Change(Change::Begin)) => listed = None,
                Some(Event::Change(Change::Listed(_, it))) => listed = Some(it),
                Some(Event::Change(Change::End)) => saw(&mut plan, listed.take()),
                Some(Event::Change(Change::Put(_, it))) => saw(&mut plan, Some(it)),
                Some(Event::Change(Change::Gone(_))) => saw(&mut plan, None),
                Some(Event::Confirmed(_)) => drop(logged.is_over(&"watch")),
                Some(Event::Nameless(_)) => {}
                Some(Event::Failed(it)) => {
                    if logged.is_new("watch", it.why.clone()) {
                        let object = COMPILED.plural;
                        tracing::warn!(object, error = it.why, "a watch failed, retrying");
                    }
                }
            },
            it = wanted.changed() => match it {
                Err(_) => return,
                Ok(()) => plan.wants(wanted.borrow_and_update().clone(), now()),
            },
            () = sleep_until(wake.unwrap_or_else(Instant::now)), if wake.is_some() => {
                let Some(it) = plan.next(now()) else { continue };
                match write(&client, &it).await {
                    Ok(true) => {
                        tracing::info!(policies = it.policies(), "written what the API server sets");
                        logged.is_over(&"write");
                        on_notice(Notice::Outcome(Outcome::Written));
                    }
                    Ok(false) => plan.lost(now()),
                    Err(why) => {
                        if logged.is_new("write", why.clone()) {
                            tracing::warn!(
                                error = why,
                                "cannot write what the API server sets, retrying"
                            );
                        }
                        plan.failed(now());
                        on_notice(Notice::Outcome(Outcome::Failed));
                    }
                }
            }
        }
    }
}

/// Whether it was written; otherwise the object has changed in the meantime, which the watch will
/// report.
async fn write(client: &Client, Write { version, spec }: &Write) -> Result<bool, String> {
    let mut metadata = json!({ "name": NAME, "labels": {
        "app.kubernetes.io/name": "callgate",
        "app.kubernetes.io/part-of": "callgate",
        "app.kubernetes.io/component": "in-process",
    } });
    if let Some(it) = version {
        metadata["resourceVersion"] = json!(it);
    }
    let object: Value = json!({
        "apiVersion": API_VERSION, "kind": COMPILED.kind, "metadata": metadata, "spec": spec,
    });
    let params = PatchParams::apply(MANAGER).force();
    let request = Request::new(COMPILED.path).patch(NAME, &params, &Patch::Apply(&object));
    let written =
        async { client.request_text(request.map_err(kube::Error::BuildRequest)?).await.map(drop) };
    match within(PATIENCE, written).await {
        Ok(()) => Ok(true),
        Err(CallError::Answer(kube::Error::Api(it))) if it.is_conflict() => Ok(false),
        Err(error) => Err(chain(&error)),
    }
}

/// The clock of tokio's timers, which tests can pause.
fn now() -> std::time::Instant {
    Instant::now().into_std()
}
