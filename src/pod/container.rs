//! The containers of a pod. Only this file knows the lists of containers.

use std::collections::BTreeSet;

use crate::pod::{
    Effective, Pod, Seccomp,
    view::{RawContainer, SecurityContext},
};

/// The list that holds a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum List {
    Init,
    Main,
    Ephemeral,
}

/// One container, with the fields that rules read.
#[derive(Clone, Copy, Debug)]
pub struct Container<'a> {
    pub list: List,
    pub index: usize,
    pub name: &'a str,
    pub image: &'a str,
    pub privileged: bool,
    pub effective: Effective<'a>,
    /// Whether its `securityContext` is an object, so that a patch can add to it.
    pub has_security_context: bool,
}

/// Which containers of a pod are evaluated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// All containers: the pod is being created.
    Whole,
    /// Only new ephemeral containers (S18, S19): an admitted container stays
    /// admitted. `known` holds the names of the old ones.
    AddedTo { known: BTreeSet<String> },
    /// Only containers whose image changes: the image is the only relevant field that
    /// an update of a pod can change (S18). `known` holds the old names and images.
    ImagesChanged { known: BTreeSet<(String, String)> },
}

impl List {
    pub fn field(self) -> &'static str {
        match self {
            Self::Init => "initContainers",
            Self::Main => "containers",
            Self::Ephemeral => "ephemeralContainers",
        }
    }
}

impl Scope {
    pub fn covers(&self, container: &Container<'_>) -> bool {
        match self {
            Self::Whole => true,
            Self::AddedTo { known } => {
                container.list == List::Ephemeral && !known.contains(container.name)
            }
            Self::ImagesChanged { known } => {
                let Container { name, image, .. } = *container;
                !known.contains(&(name.to_owned(), image.to_owned()))
            }
        }
    }
}

impl<'a> Pod<'a> {
    /// The profile that the pod declares for all its containers.
    pub fn seccomp(&self) -> Option<Seccomp<'_>> {
        Seccomp::declared_in(self.spec.as_ref()?.security_context.as_ref())
    }

    /// Visits every container of every kind: init containers (sidecars are
    /// among them), containers, ephemeral containers, each in its order.
    pub fn containers(&self) -> impl Iterator<Item = Container<'_>> {
        let pod = self.seccomp();
        self.lists().flat_map(move |(list, raw)| {
            let all = raw.into_iter().flatten().enumerate();
            all.map(move |(index, it)| Container::of(list, index, it, pod))
        })
    }

    fn lists(&self) -> impl Iterator<Item = (List, Option<&[RawContainer<'a>]>)> {
        self.spec.iter().flat_map(|spec| {
            [
                (List::Init, spec.init_containers.as_deref()),
                (List::Main, spec.containers.as_deref()),
                (List::Ephemeral, spec.ephemeral_containers.as_deref()),
            ]
        })
    }
}

impl<'a> Container<'a> {
    fn of(list: List, index: usize, raw: &'a RawContainer<'_>, pod: Option<Seccomp<'a>>) -> Self {
        let context: Option<&SecurityContext<'_>> = raw.security_context.as_ref();
        let own = Seccomp::declared_in(context).map(Effective::Own);
        Self {
            list,
            index,
            name: raw.name.as_deref().unwrap_or_default(),
            image: raw.image.as_deref().unwrap_or_default(),
            // S10: only a true `true` counts.
            privileged: context.and_then(|it| it.privileged) == Some(true),
            effective: own.or(pod.map(Effective::Inherited)).unwrap_or(Effective::Unset),
            has_security_context: context.is_some(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POD: &str = r#"{"spec": {
        "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}},
        "initContainers": [{"name": "setup"}, {"name": "mesh", "restartPolicy": "Always"}],
        "containers": [{"name": "app", "securityContext": {"seccompProfile":
            {"type": "Localhost", "localhostProfile": "app.json"}}}],
        "ephemeralContainers": [{"name": "debug", "securityContext": {"privileged": true}}]}}"#;

    #[test]
    fn every_list_is_visited_and_inherits() {
        let pod: Pod<'_> = serde_json::from_str(POD).unwrap();
        let seen: Vec<_> =
            pod.containers().map(|it| (it.list.field(), it.name, it.effective)).collect();
        let default = Effective::Inherited(Seccomp::RuntimeDefault);
        let own = Effective::Own(Seccomp::Localhost(Some("app.json")));
        assert_eq!(
            seen,
            [
                ("initContainers", "setup", default),
                ("initContainers", "mesh", default),
                ("containers", "app", own),
                ("ephemeralContainers", "debug", default),
            ]
        );
    }

    #[test]
    fn only_ephemeral_containers_that_are_new_are_covered_by_an_addition() {
        let pod: Pod<'_> = serde_json::from_str(POD).unwrap();
        let covered = |scope: &Scope| {
            pod.containers().filter(|it| scope.covers(it)).map(|it| it.name).collect::<Vec<_>>()
        };
        assert_eq!(covered(&Scope::AddedTo { known: BTreeSet::new() }), ["debug"]);
        let known = BTreeSet::from(["debug".to_owned()]);
        assert!(covered(&Scope::AddedTo { known }).is_empty());
        assert_eq!(covered(&Scope::Whole).len(), 4);
    }

    #[test]
    fn only_containers_of_another_image_are_covered_by_a_change_of_images() {
        let text = r#"{"spec": {"initContainers": [{"name": "setup", "image": "a"}],
            "containers": [{"name": "app", "image": "b"}, {"name": "log"}]}}"#;
        let pod: Pod<'_> = serde_json::from_str(text).unwrap();
        let covered = |known: &[(&str, &str)]| {
            let known = known.iter().map(|(name, image)| ((*name).to_owned(), (*image).to_owned()));
            let scope = Scope::ImagesChanged { known: known.collect() };
            pod.containers().filter(|it| scope.covers(it)).map(|it| it.name).collect::<Vec<_>>()
        };
        assert!(covered(&[("log", ""), ("app", "b"), ("setup", "a")]).is_empty());
        assert_eq!(covered(&[("setup", "b"), ("app", "a"), ("log", "")]), ["setup", "app"]);
        assert_eq!(covered(&[("setup", "a"), ("web", "b")]), ["app", "log"], "under a new name");
    }
}
