//! All that is known of a cluster, kept up to date event by event.

use std::collections::BTreeMap;

use serde_json::Value;

use super::nodes::Fleet;
use crate::{
    placement::Nodes,
    policy::{Book, Labels, MODE_LABEL, POLICY_LABEL, Policy},
    profile::{Catalog, Defect, Document, ProfilePath, spec_of},
};

/// What happened to the objects of one type.
#[derive(Clone, Debug)]
pub(super) enum Change<T> {
    /// A list of all objects begins; it replaces what is known once it ends.
    Begin,
    /// An object of that list.
    Listed(String, T),
    End,
    Put(String, T),
    Gone(String),
}

/// The objects of one type, by name.
#[derive(Debug)]
pub(super) struct Objects<T> {
    known: BTreeMap<String, T>,
    listing: BTreeMap<String, T>,
    is_complete: bool,
}

/// The policies and profiles of a cluster, who obeys what, and what is on the nodes.
#[derive(Debug, Default)]
pub struct Facts {
    pub(super) namespaces: Objects<Labels>,
    pub(super) policies: Objects<Result<Policy, String>>,
    pub(super) profiles: Objects<Option<Defect>>,
    pub(super) fleet: Fleet,
}

/// An object that was let in, perhaps while the webhook was away, and that
/// means nothing to us. It never stops the others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable {
    /// The name of the policy.
    pub name: String,
    pub why: String,
}

impl<T> Default for Objects<T> {
    fn default() -> Self {
        Self { known: BTreeMap::new(), listing: BTreeMap::new(), is_complete: false }
    }
}

impl<T> Objects<T> {
    /// Takes a change in; says whether anything that matters is different now.
    pub(super) fn take(&mut self, change: Change<T>) -> bool {
        match change {
            Change::Begin => self.listing.clear(),
            Change::Listed(name, object) => {
                self.listing.insert(name, object);
            }
            Change::End => {
                self.known = std::mem::take(&mut self.listing);
                self.is_complete = true;
                return true;
            }
            Change::Put(name, object) => {
                self.known.insert(name, object);
                return self.is_complete;
            }
            Change::Gone(name) => return self.known.remove(&name).is_some() && self.is_complete,
        }
        false
    }
}

impl Facts {
    /// Whether everything has been listed once: before that nothing can be judged.
    pub fn is_complete(&self) -> bool {
        self.namespaces.is_complete
            && self.policies.is_complete
            && self.profiles.is_complete
            && self.fleet.is_complete()
    }

    /// Each node, and what its agent says.
    pub fn nodes(&self) -> &Nodes {
        self.fleet.nodes()
    }

    /// What follows for judgements; `default` is what namespaces without a label obey.
    pub fn book(&self, default: Option<&str>) -> Book {
        let policies = self.policies.known.values().filter_map(|it| it.as_ref().ok()).cloned();
        let namespaces = self.namespaces.known.clone();
        let unreadable = self.unreadable().into_iter().map(|it| (it.name, it.why)).collect();
        Book::of_cluster(policies, namespaces, default.map(str::to_owned))
            .with_unreadable(unreadable)
    }

    /// The profiles of the cluster and those on its nodes, beside those that are
    /// known from elsewhere. Of a path that several speak of, an object has the
    /// last word, and a node the first.
    pub fn catalog(&self, others: &Catalog) -> Catalog {
        let others = others.iter().map(|(path, defect)| (path.clone(), defect.cloned()));
        let own = self.profiles.known.iter().filter_map(|(name, defect)| {
            Some((ProfilePath::of_object(name).ok()?, defect.clone()))
        });
        let on_nodes = self.fleet.paths().map(|path| (path.clone(), None));
        on_nodes.chain(others).collect::<Catalog>().bringing(own)
    }

    pub fn unreadable(&self) -> Vec<Unreadable> {
        let broken = self.policies.known.iter().filter_map(|(name, policy)| {
            Some(Unreadable { name: name.clone(), why: policy.as_ref().err()?.clone() })
        });
        broken.collect()
    }
}

/// What the labels of a namespace say to us.
pub(super) fn labels(labels: &BTreeMap<String, String>) -> Labels {
    let label = |key: &str| labels.get(key).cloned();
    Labels { policy: label(POLICY_LABEL), mode: label(MODE_LABEL) }
}

