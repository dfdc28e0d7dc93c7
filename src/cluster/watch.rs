//! Watches a cluster and reports its facts whenever they change.

use std::time::Duration;

use kube::Client;
use tokio::{
    sync::{
        mpsc::{self, UnboundedReceiver, UnboundedSender},
        watch::Receiver,
    },
    time::{Instant, timeout_at},
};

use super::{
    Report,
    conditions::{self, InProcess, seen},
    facts::{Any, Changes, Facts},
    object_type::ObjectType,
    partial::{node, seccomp_node},
    read::{handler, labels_in_use, policy, profile},
};
use crate::watch::{Change, Event, Failure, stream};

/// What the watches report.
pub enum Watched<'a> {
    /// All lists are complete, and these parts of the facts are new.
    Changed {
        facts: &'a Facts,
        news: Changes,
        /// The namespaces whose labels have changed since everything was listed.
        namespaces: Vec<String>,
    },
    /// The objects of this kind are up to date as of that instant.
    Confirmed { kind: ObjectType, at: Instant },
    /// A watch failed: the API server rejected it (`is_answer`) or did not answer. It is tried
    /// again, and the facts remain as they were.
    Failed { kind: ObjectType, why: String, is_answer: bool },
    /// An object has no readable name.
    Nameless { kind: ObjectType, why: String },
    /// The outcome of writing a condition of a policy or profile.
    Reported(Report),
}

/// An event of one of the streams.
enum StreamEvent {
    Change(Box<Any>),
    Nameless(ObjectType, String),
    Confirmed(ObjectType, Instant),
    Failed(ObjectType, Failure),
}

/// How long changes that follow another one are gathered at most, so that labelling a thousand
/// namespaces one by one does not make a thousand snapshots.
const LONGEST_GATHERING: Duration = Duration::from_millis(50);

/// Changes are gathered for this many times as long as it took to report the last ones, up to
/// [`LONGEST_GATHERING`], so that reporting takes a bounded share of the time. The first change is
/// reported at once.
const SHARE: u32 = 10;

