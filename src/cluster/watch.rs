//! Watches a cluster and tells what it says, whenever that changes.

use std::time::Duration;

use futures_util::{Stream, StreamExt, stream::select};
use k8s_openapi::api::core::v1::Namespace;
use kube::{
    Api, Client, ResourceExt,
    api::DynamicObject,
    core::PartialObjectMeta,
    runtime::{
        WatchStreamExt,
        watcher::{self, Event, watcher},
    },
};
use tokio::time::{Instant, timeout_at};

use super::{
    Report, chain,
    conditions::{self, Kind},
    facts::{Change, Facts, labels, policy, profile},
    slim::{Said, SlimNode},
};
use crate::{
    placement::Node,
    policy::{Labels, Policy},
    profile::{Defect, Inventory},
};

/// What is told of a watch.
pub enum Watched<'a> {
    /// Everything is known, and something of it is new.
    Changed(&'a Facts),
    /// Only of nodes something is new, and that is all there is to say of most
    /// changes; `paths` is whether the catalog is another by it.
    Moved { facts: &'a Facts, paths: bool },
    /// A watch failed; it is tried again. What was known last goes on to count.
    Failed(String),
    /// A condition of a policy or profile was to be written.
    Reported(Report),
}

/// A change of any type.
enum Any {
    Namespace(Change<Labels>),
    Policy(Change<Result<Policy, String>>),
    Profile(Change<Option<Defect>>),
    Node(Change<Node>),
    Said(Change<Option<Inventory>>),
}

/// What is new, the greatest of it last.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum News {
    Nothing,
    OfNodes,
    OfAll,
}

/// How long changes are gathered before they are told of: a list of a thousand
/// namespaces that are labelled one by one is not a thousand snapshots.
const GATHER: Duration = Duration::from_millis(50);

/// How many namespaces or nodes a list brings at once: of the tens of kilobytes of
/// a node hardly anything is kept.
const PAGE: u32 = 100;

/// How many objects of ours a list brings at once: a profile of ten kilobytes
/// takes ten times that while it is read.
const OBJECTS: u32 = 20;

