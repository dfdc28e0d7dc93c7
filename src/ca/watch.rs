//! Notifies of changes of one object.

use std::{fmt::Debug, future::ready};

use futures_util::{Stream, StreamExt};
use kube::{
    Api, Resource,
    core::PartialObjectMeta,
    runtime::{WatchStreamExt, watcher},
};
use serde::de::DeserializeOwned;

/// An item for each change of one object and for each restart of the watch. It never ends.
///
/// The watch transfers metadata alone; the object is read by another call. It selects the object by
/// name, so that the rights to this one object suffice.
pub(super) fn changes<K>(
    api: Api<PartialObjectMeta<K>>,
    name: &str,
    what: String,
) -> impl Stream<Item = ()> + use<K>
where
    K: Resource<DynamicType: Clone> + Clone + Debug + DeserializeOwned + Send + 'static,
{
    let config = watcher::Config::default().fields(&format!("metadata.name={name}"));
    watcher(api, config).default_backoff().touched_objects().filter_map(move |it| {
        if let Err(error) = &it {
            let error: &(dyn std::error::Error + 'static) = error;
            // Without a watch the object is still read once in each pulse.
            tracing::debug!(error, what, "watch interrupted");
        }
        ready(it.ok().map(drop))
    })
}