/// Watches namespaces (their metadata only), policies, profiles, runtime classes and nodes, for
/// ever, and writes the conditions of policies and profiles by `client`.
///
/// The report of an agent counts until the agent has been silent for longer than `silent_after`.
/// `in_process` is what the API server sets by policies itself, which a condition reports.
pub async fn watch(
    client: Client,
    watches: Client,
    silent_after: Duration,
    in_process: Receiver<InProcess>,
    on_event: impl Fn(Watched<'_>),
) {
    let (observer, conditions) =
        conditions::reconciler(client, in_process, |it| on_event(Watched::Reported(it)));
    let (sender, events) = mpsc::unbounded_channel();
    let client = &watches;
    let policies = forward(&sender, ObjectType::Policy, |it| {
        Any::Policy(observer.observe(ObjectType::Policy, it))
    });
    let profiles = forward(&sender, ObjectType::Profile, |it| {
        Any::Profile(observer.observe(ObjectType::Profile, it))
    });
    let namespaces = forward(&sender, ObjectType::Namespace, Any::Namespace);
    let classes = forward(&sender, ObjectType::RuntimeClass, Any::Class);
    let nodes = forward(&sender, ObjectType::Node, Any::Node);
    let reports = forward(&sender, ObjectType::SeccompNode, Any::SeccompNode);
    tokio::join!(
        stream(client, ObjectType::Namespace.source(), labels_in_use, namespaces),
        stream(
            client,
            ObjectType::Policy.source(),
            |it| (policy(it), seen(ObjectType::Policy, it)),
            policies
        ),
        stream(
            client,
            ObjectType::Profile.source(),
            |it| (profile(it), seen(ObjectType::Profile, it)),
            profiles
        ),
        stream(client, ObjectType::RuntimeClass.source(), handler, classes),
        stream(client, ObjectType::Node.source(), node, nodes),
        stream(client, ObjectType::SeccompNode.source(), seccomp_node, reports),
        follow(events, silent_after, &on_event),
        conditions,
    );
}

/// Sends the events of one stream to the common channel.
fn forward<T>(
    sender: &UnboundedSender<StreamEvent>,
    kind: ObjectType,
    any: impl Fn(Change<T>) -> Any,
) -> impl Fn(Event<T>) {
    move |event| {
        let event = match event {
            Event::Change(it) => StreamEvent::Change(Box::new(any(it))),
            Event::Nameless(why) => StreamEvent::Nameless(kind, why),
            Event::Confirmed(at) => StreamEvent::Confirmed(kind, at),
            Event::Failed(it) => StreamEvent::Failed(kind, it),
        };
        // The receiver is dropped only together with the streams.
        let _ = sender.send(event);
    }
}

async fn follow(
    mut events: UnboundedReceiver<StreamEvent>,
    silent_after: Duration,
    on_event: impl Fn(Watched<'_>),
) {
    let mut facts = Facts::new(silent_after);
    let mut news = Changes::default();
    let mut changed = Vec::new();
    // Until when changes are gathered after the last report.
    let mut quiet = Instant::now();
    loop {
        let is_news = news != Changes::default() && facts.is_complete();
        let next = if !is_news {
            Ok(events.recv().await)
        // Checked before the channel: otherwise changes that never pause would never be reported.
        } else if quiet <= Instant::now() {
            Err(())
        } else {
            timeout_at(quiet, events.recv()).await.map_err(|_| ())
        };
        match next {
            Ok(Some(StreamEvent::Change(change))) => {
                let namespace = change.namespace();
                let new = facts.take(*change);
                changed.extend(namespace.filter(|_| new.policies));
                news = news.and(new);
            }
            Ok(Some(StreamEvent::Nameless(kind, why))) => on_event(Watched::Nameless { kind, why }),
            Ok(Some(StreamEvent::Confirmed(kind, at))) => {
                news.nodes |= kind == ObjectType::Node && facts.store.confirmed(at);
                on_event(Watched::Confirmed { kind, at });
            }
            Ok(Some(StreamEvent::Failed(kind, Failure { why, is_answer, code: _ }))) => {
                on_event(Watched::Failed { kind, why, is_answer });
            }
            Ok(None) => return,
            Err(()) => {
                let began = Instant::now();
                news.catalog |= news.nodes && facts.store.refresh();
                let (news, namespaces) = (std::mem::take(&mut news), std::mem::take(&mut changed));
                on_event(Watched::Changed { facts: &facts, news, namespaces });
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

    /// The news reported of changes that are all there at once, if each report takes that long.
    async fn told(changes: impl IntoIterator<Item = Any>, takes: Duration) -> Vec<Changes> {
        let (sender, events) = mpsc::unbounded_channel();
        for change in lists().into_iter().chain(changes) {
            assert!(sender.send(StreamEvent::Change(Box::new(change))).is_ok());
        }
        drop(sender);
        let told = RefCell::new(Vec::new());
        follow(events, Duration::from_mins(16), |it| {
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
        // While a report is made, changes gather; after it they gather for ten times as long.
        let told = told(more, Duration::from_millis(5)).await;
        let all =
            Changes { policies: true, catalog: true, classes: true, nodes: true, unreadable: true };
        assert_eq!(told[0], all);
        assert!(told.len() < 1000, "{} snapshots", told.len());
    }

    /// A report takes no time here, so every change is reported separately.
    #[tokio::test(start_paused = true)]
    async fn a_change_without_effect_is_not_reported() {
        let same = (0..10).map(|_| put("shop", Some("restricted")));
        let gone = Any::Namespace(Change::Gone("bank".to_owned()));
        let told = told(same.chain([gone]), Duration::ZERO).await;
        let policies = Changes { policies: true, ..Changes::default() };
        assert_eq!(told[1..], [policies]);
    }
}
