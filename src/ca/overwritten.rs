//! Says who overwrites a bundle, in the log and in an Event on the configuration.

use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::ObjectReference;
use kube::{
    Client,
    runtime::events::{Event, EventType, Recorder},
};

use super::call::call;

/// How long nothing more is said of the same manager. Shorter than the six
/// minutes for which kube's recorder counts on in an Event instead of writing
/// another.
const QUIET: Duration = Duration::from_mins(5);

/// What was said last of one configuration.
pub(super) struct Overwritten {
    client: Client,
    last: Option<Last>,
}

struct Last {
    manager: String,
    at: Instant,
    recorder: Recorder,
}

impl Overwritten {
    pub(super) fn new(client: &Client) -> Self {
        Self { client: client.clone(), last: None }
    }

    /// The bundle was put back, after `manager` had overwritten it.
    pub(super) fn report(&mut self, manager: Option<&str>, object: ObjectReference, now: Instant) {
        let (manager, what) = match manager {
            Some(it) => (it, format!("field manager {it:?} overwrites")),
            None => ("", "an unknown field manager removes".to_owned()),
        };
        // Another manager is another Event.
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
        // Nobody waits for it: what counts is that the bundle is right again.
        tokio::spawn(async move {
            let written = recorder.publish(&event, &object);
            if let Err(error) = call(|| "write an Event".to_owned(), written).await {
                let error: &(dyn std::error::Error + 'static) = &error;
                tracing::debug!(error, "an event is not written");
            }
        });
    }
}