/// Follows namespaces (their metadata alone), policies, profiles and nodes, for
/// ever, and writes into policies and profiles what is made of them.
pub async fn watch(client: Client, tell: impl Fn(Watched<'_>)) {
    let (see, keep) = conditions::keeper(client.clone(), |it| tell(Watched::Reported(it)));
    tokio::join!(follow(all(&client, &see), GATHER, &tell), keep);
}

async fn follow(
    changes: impl Stream<Item = Result<Any, String>>,
    gather: Duration,
    tell: impl Fn(Watched<'_>),
) {
    let mut changes = std::pin::pin!(changes);
    let mut facts = Facts::default();
    let mut news = News::Nothing;
    let mut due: Option<Instant> = None;
    loop {
        let change = match due {
            // Asked first: of changes that never pause nobody would ever be told.
            Some(due) if due <= Instant::now() => Err(()),
            Some(due) => timeout_at(due, changes.next()).await.map_err(|_| ()),
            None => Ok(changes.next().await),
        };
        match change {
            Ok(Some(Ok(change))) => {
                news = news.max(facts.take(change));
                if news > News::Nothing {
                    due = due.or_else(|| Some(Instant::now() + gather));
                }
            }
            Ok(Some(Err(why))) => tell(Watched::Failed(why)),
            Ok(None) => return,
            Err(()) => {
                due = None;
                if facts.is_complete() {
                    let paths = facts.fleet.refresh();
                    match std::mem::replace(&mut news, News::Nothing) {
                        News::OfAll => tell(Watched::Changed(&facts)),
                        _ => tell(Watched::Moved { facts: &facts, paths }),
                    }
                }
            }
        }
    }
}

impl Facts {
    fn take(&mut self, change: Any) -> News {
        let (is_new, news) = match change {
            Any::Namespace(it) => (self.namespaces.take(it), News::OfAll),
            Any::Policy(it) => (self.policies.take(it), News::OfAll),
            Any::Profile(it) => (self.profiles.take(it), News::OfAll),
            Any::Node(it) => (self.fleet.take_node(it), News::OfNodes),
            Any::Said(it) => (self.fleet.take_report(it), News::OfNodes),
        };
        if is_new { news } else { News::Nothing }
    }
}

fn all(
    client: &Client,
    see: &impl Fn(Kind, &Event<DynamicObject>),
) -> impl Stream<Item = Result<Any, String>> {
    let namespaces: Api<PartialObjectMeta<Namespace>> = Api::all(client.clone());
    let paged = || watcher::Config::default().page_size(PAGE);
    let namespaces = watcher(namespaces, paged())
        .default_backoff()
        .map(|it| told(it, |it| labels(it.labels()), Any::Namespace));
    let seen =
        |kind| own(client, kind).inspect(move |it| it.iter().for_each(|event| see(kind, event)));
    let policies = seen(Kind::Policy).map(|it| told(it, read(policy), Any::Policy));
    let profiles = seen(Kind::Profile).map(|it| told(it, read(profile), Any::Profile));
    let nodes = watcher(Api::<SlimNode>::all(client.clone()), paged())
        .default_backoff()
        .map(|it| told(it, |it| it.node.clone(), Any::Node));
    let said = watcher(Api::<Said>::all(client.clone()), paged())
        .default_backoff()
        .map(|it| told(it, |it| it.inventory.clone(), Any::Said));
    let objects = select(namespaces, select(policies, profiles));
    select(objects, select(nodes, said))
}

/// Objects of ours as they are, whether they mean anything or not: a typed
/// watch would fail for all of them when one cannot be decoded.
fn own(
    client: &Client,
    kind: Kind,
) -> impl Stream<Item = Result<Event<DynamicObject>, watcher::Error>> {
    let objects = Api::all_with(client.clone(), &kind.resource());
    let config = watcher::Config::default().page_size(OBJECTS);
    watcher(objects, config).default_backoff()
}

fn read<T>(of: impl Fn(&serde_json::Value) -> T) -> impl Fn(&DynamicObject) -> T {
    move |object| {
        let json = serde_json::to_value(object).unwrap_or_default();
        of(&json)
    }
}

fn told<K: ResourceExt, T>(
    event: Result<Event<K>, watcher::Error>,
    value: impl Fn(&K) -> T,
    any: impl Fn(Change<T>) -> Any,
) -> Result<Any, String> {
    let named = |it: &K| (it.name_any(), value(it));
    Ok(any(match event.map_err(|error| chain(&error))? {
        Event::Init => Change::Begin,
        Event::InitApply(it) => {
            let (name, value) = named(&it);
            Change::Listed(name, value)
        }
        Event::InitDone => Change::End,
        Event::Apply(it) => {
            let (name, value) = named(&it);
            Change::Put(name, value)
        }
        Event::Delete(it) => Change::Gone(it.name_any()),
    }))
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use futures_util::stream;

    use super::*;

    #[tokio::test]
    async fn changes_that_never_pause_are_told_of_all_the_same() {
        let labels = || Labels { policy: None, mode: None };
        let lists = [
            Any::Namespace(Change::End),
            Any::Policy(Change::End),
            Any::Profile(Change::End),
            Any::Node(Change::End),
            Any::Said(Change::End),
        ];
        let more = (0..20).map(|at| Any::Namespace(Change::Put(format!("team-{at}"), labels())));
        // There is always another already.
        let ready = stream::iter(lists.into_iter().chain(more)).map(Ok);
        let told = Cell::new(0);
        follow(ready, Duration::ZERO, |it| {
            if matches!(it, Watched::Changed(_)) {
                told.set(told.get() + 1);
            }
        })
        .await;
        assert!(told.get() > 0, "nobody was told");
    }
}
