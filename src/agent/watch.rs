//! Follows what the agent of a node has to know of the cluster.

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
/// once a minute: a connection on which nothing comes for longer is dead.
const TIMING: Timing = Timing {
    term: Duration::from_secs(290),
    first_term: Duration::from_secs(290),
    silence: Duration::from_secs(150),
    patience: Duration::from_secs(30),
    pauses: (Duration::from_secs(1), Duration::from_secs(30)),
};

/// How long one answer may take.
const DEADLINE: Duration = Duration::from_secs(30);

/// What is read of a `SeccompProfile`.
struct Profile {
    key: Option<Key>,
    spec: String,
}

/// As long as these are the same, so is the spec.
#[derive(Debug, PartialEq, Eq)]
struct Key {
    uid: String,
    generation: i64,
}

/// The profiles of which the spec was read.
#[derive(Default)]
struct Profiles {
    known: BTreeMap<Name, Key>,
    /// All profiles of a list, as far as it has come.
    listing: Wanted,
}

/// Follows all profiles, for ever. Nothing is sent before all have been listed, and nothing but
/// what is wanted of a node; while the API server is away, what was sent last stands.
pub(super) async fn follow(
    client: Client,
    wanted: watch::Sender<Option<Wanted>>,
    handler: EventHandler,
) {
    let profiles = RefCell::new(Profiles::default());
    let read = |object: &Object<'_>| Profile {
        key: Key::of(object),
        spec: object.spec_text().unwrap_or("null").to_owned(),
    };
    stream(&client, source(PROFILE.path, String::new()), read, move |event| match event {
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

/// Takes a profile in; says whether something else is wanted now.
fn read(
    name: &str,
    profile: Profile,
    known: &mut BTreeMap<Name, Key>,
    wanted: &mut Wanted,
) -> bool {
    let Profile { key, spec } = profile;
    let Some(name) = Name::parse(name) else {
        tracing::error!(profile = name, "no file can bear this name, left out");
        return false;
    };
    // A status that was written, a label: the spec is the one that was read.
    if key.is_some() && known.get(&name) == key.as_ref() {
        return false;
    }
    known.extend(key.map(|it| (name.clone(), it)));
    put(wanted, name, want(&spec))
}

impl Key {
    /// None, where nothing says when the spec was changed.
    fn of(object: &Object<'_>) -> Option<Self> {
        let (uid, generation) = (object.uid(), object.generation());
        (!uid.is_empty() && generation > 0).then(|| Self { uid: uid.to_owned(), generation })
    }
}

/// Sends whenever somebody may have touched the node or its `SeccompNode`, for ever. Only metadata
/// travels.
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

/// Passes on what is wrong.
fn report<T>(event: Event<T>, object: &'static str, handler: &EventHandler) {
    match event {
        Event::Failed(it) => handler(AgentEvent::WatchFailed { object, why: &it.why }),
        Event::Nameless(why) => handler(AgentEvent::Unreadable { object, why: &why }),
        Event::Change(_) | Event::Confirmed(_) => {}
    }
}

fn source(path: &str, fields: String) -> Source {
    Source { path: path.to_owned(), fields, page: 50, metadata_only: false, timing: TIMING }
}

/// Reads one profile; an error says in words why it cannot.
pub(super) async fn fetch(client: &Client, name: &Name) -> Result<Want, String> {
    let request = Request::new(PROFILE.path).get(name.as_str(), &<_>::default());
    let answer = client.request_text(request.map_err(|it| chain(&it))?);
    let text = within(DEADLINE, answer).await.map_err(|it| chain(&it))?;
    Ok(want(Object::read(&text)?.spec_text().unwrap_or("null")))
}
