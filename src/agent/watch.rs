//! Watches the objects of the cluster that the agent of a node needs.

use std::{cell::RefCell, collections::BTreeMap, time::Duration};

use kube::{Client, core::Request};
use tokio::{join, sync::watch};

use super::{
    event::{AgentEvent, EventHandler},
    name::Name,
    wanted::{Want, Wanted, are_the_same, put, want},
};
use crate::{
    call::within,
    causes::chain,
    group::{NODE, PROFILE},
    watch::{Change, Event, Object, Source, Timing, stream},
};

/// Where the API server has Nodes.
pub(super) const NODES: &str = "/api/v1/nodes";

/// Thousands of agents watch, so their watches are long. The API server sends a bookmark at least
/// once a minute: a connection that brings nothing for longer is dead.
const TIMING: Timing = Timing {
    term: Duration::from_secs(290),
    first_term: Duration::from_secs(290),
    silence: Duration::from_secs(150),
    patience: Duration::from_secs(30),
    pauses: (Duration::from_secs(1), Duration::from_secs(30)),
};

/// The deadline of one request.
const DEADLINE: Duration = Duration::from_secs(30);

/// What is read of a `SeccompProfile`.
struct Profile {
    key: Option<Key>,
    spec: String,
}

/// While these are the same, the spec is the same.
#[derive(Debug, PartialEq, Eq)]
struct Key {
    uid: String,
    generation: i64,
}

/// The profiles whose spec was read.
#[derive(Default)]
struct Profiles {
    known: BTreeMap<Name, Key>,
    /// The part of a list that has arrived.
    listing: Wanted,
}

/// Watches all profiles, for ever. Nothing is sent before all have been listed, and then only what
/// changes the wanted files. While the API server is away, the last value stays.
pub(super) async fn follow(
    client: Client,
    wanted: watch::Sender<Option<Wanted>>,
    handler: EventHandler,
) {
    let profiles = RefCell::new(Profiles::default());
    let source = source(PROFILE.path, String::new());
    stream(&client, source, Profile::of, move |event| match event {
        Event::Change(it) => profiles.borrow_mut().take(it, &wanted),
        it => report(it, PROFILE.plural, &handler),
    })
    .await;
}

impl Profiles {
    fn take(&mut self, change: Change<Profile>, wanted: &watch::Sender<Option<Wanted>>) {
        match change {
            Change::Begin => *self = Self::default(),
            Change::Listed(name, profile) => {
                read(&name, profile, &mut self.known, &mut self.listing);
            }
            Change::End => {
                let listed = std::mem::take(&mut self.listing);
                wanted.send_if_modified(|it| {
                    let is_new = it.as_ref().is_none_or(|it| !are_the_same(it, &listed));
                    *it = Some(listed);
                    is_new
                });
            }
            Change::Put(name, profile) => {
                wanted.send_if_modified(|it| {
                    read(&name, profile, &mut self.known, it.get_or_insert_default())
                });
            }
            Change::Gone(name) => {
                let Some(name) = Name::parse(&name) else { return };
                self.known.remove(&name);
                wanted.send_if_modified(|it| {
                    it.as_mut().is_some_and(|it| it.remove(&name).is_some())
                });
            }
        }
    }
}

/// Adds a profile; returns whether something else is wanted now.
fn read(
    name: &str,
    profile: Profile,
    known: &mut BTreeMap<Name, Key>,
    wanted: &mut Wanted,
) -> bool {
    let Profile { key, spec } = profile;
    let Some(name) = Name::parse(name) else {
        tracing::error!(profile = name, "the name is too long for a file, left out");
        return false;
    };
    // Only the status or a label has changed; the spec is the one that was read.
    if key.is_some() && known.get(&name) == key.as_ref() {
        return false;
    }
    known.extend(key.map(|it| (name.clone(), it)));
    put(wanted, name, want(&spec))
}

impl Profile {
    fn of(object: &Object<'_>) -> Self {
        let spec = object.spec_text().unwrap_or("null").to_owned();
        Self { key: Key::of(object), spec }
    }
}

impl Key {
    /// `None` if the object does not show when its spec was changed.
    fn of(object: &Object<'_>) -> Option<Self> {
        let (uid, generation) = (object.uid(), object.generation());
        (!uid.is_empty() && generation > 0).then(|| Self { uid: uid.to_owned(), generation })
    }
}

