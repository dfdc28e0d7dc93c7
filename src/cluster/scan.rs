//! Lists once what a scan reads, object by object.

use kube::Client;

use super::{
    facts::{Any, Facts},
    object_type::ObjectType,
    partial::{node, seccomp_node},
    read::{handler, labels_in_use, policy, profile},
};
use crate::{
    pod::Kind,
    scan::{RESOURCES, Reads, Resource, Seen, Unread},
    watch::{Change, Failure, Listing, Object, list},
};

/// The number of objects in a page.
const PAGE: usize = 500;

/// Reads the objects of a cluster, or of one namespace.
pub struct Reader<'a> {
    pub client: &'a Client,
    pub namespace: Option<&'a str>,
    /// A selector of labels for workloads and pods; empty for all.
    pub selector: &'a str,
    /// Receives the type that is read, and how many of its objects have come.
    pub on_progress: &'a dyn Fn(&'static str, usize),
}

/// Why nothing can be read: the API server does not answer, or knows no such user.
#[derive(Debug, thiserror::Error)]
#[error("cannot list {resource}: {why}")]
pub struct Unreachable {
    resource: String,
    why: String,
}

/// A step of a list.
enum Step<'a> {
    Begin,
    Listed(&'a Object<'a>),
    End,
}

fn change(kind: ObjectType, step: Step<'_>) -> Any {
    match kind {
        ObjectType::Namespace => Any::Namespace(step.read(labels_in_use)),
        ObjectType::Policy => Any::Policy(step.read(policy)),
        ObjectType::Profile => Any::Profile(step.read(profile)),
        ObjectType::RuntimeClass => Any::Class(step.read(handler)),
        ObjectType::Node => Any::Node(step.read(node)),
        ObjectType::SeccompNode => Any::SeccompNode(step.read(seccomp_node)),
    }
}

impl Step<'_> {
    fn read<T>(self, read: impl FnOnce(&Object<'_>) -> T) -> Change<T> {
        match self {
            Self::Begin => Change::Begin,
            Self::Listed(it) => Change::Listed(it.name().to_owned(), read(it)),
            Self::End => Change::End,
        }
    }
}

impl Reader<'_> {
    /// Reads what decides about pods and what agents saw of them, and returns what could not be read.
    pub async fn facts(&self) -> Result<(Facts, Seen, Vec<Unread>), Unreachable> {
        let (mut facts, mut seen, mut unread) = (Facts::default(), Seen::default(), Vec::new());
        for resource in RESOURCES.iter().filter(|it| it.reads == Reads::Fact) {
            let kind = ObjectType::ALL.into_iter().find(|it| it.as_str() == resource.plural);
            let Some(kind) = kind else { continue };
            let fields = match (kind, self.namespace) {
                (ObjectType::Namespace, Some(name)) => format!("metadata.name={name}"),
                _ => String::new(),
            };
            facts.take(change(kind, Step::Begin));
            let listed = self.list(resource, &fields, |text| {
                if let Ok(object) = Object::read(text) {
                    facts.take(change(kind, Step::Listed(&object)));
                    if kind == ObjectType::SeccompNode {
                        seen.take(object.name(), object.status_text().unwrap_or("{}"));
                    }
                }
            });
            match listed.await {
                // The API server does not know the kind: callgate is not installed.
                Ok(()) | Err(Failure { code: Some(404), .. }) => {
                    facts.take(change(kind, Step::End));
                }
                Err(Failure { why, is_answer, code }) => {
                    let resource = resource.name();
                    if !is_answer || code == Some(401) {
                        return Err(Unreachable { resource, why });
                    }
                    unread.push(Unread { resource, plural: kind.as_str(), why });
                }
            }
        }
        facts.store.refresh();
        Ok((facts, seen, unread))
    }

    /// Passes on the text of each workload and pod, and returns what could not be read.
    pub async fn objects(&self, mut take: impl FnMut(Kind, &str)) -> Vec<Unread> {
        let mut unread = Vec::new();
        for resource in RESOURCES {
            let Reads::Pods(kind) = resource.reads else { continue };
            if let Err(Failure { why, .. }) = self.list(resource, "", |it| take(kind, it)).await {
                unread.push(Unread { resource: resource.name(), plural: resource.plural, why });
            }
        }
        unread
    }

    async fn list(
        &self,
        resource: &'static Resource,
        fields: &str,
        mut each: impl FnMut(&str),
    ) -> Result<(), Failure> {
        let path = resource.path(self.namespace);
        let labels = if resource.reads == Reads::Fact { "" } else { self.selector };
        let mut count = 0;
        (self.on_progress)(resource.plural, count);
        list(
            self.client,
            Listing { path: &path, labels, fields, page: PAGE, metadata_only: false },
            |text| {
                each(text);
                count += 1;
                (self.on_progress)(resource.plural, count);
            },
        )
        .await
    }
}
