//! Follows what the agent of a node has to know of the cluster.

mod pages;

use std::{collections::BTreeMap, error::Error, future::ready, time::Duration};

use futures_util::{StreamExt, stream::select};
use k8s_openapi::api::core::v1::Node;
use kube::{
    Api, Client, ResourceExt,
    api::{DynamicObject, WatchParams},
    core::{PartialObjectMeta, WatchEvent},
    runtime::{
        WatchStreamExt,
        watcher::{Config, watcher},
    },
};
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};

pub(super) use self::pages::fetch;
use self::pages::{Item, Key, WatchError, list, profiles};
use super::{
    name::Name,
    run::{AgentEvent, EventHandler, seccomp_nodes},
    wanted::{Wanted, are_the_same, put, want},
};

/// How long to wait after a failure: from the first to the last.
const PATIENCE: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));

/// For how long one watch goes on; the API server ends it then.
const WATCH_SECONDS: u32 = 290;

/// The API server tells at least once a minute how far it is. A connection on
/// which nothing comes for longer is dead.
const SILENCE: Duration = Duration::from_secs(150);

/// Follows all profiles, for ever. Nothing is told before all have been listed,
/// and nothing but what is wanted of a node; while the API server is away, what
/// was told last stands.
///
/// `stagger` is something from 1 to 1.5 by which waits are stretched.
pub(super) async fn follow(
    client: Client,
    stagger: f64,
    tell: watch::Sender<Option<Wanted>>,
    handler: EventHandler,
) {
    let mut pause = PATIENCE.0;
    loop {
        let mut listed = Wanted::new();
        let mut known = BTreeMap::new();
        let listing = list(&client, |item| take(&mut listed, &mut known, &item));
        let failed = match listing.await {
            Ok(version) => {
                tell.send_if_modified(|it| {
                    let is_new = it.as_ref().is_none_or(|it| !are_the_same(it, &listed));
                    *it = Some(listed);
                    is_new
                });
                pause = PATIENCE.0;
                changes(&client, version, known, &tell, &handler, stagger).await
            }
            Err(error) => Some(error),
        };
        if let Some(error) = failed {
            handler(AgentEvent::WatchFailed(&error));
            sleep(pause.mul_f64(stagger)).await;
            pause = (pause * 2).min(PATIENCE.1);
        }
    }
}

/// Takes an object in; says whether something else is wanted now.
fn take(wanted: &mut Wanted, known: &mut BTreeMap<Name, Key>, item: &Item<'_>) -> bool {
    let Some(name) = Name::parse(&item.metadata.name) else {
        tracing::error!(profile = item.metadata.name, "no file can bear this name, left out");
        return false;
    };
    let key = item.metadata.key();
    // A status that was written, a label: the spec is the one that was read.
    if key.is_some() && known.get(&name) == key.as_ref() {
        return false;
    }
    known.extend(key.map(|it| (name.clone(), it)));
    put(wanted, name, want(item.spec.map_or("null", |it| it.get())))
}

/// Follows what changes from that version on, until all has to be listed again.
async fn changes(
    client: &Client,
    mut version: String,
    mut known: BTreeMap<Name, Key>,
    tell: &watch::Sender<Option<Wanted>>,
    handler: &EventHandler,
    stagger: f64,
) -> Option<WatchError> {
    let objects: Api<DynamicObject> = Api::all_with(client.clone(), &profiles());
    let params = WatchParams::default().timeout(WATCH_SECONDS);
    let mut pause = PATIENCE.0;
    loop {
        let failed: Option<Box<dyn Error + Send + Sync>> = match objects
            .watch(&params, &version)
            .await
        {
            Err(error) if is_gone(&error) => return None,
            Err(error) => Some(error.into()),
            Ok(stream) => {
                let mut stream = std::pin::pin!(stream);
                loop {
                    let event = match timeout(SILENCE, stream.next()).await {
                        Err(_) => break Some("the API server has fallen silent".into()),
                        Ok(None) => break None,
                        Ok(Some(Err(error))) => break Some(error.into()),
                        Ok(Some(Ok(event))) => event,
                    };
                    pause = PATIENCE.0;
                    match event {
                        WatchEvent::Bookmark(it) => version = it.metadata.resource_version,
                        WatchEvent::Error(it) if it.code == 410 => return None,
                        WatchEvent::Error(it) => break Some(it.message.into()),
                        WatchEvent::Added(object) | WatchEvent::Modified(object) => {
                            version = object.resource_version().unwrap_or(version);
                            // Who wrote what and when is not read.
                            let spec = object.data.get("spec").map(ToString::to_string);
                            let (metadata, data) = (object.metadata, object.data);
                            drop(data);
                            let spec = spec
                                .and_then(|it| serde_json::value::RawValue::from_string(it).ok());
                            let item = Item { metadata: metadata.into(), spec: spec.as_deref() };
                            tell.send_if_modified(|it| {
                                take(it.get_or_insert_default(), &mut known, &item)
                            });
                        }
                        WatchEvent::Deleted(object) => {
                            version = object.resource_version().unwrap_or(version);
                            let Some(name) = Name::parse(&object.name_any()) else { continue };
                            known.remove(&name);
                            tell.send_if_modified(|it| {
                                it.as_mut().is_some_and(|it| it.remove(&name).is_some())
                            });
                        }
                    }
                }
            }
        };
        if let Some(error) = failed {
            handler(AgentEvent::WatchFailed(&*error));
            sleep(pause.mul_f64(stagger)).await;
            pause = (pause * 2).min(PATIENCE.1);
        }
    }
}

fn is_gone(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(it) if it.code == 410)
}

/// Tells whenever somebody may have touched the node or its `SeccompNode`, for
/// ever. Only metadata travels.
pub(super) async fn touches(
    client: Client,
    node: &str,
    tell: watch::Sender<()>,
    handler: EventHandler,
) {
    let config = Config::default().fields(&format!("metadata.name={node}"));
    let nodes: Api<PartialObjectMeta<Node>> = Api::all(client.clone());
    let objects: Api<PartialObjectMeta<DynamicObject>> = Api::all_with(client, &seccomp_nodes());
    let nodes = watcher(nodes, config.clone()).default_backoff().touched_objects();
    let objects = watcher(objects, config).default_backoff().touched_objects();
    select(nodes.map(|it| it.map(drop)), objects.map(|it| it.map(drop)))
        .for_each(|it| {
            match it {
                Ok(()) => drop(tell.send(())),
                Err(error) => handler(AgentEvent::WatchFailed(&error)),
            }
            ready(())
        })
        .await;
}
