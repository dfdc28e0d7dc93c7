//! Watches a cluster and tells what it says, whenever that changes.

use std::time::Duration;

use kube::Client;
use tokio::{
    sync::mpsc::{self, UnboundedReceiver, UnboundedSender},
    time::{Instant, timeout_at},
};

use super::{
    Report,
    conditions::{self, stored},
    facts::{Any, Facts, News, handler, labels_in_use, policy, profile},
    kind::Kind,
    partial::{node, seccomp_node},
};
use crate::watch::{Change, Event, Failure, stream};

/// What is told of the watches.
pub enum Watched<'a> {
    /// Everything is known, and these parts of it are new.
    Changed {
        facts: &'a Facts,
        news: News,
        /// Namespaces whose labels have changed since everything was listed.
        namespaces: Vec<String>,
    },
    /// Up to this instant everything is known of these objects.
    Confirmed { kind: Kind, at: Instant },
    /// A watch failed, by an answer of the API server or by silence; it is tried again. What was
    /// known last goes on to count.
    Failed { kind: Kind, why: String, is_answer: bool },
    /// There is an object of which not even the name can be read.
    Nameless { kind: Kind, why: String },
    /// A condition of a policy or profile was to be written.
    Reported(Report),
}

/// What one of the streams has told.
enum Heard {
    Change(Any),
    Nameless(Kind, String),
    Confirmed(Kind, Instant),
    Failed(Kind, Failure),
}

/// How long changes are gathered at most that follow another one: a list of a thousand namespaces
/// that are labelled one by one is not a thousand snapshots.
const LONGEST_GATHERING: Duration = Duration::from_millis(50);

/// To tell of changes may take this part of the time, as long as they are gathered no longer than
/// that. The first change is told of at once.
const SHARE: u32 = 10;