/// Reads a policy as it is stored.
pub(super) fn policy(object: &Value) -> Result<Policy, String> {
    Policy::read(object).map_err(|it| it.to_string())
}

/// Looks into a profile as it is stored: its spec is the profile.
pub(super) fn profile(object: &Value) -> Option<Defect> {
    Document::inspect(spec_of(object).to_string().as_bytes())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{policy::Governed, profile::Inventory};

    #[test]
    fn a_list_replaces_what_was_known_when_it_ends() {
        let mut objects = Objects::default();
        assert!(!objects.take(Change::Put("early".into(), 0)), "nothing is complete yet");
        objects.take(Change::Begin);
        objects.take(Change::Listed("a".into(), 1));
        assert!(objects.known.contains_key("early"), "until it ends nothing changes");
        assert!(objects.take(Change::End));
        assert_eq!(objects.known, BTreeMap::from([("a".into(), 1)]));
        assert!(objects.take(Change::Put("b".into(), 2)));
        assert!(objects.take(Change::Gone("a".into())));
        assert!(!objects.take(Change::Gone("a".into())), "it was gone already");
        assert_eq!(objects.known, BTreeMap::from([("b".into(), 2)]));
    }

    fn listed<T>(name: &str, object: T) -> Objects<T> {
        let mut objects = Objects::default();
        objects.take(Change::Begin);
        objects.take(Change::Listed(name.to_owned(), object));
        objects.take(Change::End);
        objects
    }

    #[test]
    fn a_policy_that_cannot_be_read_stops_nobody_but_those_who_obey_it() {
        let bad = json!({
            "apiVersion": "callgate.dev/v1alpha1", "kind": "SeccompPolicy",
            "metadata": { "name": "bad" }, "spec": { "rules": { "unsett": "Warn" } },
        });
        let mut facts = Facts {
            policies: listed("bad", policy(&bad)),
            namespaces: listed("shop", Labels { policy: Some("bad".into()), mode: None }),
            ..Facts::default()
        };
        assert!(!facts.is_complete());
        facts.profiles.take(Change::End);
        assert!(!facts.is_complete(), "nobody has told of nodes yet");
        facts.fleet.take_node(Change::End);
        facts.fleet.take_report(Change::End);
        assert!(facts.is_complete());
        facts.namespaces.take(Change::Put(
            "bank".into(),
            Labels { policy: Some("restricted".into()), mode: None },
        ));
        let book = facts.book(None);
        assert!(matches!(book.governing("shop"), Governed::ByWhat("bad")));
        assert!(matches!(book.governing("bank"), Governed::By(..)));
        assert_eq!(
            book.no_such_policy("bad"),
            "the policy \"bad\" cannot be read: there is no rule \"unsett\", did you mean \"unset\"?"
        );
    }

    #[test]
    fn profiles_are_named_as_the_agent_will_install_them() {
        let hollow = json!({ "metadata": { "name": "web" }, "spec": {} });
        let facts = Facts { profiles: listed("web", profile(&hollow)), ..Facts::default() };
        let others = Catalog::from_iter([("here.json".parse().unwrap(), None)]);
        let catalog = facts.catalog(&others);
        let all: Vec<_> = catalog.iter().map(|(path, it)| (path.as_str(), it.is_some())).collect();
        assert_eq!(all, [("callgate/web.json", true), ("here.json", false)]);
        assert!(catalog.is_brought(&"callgate/web.json".parse().unwrap()));
        assert!(!catalog.is_brought(&"here.json".parse().unwrap()));
    }

    #[test]
    fn what_is_sound_on_some_node_is_in_the_catalog_and_an_object_has_the_last_word() {
        let hollow = json!({ "metadata": { "name": "web" }, "spec": {} });
        let mut facts = Facts { profiles: listed("web", profile(&hollow)), ..Facts::default() };
        let profiles = json!([
            { "path": "callgate/web.json" }, { "path": "there.json" },
            { "path": "bad.json", "problem": "not-json" },
        ]);
        let inventory = Inventory::read(&json!({ "status": { "profiles": profiles } }));
        facts.fleet.take_report(Change::Put("node-a".into(), Some(inventory)));
        facts.fleet.refresh();
        let catalog = facts.catalog(&Catalog::default());
        let all: Vec<_> = catalog.iter().map(|(path, it)| (path.as_str(), it.is_some())).collect();
        assert_eq!(all, [("callgate/web.json", true), ("there.json", false)]);
    }
}