/// Sends whenever the node or its `SeccompNode` may have been changed, for ever. Only metadata is
/// transferred.
pub(super) async fn touches(
    client: Client,
    node: &str,
    touched: watch::Sender<()>,
    handler: EventHandler,
) {
    let one =
        |path| Source { metadata_only: true, ..source(path, format!("metadata.name={node}")) };
    let notify = |object: &'static str| {
        let (touched, handler) = (&touched, &handler);
        move |event: Event<()>| match event {
            Event::Change(Change::Begin) => {}
            Event::Change(_) => drop(touched.send(())),
            it => report(it, object, handler),
        }
    };
    join!(
        stream(&client, one(NODES), |_| (), notify("nodes")),
        stream(&client, one(NODE.path), |_| (), notify(NODE.plural)),
    );
}

/// Passes on failures.
pub(super) fn report<T>(event: Event<T>, object: &'static str, handler: &EventHandler) {
    match event {
        Event::Failed(it) => handler(AgentEvent::WatchFailed { object, why: &it.why }),
        Event::Nameless(why) => handler(AgentEvent::Unreadable { object, why: &why }),
        Event::Change(_) | Event::Confirmed(_) => {}
    }
}

pub(super) fn source(path: &str, fields: String) -> Source {
    Source { path: path.to_owned(), fields, page: 50, metadata_only: false, timing: TIMING }
}

/// Reads one profile; the error is the message to log.
pub(super) async fn fetch(client: &Client, name: &Name) -> Result<Want, String> {
    let request = Request::new(PROFILE.path).get(name.as_str(), &<_>::default());
    let answer = client.request_text(request.map_err(|it| chain(&it))?);
    let text = within(DEADLINE, answer).await.map_err(|it| chain(&it))?;
    Ok(want(Object::read(&text)?.spec_text().unwrap_or("null")))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn profile(uid: &str, generation: i64, version: i64, spec: &Value) -> Profile {
        let object = json!({
            "metadata": { "name": "web", "uid": uid, "generation": generation,
                "resourceVersion": version.to_string(), "labels": { "v": version.to_string() } },
            "spec": spec,
            "status": { "conditions": [{ "type": "Accepted", "message": version.to_string() }] },
        });
        Profile::of(&Object::read(&object.to_string()).expect("an object"))
    }

    fn denies(call: &str) -> Value {
        json!({ "defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
            { "names": [call], "action": "SCMP_ACT_ERRNO" },
        ] })
    }

    /// `keep` makes a pass whenever something is sent.
    #[test]
    fn only_a_change_of_what_is_wanted_starts_a_pass() {
        let (send, wants) = watch::channel(None);
        let mut profiles = Profiles::default();
        let mut starts_a_pass = |changes: Vec<Change<Profile>>| {
            let mut wants = wants.clone();
            wants.mark_unchanged();
            for it in changes {
                profiles.take(it, &send);
            }
            wants.has_changed().expect("it can be sent")
        };
        let put = |it| vec![Change::Put("web".to_owned(), it)];
        let list = |it| vec![Change::Begin, Change::Listed("web".to_owned(), it), Change::End];
        let gone = |name: &str| vec![Change::Gone(name.to_owned())];

        let (mkdir, rmdir) = (denies("mkdir"), denies("rmdir"));
        assert!(starts_a_pass(list(profile("a", 1, 1, &mkdir))));
        assert!(!starts_a_pass(put(profile("a", 1, 2, &mkdir))), "its status was written");
        assert!(!starts_a_pass(put(profile("a", 1, 3, &rmdir))), "its spec is not even parsed");
        assert!(!starts_a_pass(list(profile("a", 1, 3, &mkdir))), "it was listed again");
        assert!(!starts_a_pass(put(profile("b", 1, 4, &mkdir))), "it was recreated");
        assert!(!starts_a_pass(gone("db")), "it was not there");
        assert!(starts_a_pass(put(profile("b", 2, 5, &rmdir))), "its spec was changed");
        assert!(starts_a_pass(put(profile("c", 2, 6, &mkdir))), "it was recreated with another");
        assert!(starts_a_pass(gone("web")));
    }
}
