//! What is known about a cluster, updated with each watch event.

use std::{collections::BTreeMap, time::Duration};

use super::{
    nodes::NodeStore,
    object_type::ObjectType,
    objects::{Objects, known},
    partial::{PartialNode, PartialSeccompNode},
};
use crate::{
    placement::Nodes,
    policy::{Labels, PolicyIndex, RuntimeClasses, Stored},
    profile::{Catalog, Managed, ProfilePath},
    watch::Change,
};

/// Which parts of the facts are new.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each part is new by itself")]
pub struct Changes {
    /// The policies, or which namespace uses which.
    pub policies: bool,
    /// The profiles of the cluster, or which of them are on some node.
    pub catalog: bool,
    /// The handlers of runtime classes.
    pub classes: bool,
    pub nodes: bool,
    /// The objects that cannot be read, and why.
    pub unreadable: bool,
}

/// A change of any type; an unreadable object carries the reason.
pub(super) enum Any {
    /// `None` for a namespace that is being deleted.
    Namespace(Change<Result<Option<Labels>, String>>),
    Policy(Change<Result<Stored, String>>),
    Profile(Change<Result<Managed, String>>),
    Class(Change<Result<String, String>>),
    Node(Change<Result<PartialNode, String>>),
    SeccompNode(Change<Result<PartialSeccompNode, String>>),
}

/// The policies and profiles of a cluster, the namespaces that use them, and what is on the nodes.
#[derive(Debug, Default)]
pub struct Facts {
    pub(super) namespaces: Objects<Labels>,
    pub(super) policies: Objects<Result<Stored, String>>,
    pub(super) profiles: Objects<Managed>,
    /// The handlers of the runtime classes.
    pub(super) classes: Objects<String>,
    pub(super) store: NodeStore,
    /// Why objects cannot be read, by type. An unreadable object does not affect the others.
    unreadable: BTreeMap<ObjectType, Objects<String>>,
}

impl Any {
    /// The namespace that has changed or is gone.
    pub(super) fn namespace(&self) -> Option<String> {
        match self {
            Self::Namespace(Change::Put(name, _) | Change::Gone(name)) => Some(name.clone()),
            _ => None,
        }
    }
}

impl Changes {
    /// What is new in either of the two.
    pub(super) fn and(self, other: Self) -> Self {
        Self {
            policies: self.policies || other.policies,
            catalog: self.catalog || other.catalog,
            classes: self.classes || other.classes,
            nodes: self.nodes || other.nodes,
            unreadable: self.unreadable || other.unreadable,
        }
    }
}

impl Facts {
    /// The report of an agent counts until the agent has been silent for longer than
    /// `silent_after`.
    pub(super) fn new(silent_after: Duration) -> Self {
        Self { store: NodeStore::new(silent_after), ..Self::default() }
    }

    /// Whether every type has been listed once: before that no pod can be judged.
    pub fn is_complete(&self) -> bool {
        self.namespaces.is_complete
            && self.policies.is_complete
            && self.profiles.is_complete
            && self.classes.is_complete
            && self.store.is_complete()
    }

    /// Each node, and the report of its agent.
    pub fn nodes(&self) -> &Nodes {
        self.store.nodes()
    }

    /// The nodes whose agents have sent a report and have been silent since.
    pub fn silent_agents(&self) -> impl Iterator<Item = &str> {
        self.store.silent()
    }

    /// The namespaces that are not being deleted, with their labels.
    pub fn namespaces(&self) -> &BTreeMap<String, Labels> {
        &self.namespaces.known
    }

    pub fn classes(&self) -> RuntimeClasses {
        RuntimeClasses::of_cluster(self.classes.known.clone())
    }

    /// The policies for reviews; namespaces without a label use `default`.
    pub fn policy_index(&self, default: Option<&str>) -> PolicyIndex {
        let policies =
            self.policies.known.values().filter_map(|it| Some(it.as_ref().ok()?.policy.clone()));
        let namespaces = self.namespaces.known.clone();
        let broken = |(name, it): (&String, &Result<Stored, String>)| {
            Some((name.clone(), it.as_ref().err()?.clone()))
        };
        let unreadable = self.policies.known.iter().filter_map(broken).collect();
        PolicyIndex::of_cluster(policies, namespaces, default.map(str::to_owned))
            .with_unreadable(unreadable)
    }

    /// The policies that can be read, as they are stored.
    pub fn policies(&self) -> impl Iterator<Item = &Stored> {
        self.policies.known.values().filter_map(|it| it.as_ref().ok())
    }

