//! Reports the field manager that overwrites a bundle, in the log and in an Event on the
//! configuration.

use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::ObjectReference;
use kube::{
    Client,
    runtime::events::{Event, EventType, Recorder},
};

use super::call::call;

/// Time between two reports of the same field manager. It is shorter than the six minutes in which
/// kube's recorder counts up the Event that exists instead of writing another one.
const QUIET: Duration = Duration::from_mins(5);

/// The last report about one configuration.
pub(super) struct OverwriteReporter {
    client: Client,
    last: Option<Last>,
}

struct Last {
    manager: String,
    at: Instant,
    recorder: Recorder,
}

impl OverwriteReporter {
    pub(super) fn new(client: &Client) -> Self {
        Self { client: client.clone(), last: None }
    }

    /// Reports that `manager` overwrote the bundle, and that callgate restored it. The manager is
    /// unknown if the field was removed.
    pub(super) fn report(&mut self, manager: Option<&str>, object: ObjectReference, now: Instant) {
        let (manager, what) = match manager {
            Some(it) => (it, format!("field manager {it:?} overwrites")),
            None => ("", "an unknown field manager removes".to_owned()),
        };
        // Each manager has an Event of its own.
        drop(self.last.take_if(|it| it.manager != manager));
        let recorder = match &self.last {
            Some(it) if now.saturating_duration_since(it.at) < QUIET => return,
            Some(it) => it.recorder.clone(),
            None => Recorder::new(self.client.clone(), "callgate".into()),
        };
        let configuration = format!("{:?}", object.name.as_deref().unwrap_or_default());
        let kind = object.kind.as_deref().unwrap_or_default();
        tracing::warn!(
            configuration = format!("{kind} {configuration}"),
            manager,
            "another field manager overwrote the caBundle, restored"
        );
        self.last = Some(Last { manager: manager.to_owned(), at: now, recorder: recorder.clone() });
        let event = Event {
            type_: EventType::Warning,
            reason: "BundleOverwritten".to_owned(),
            action: "PublishBundle".to_owned(),
            note: Some(format!(
                "{what} the caBundle of callgate's webhooks: pods are refused until callgate has put it back"
            )),
            secondary: None,
        };
        // In the background: the bundle is restored already, and the next round must not wait.
        tokio::spawn(async move {
            let written = recorder.publish(&event, &object);
            if let Err(error) = call(|| "write an Event".to_owned(), written).await {
                let error: &(dyn std::error::Error + 'static) = &error;
                tracing::debug!(error, "an event is not written");
            }
        });
    }
}
