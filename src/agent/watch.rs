//! Follows what the agent of a node has to know of the cluster.

use std::future::ready;

use futures_util::{StreamExt, stream::select};
use k8s_openapi::api::core::v1::Node;
use kube::{
    Api, Client, ResourceExt,
    api::{ApiResource, DynamicObject},
    core::{GroupVersionKind, PartialObjectMeta},
    runtime::{
        WatchStreamExt,
        watcher::{Config, Event, watcher},
    },
};
use tokio::sync::watch;

use super::{
    name::Name,
    run::{Hear, News, seccomp_nodes},
    wanted::{Wanted, want},
};

/// How many profiles travel at once: each is large for a moment.
const PAGE: u32 = 25;

/// Follows all profiles, for ever. Nothing is told before all have been listed;
/// while the API server is away, what was told last stands.
pub(super) async fn follow(client: Client, tell: watch::Sender<Option<Wanted>>, hear: Hear) {
    let kind = GroupVersionKind::gvk("callgate.dev", "v1alpha1", "SeccompProfile");
    let profiles: Api<DynamicObject> = Api::all_with(client, &ApiResource::from_gvk(&kind));
    let events = watcher(profiles, Config::default().page_size(PAGE)).default_backoff();
    let mut events = std::pin::pin!(events);
    let mut listing = Wanted::new();
    while let Some(event) = events.next().await {
        match event {
            Ok(Event::Init) => listing.clear(),
            Ok(Event::InitApply(object)) => {
                listing.extend(read(&object));
            }
            Ok(Event::InitDone) => {
                tell.send_replace(Some(std::mem::take(&mut listing)));
            }
            Ok(Event::Apply(object)) => {
                tell.send_modify(|it| it.get_or_insert_default().extend(read(&object)));
            }
            Ok(Event::Delete(object)) => {
                let name = Name::parse(&object.name_any());
                tell.send_modify(|it| {
                    if let (Some(wanted), Some(name)) = (it, name) {
                        wanted.remove(&name);
                    }
                });
            }
            Err(error) => hear(News::WatchFailed(&error)),
        }
    }
}

fn read(object: &DynamicObject) -> Option<(Name, super::Want)> {
    let name = object.name_any();
    let Some(name) = Name::parse(&name) else {
        tracing::error!(profile = name, "no file can bear this name, left out");
        return None;
    };
    // The spec alone: who wrote what and when is the larger part of an object.
    let json = serde_json::json!({ "spec": object.data.get("spec") });
    Some((name, want(&json)))
}

/// Tells whenever somebody may have touched the node or its `SeccompNode`, for
/// ever. Only metadata travels.
pub(super) async fn touches(client: Client, node: &str, tell: watch::Sender<()>, hear: Hear) {
    let config = Config::default().fields(&format!("metadata.name={node}"));
    let nodes: Api<PartialObjectMeta<Node>> = Api::all(client.clone());
    let objects: Api<PartialObjectMeta<DynamicObject>> = Api::all_with(client, &seccomp_nodes());
    let nodes = watcher(nodes, config.clone()).default_backoff().touched_objects();
    let objects = watcher(objects, config).default_backoff().touched_objects();
    select(nodes.map(|it| it.map(drop)), objects.map(|it| it.map(drop)))
        .for_each(|it| {
            match it {
                Ok(()) => drop(tell.send(())),
                Err(error) => hear(News::WatchFailed(&error)),
            }
            ready(())
        })
        .await;
}