    /// The profiles of the cluster and those on its nodes, added to `others`. Where several sources
    /// have the same path, a `SeccompProfile` takes precedence, then `others`, then the nodes.
    pub fn catalog(&self, others: &Catalog) -> Catalog {
        let others = others.iter().map(|(path, defect)| (path.clone(), defect.cloned()));
        let own = self.profiles.known.iter().filter_map(|(name, profile)| {
            Some((ProfilePath::of_object(name).ok()?, profile.clone()))
        });
        let on_nodes = self.store.paths().map(|path| (path.clone(), None));
        on_nodes.chain(others).collect::<Catalog>().with_managed(own)
    }

    /// The fields that this version does not know, for each policy that a newer version wrote.
    pub fn unknown(&self) -> BTreeMap<String, Vec<String>> {
        let readable =
            self.policies.known.iter().filter_map(|(name, it)| Some((name, it.as_ref().ok()?)));
        let strange = readable.filter(|(_, it)| !it.unknown.is_empty());
        strange.map(|(name, it)| (name.clone(), it.unknown.clone())).collect()
    }

    /// The objects that cannot be read, and why.
    pub fn unreadable(&self) -> impl Iterator<Item = (ObjectType, &str, &str)> {
        let all =
            self.unreadable.iter().flat_map(|(kind, it)| it.known.iter().map(move |it| (kind, it)));
        all.map(|(kind, (name, why))| (*kind, name.as_str(), why.as_str()))
    }

    /// Applies a change; returns what is new because of it.
    pub(super) fn take(&mut self, change: Any) -> Changes {
        let mut news = Changes::default();
        match change {
            Any::Namespace(it) => {
                news.unreadable = self.note(ObjectType::Namespace, &it);
                // An unreadable namespace counts as unknown: a review of its pods makes a live
                // request to the API server, and denies them while its labels cannot be read. So
                // does one that is being deleted. No pod can be created in it; if one is, another
                // namespace has its name by then.
                news.policies = self.namespaces.take(known(it.map(|it| it.ok().flatten())));
            }
            Any::Policy(it) => {
                news.unreadable = self.note(ObjectType::Policy, &it);
                news.policies = self.policies.take(it);
            }
            Any::Profile(it) => {
                news.unreadable = self.note(ObjectType::Profile, &it);
                news.catalog =
                    self.profiles.take(it.map(|it| it.unwrap_or_else(Managed::unreadable)));
            }
            Any::Class(it) => {
                news.unreadable = self.note(ObjectType::RuntimeClass, &it);
                // An unreadable class counts as missing, so that pods that name it get a finding.
                news.classes = self.classes.take(known(it.map(Result::ok)));
            }
            Any::Node(it) => {
                news.unreadable = self.note(ObjectType::Node, &it);
                // An unreadable node counts as one without labels and taints.
                news.nodes = self.store.take_node(it.map(Result::unwrap_or_default));
            }
            Any::SeccompNode(it) => {
                news.unreadable = self.note(ObjectType::SeccompNode, &it);
                // An unreadable report counts as none.
                news.nodes = self.store.take_report(it.map(Result::unwrap_or_default));
            }
        }
        news
    }

    /// Records whether an object can be read; returns whether that has changed.
    fn note<T>(&mut self, kind: ObjectType, change: &Change<Result<T, String>>) -> bool {
        let why = |it: &Result<T, String>| it.as_ref().err().cloned();
        let change = match change {
            Change::Begin => Change::Begin,
            Change::End => Change::End,
            Change::Listed(name, it) => match why(it) {
                Some(why) => Change::Listed(name.clone(), why),
                None => return false,
            },
            Change::Put(name, it) => match why(it) {
                Some(why) => Change::Put(name.clone(), why),
                None => Change::Gone(name.clone()),
            },
            Change::Gone(name) => Change::Gone(name.clone()),
        };
        self.unreadable.entry(kind).or_default().take(change)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        cluster::read::{labels_in_use, policy_of},
        group::POLICY_LABEL,
        policy::Governed,
        profile::{DecodedProfile, Defect, Doubt, Inventory},
        watch::Object,
    };

    fn listed<T: PartialEq>(name: &str, object: T) -> Objects<T> {
        let mut objects = Objects::default();
        objects.take(Change::Begin);
        objects.take(Change::Listed(name.to_owned(), object));
        objects.take(Change::End);
        objects
    }

    /// No pod can be created in it; if one is, another namespace has its name by then.
    #[test]
    fn a_namespace_that_is_being_deleted_is_not_known() {
        let text = json!({ "metadata": {
            "name": "shop", "deletionTimestamp": "2026-11-24T10:00:00Z",
            "labels": { POLICY_LABEL: "restricted" },
        }});
        let labels = labels_in_use(&Object::read(&text.to_string()).unwrap());
        assert_eq!(labels, Ok(None));
        let known = Labels { policy: Some("restricted".into()), mode: None };
        let mut facts = Facts { namespaces: listed("shop", known), ..Facts::default() };
        let news = facts.take(Any::Namespace(Change::Put("shop".into(), labels)));
        assert!(news.policies);
        assert!(matches!(facts.policy_index(None).governing("shop"), Governed::Unknown));
    }