/// Follows namespaces (their metadata alone), policies, profiles, runtime classes
/// and nodes, for ever, and writes into policies and profiles what is made of them by `client`.
///
/// What an agent reported counts until it has been silent for longer than `silent_after`.
pub async fn watch(
    client: Client,
    watches: Client,
    silent_after: Duration,
    tell: impl Fn(Watched<'_>),
) {
    let (show, keep) = conditions::reconciler(client, |it| tell(Watched::Reported(it)));
    let (hear, heard) = mpsc::unbounded_channel();
    let client = &watches;
    let policies = heard_by(&hear, Kind::Policy, |it| Any::Policy(show.see(Kind::Policy, it)));
    let profiles = heard_by(&hear, Kind::Profile, |it| Any::Profile(show.see(Kind::Profile, it)));
    let namespaces = heard_by(&hear, Kind::Namespace, Any::Namespace);
    let classes = heard_by(&hear, Kind::RuntimeClass, Any::Class);
    let nodes = heard_by(&hear, Kind::Node, Any::Node);
    let reports = heard_by(&hear, Kind::SeccompNode, Any::SeccompNode);
    tokio::join!(
        stream(client, Kind::Namespace.source(), labels_in_use, namespaces),
        stream(
            client,
            Kind::Policy.source(),
            |it| (policy(it), stored(Kind::Policy, it)),
            policies
        ),
        stream(
            client,
            Kind::Profile.source(),
            |it| (profile(it), stored(Kind::Profile, it)),
            profiles
        ),
        stream(client, Kind::RuntimeClass.source(), handler, classes),
        stream(client, Kind::Node.source(), node, nodes),
        stream(client, Kind::SeccompNode.source(), seccomp_node, reports),
        follow(heard, silent_after, &tell),
        keep,
    );
}

/// Passes on what a stream tells.
fn heard_by<T>(
    hear: &UnboundedSender<Heard>,
    kind: Kind,
    any: impl Fn(Change<T>) -> Any,
) -> impl Fn(Event<T>) {
    move |event| {
        let heard = match event {
            Event::Change(it) => Heard::Change(any(it)),
            Event::Nameless(why) => Heard::Nameless(kind, why),
            Event::Confirmed(at) => Heard::Confirmed(kind, at),
            Event::Failed(it) => Heard::Failed(kind, it),
        };
        // Who hears ends only with us.
        let _ = hear.send(heard);
    }
}

async fn follow(
    mut heard: UnboundedReceiver<Heard>,
    silent_after: Duration,
    tell: impl Fn(Watched<'_>),
) {
    let mut facts = Facts::new(silent_after);
    let mut news = News::default();
    let mut changed = Vec::new();
    // Until when changes are gathered since something was told.
    let mut quiet = Instant::now();
    loop {
        let is_news = news != News::default() && facts.is_complete();
        let next = if !is_news {
            Ok(heard.recv().await)
        // Asked first: of changes that never pause nobody would ever be told.
        } else if quiet <= Instant::now() {
            Err(())
        } else {
            timeout_at(quiet, heard.recv()).await.map_err(|_| ())
        };
        match next {
            Ok(Some(Heard::Change(change))) => {
                let namespace = change.namespace();
                let new = facts.take(change);
                changed.extend(namespace.filter(|_| new.policies));
                news = news.and(new);
            }
            Ok(Some(Heard::Nameless(kind, why))) => tell(Watched::Nameless { kind, why }),
            Ok(Some(Heard::Confirmed(kind, at))) => {
                news.nodes |= kind == Kind::Node && facts.store.confirmed(at);
                tell(Watched::Confirmed { kind, at });
            }
            Ok(Some(Heard::Failed(kind, Failure { why, is_answer }))) => {
                tell(Watched::Failed { kind, why, is_answer });
            }
            Ok(None) => return,
            Err(()) => {
                let began = Instant::now();
                news.catalog |= news.nodes && facts.store.refresh();
                let (news, namespaces) = (std::mem::take(&mut news), std::mem::take(&mut changed));
                tell(Watched::Changed { facts: &facts, news, namespaces });
                quiet = Instant::now() + (began.elapsed() * SHARE).min(LONGEST_GATHERING);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;
    use crate::policy::Labels;

    fn put(name: &str, policy: Option<&str>) -> Any {
        let labels = Labels { policy: policy.map(str::to_owned), mode: None };
        Any::Namespace(Change::Put(name.to_owned(), Ok(Some(labels))))
    }

    fn lists() -> [Any; 6] {
        [
            Any::Namespace(Change::End),
            Any::Policy(Change::End),
            Any::Profile(Change::End),
            Any::Class(Change::End),
            Any::Node(Change::End),
            Any::SeccompNode(Change::End),
        ]
    }

    /// What is told of changes that are all there already, where to tell takes so long.
    async fn told(changes: impl IntoIterator<Item = Any>, takes: Duration) -> Vec<News> {
        let (hear, heard) = mpsc::unbounded_channel();
        for change in lists().into_iter().chain(changes) {
            assert!(hear.send(Heard::Change(change)).is_ok());
        }
        drop(hear);
        let told = RefCell::new(Vec::new());
        follow(heard, Duration::from_mins(16), |it| {
            if let Watched::Changed { news, .. } = it {
                std::thread::sleep(takes);
                told.borrow_mut().push(news);
            }
        })
        .await;
        told.into_inner()
    }

    #[tokio::test]
    async fn the_first_change_is_reported_at_once_and_later_ones_are_gathered() {
        let more = (0..1000).map(|at| put(&format!("team-{at}"), None));
        // While it is told of, nothing else can be; then it is quiet for ten times as long.
        let told = told(more, Duration::from_millis(5)).await;
        let all =
            News { policies: true, catalog: true, classes: true, nodes: true, unreadable: true };
        assert_eq!(told[0], all);
        assert!(told.len() < 1000, "{} snapshots", told.len());
    }

    /// To tell takes no time, so every change is told of by itself.
    #[tokio::test(start_paused = true)]
    async fn a_change_without_effect_is_not_reported() {
        let same = (0..10).map(|_| put("shop", Some("restricted")));
        let gone = Any::Namespace(Change::Gone("bank".to_owned()));
        let told = told(same.chain([gone]), Duration::ZERO).await;
        let policies = News { policies: true, ..News::default() };
        assert_eq!(told[1..], [policies]);
    }
}
