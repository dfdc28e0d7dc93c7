//! Notices that an object may have changed.

use std::{fmt::Debug, future::ready};

use futures_util::{Stream, StreamExt};
use kube::{
    Api, Resource,
    core::PartialObjectMeta,
    runtime::{WatchStreamExt, watcher},
};
use serde::de::DeserializeOwned;

/// An item for every change of one object, and for every new start of the
/// watch; it never ends. Only metadata travels: whoever cares reads again.
///
/// By name, so that rights to this one object suffice.
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
            // What cannot be watched is looked at now and then all the same.
            tracing::debug!(error, what, "watch interrupted");
        }
        ready(it.ok().map(drop))
    })
}