    #[test]
    fn an_unreadable_policy_affects_only_namespaces_that_name_it() {
        let bad = json!({
            "apiVersion": "callgate.dev/v1alpha1", "kind": "SeccompPolicy",
            "metadata": { "name": "bad" }, "spec": { "rules": { "unset": "Loud" } },
        });
        let mut facts = Facts {
            policies: listed("bad", policy_of(&bad)),
            namespaces: listed("shop", Labels { policy: Some("bad".into()), mode: None }),
            ..Facts::default()
        };
        assert!(!facts.is_complete());
        facts.profiles.take(Change::End);
        facts.classes.take(Change::End);
        assert!(!facts.is_complete(), "nobody has told of nodes yet");
        facts.store.take_node(Change::End);
        facts.store.take_report(Change::End);
        assert!(facts.is_complete());
        facts.namespaces.take(Change::Put(
            "bank".into(),
            Labels { policy: Some("restricted".into()), mode: None },
        ));
        let policies = facts.policy_index(None);
        assert!(matches!(policies.governing("shop"), Governed::UnknownPolicy("bad")));
        assert!(matches!(policies.governing("bank"), Governed::By(..)));
        assert_eq!(
            policies.no_such_policy("bad"),
            "the policy \"bad\" cannot be read: unknown variant `Loud`, expected one of `Off`, `Audit`, `Warn`, `Deny`"
        );
    }

    #[test]
    fn profiles_are_named_as_the_agent_will_install_them() {
        let hollow = json!({ "metadata": { "name": "web" }, "spec": {} });
        let facts = Facts {
            profiles: listed("web", DecodedProfile::of_object(&hollow).managed()),
            ..Facts::default()
        };
        let others = Catalog::from_iter([("here.json".parse().unwrap(), None)]);
        let catalog = facts.catalog(&others);
        let all: Vec<_> = catalog.iter().map(|(path, it)| (path.as_str(), it.is_some())).collect();
        assert_eq!(all, [("callgate/web.json", true), ("here.json", false)]);
        assert!(catalog.is_managed(&"callgate/web.json".parse().unwrap()));
        assert!(!catalog.is_managed(&"here.json".parse().unwrap()));
    }

    #[test]
    fn an_object_that_got_past_the_linter_is_doubted() {
        let object = json!({ "spec": { "defaultAction": "SCMP_ACT_ERRNO" } });
        assert_eq!(
            DecodedProfile::of_object(&object).managed().defect,
            Some(Defect::Doubtful(Doubt::NoStart))
        );
    }

    /// An update that changes only the content has to reach the snapshot, which is compared with
    /// the nodes to find those with the old content.
    #[test]
    fn a_changed_text_of_a_profile_makes_a_new_snapshot() {
        let mut facts = Facts::default();
        let mut put = |call: &str| {
            let object = json!({ "spec": { "defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
                { "names": [call], "action": "SCMP_ACT_ERRNO" },
            ] } });
            let profile = DecodedProfile::of_object(&object).managed();
            facts.take(Any::Profile(Change::Begin));
            facts.take(Any::Profile(Change::Listed("web".into(), Ok(profile))));
            facts.take(Any::Profile(Change::End)).catalog
        };
        assert_eq!([put("mkdir"), put("mkdir"), put("rmdir")], [true, false, true]);
        let path = "callgate/web.json".parse().unwrap();
        let catalog = facts.catalog(&Catalog::default());
        assert!(catalog.current(&path).is_some());
        assert_eq!(catalog.current(&"web.json".parse().unwrap()), None);
    }

    #[test]
    fn a_profile_sound_on_some_node_is_in_the_catalog_and_an_object_takes_precedence() {
        let hollow = json!({ "metadata": { "name": "web" }, "spec": {} });
        let mut facts = Facts {
            profiles: listed("web", DecodedProfile::of_object(&hollow).managed()),
            ..Facts::default()
        };
        let profiles = json!([
            { "path": "callgate/web.json" }, { "path": "there.json" },
            { "path": "bad.json", "problem": "not-json" },
        ]);
        let inventory = Inventory::read(&json!({ "status": { "profiles": profiles } }));
        facts.store.take_report(Change::Put("node-a".into(), Some(inventory)));
        facts.store.refresh();
        let catalog = facts.catalog(&Catalog::default());
        let all: Vec<_> = catalog.iter().map(|(path, it)| (path.as_str(), it.is_some())).collect();
        assert_eq!(all, [("callgate/web.json", true), ("there.json", false)]);
    }
}
