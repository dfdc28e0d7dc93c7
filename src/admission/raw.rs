//! The fields of a request before its objects are read.

use std::{fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{SeqAccess, Visitor},
};
use serde_json::value::RawValue;

use crate::{
    admission::target::ReviewTarget,
    json::{Bounded, Entry, objects},
    pod::{Scope, Str},
};

objects! {
    /// A request whose objects are still text.
    pub(super) struct RawRequest<'a> {
        pub(super) uid("uid"): Str<'a>,
        pub(super) resource("resource"): Resource<'a>,
        pub(super) sub_resource("subResource"): Str<'a>,
        pub(super) operation("operation"): Str<'a>,
        pub(super) name("name"): Str<'a>,
        pub(super) namespace("namespace"): Str<'a>,
        pub(super) user("userInfo"): UserInfo<'a>,
        pub(super) dry_run("dryRun"): bool,
        pub(super) object("object"): &'a RawValue,
        pub(super) old_object("oldObject"): &'a RawValue,
    }

    pub(super) struct Resource<'a> {
        group("group"): Str<'a>,
        pub(super) resource("resource"): Str<'a>,
    }

    pub(super) struct UserInfo<'a> {
        pub(super) groups("groups"): Groups<'a>,
    }

    /// The containers of the object before the update.
    pub(super) struct Before<'a> {
        spec("spec"): BeforeSpec<'a>,
    }

    struct BeforeSpec<'a> {
        init_containers("initContainers"): Bounded<Named<'a>>,
        containers("containers"): Bounded<Named<'a>>,
        ephemeral_containers("ephemeralContainers"): Bounded<Named<'a>>,
    }

    struct Named<'a> {
        name("name"): Str<'a>,
        image("image"): Str<'a>,
    }
}

/// Whether the groups of a user contain that of the kubelets; there may be any number of groups.
#[derive(Debug, Default)]
pub(super) struct Groups<'a> {
    pub(super) of_nodes: bool,
    unread: PhantomData<&'a ()>,
}

impl Entry for Named<'_> {}

impl<'a> RawRequest<'a> {
    pub(super) fn name(&self) -> Option<&str> {
        self.name.as_deref().filter(|it| !it.is_empty())
    }

    pub(super) fn target(&self) -> Option<ReviewTarget> {
        let Resource { group, resource } = self.resource.as_ref()?;
        let text = |it: &Option<Str<'a>>| it.clone().unwrap_or_default();
        ReviewTarget::of(
            &text(group),
            &text(resource),
            &text(&self.sub_resource),
            &text(&self.operation),
        )
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Groups<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct GroupsVisitor;

        impl<'de> Visitor<'de> for GroupsVisitor {
            type Value = Groups<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a sequence")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                let mut of_nodes = false;
                while let Some(group) = list.next_element::<Str<'de>>()? {
                    of_nodes |= &*group == "system:nodes";
                }
                Ok(Groups { of_nodes, unread: PhantomData })
            }
        }

        deserializer.deserialize_seq(GroupsVisitor)
    }
}

impl Before<'_> {
    /// What an update puts in scope.
    pub(super) fn scope(self, target: ReviewTarget) -> Scope {
        let BeforeSpec { init_containers, containers, ephemeral_containers } =
            self.spec.unwrap_or_default();
        let text = |it: Option<Str<'_>>| it.unwrap_or_default().to_string();
        if target == ReviewTarget::Added {
            let names = ephemeral_containers
                .into_iter()
                .flat_map(Bounded::into_vec)
                .map(|it| text(it.name));
            return Scope::AddedTo { known: names.collect() };
        }
        let all = [init_containers, containers, ephemeral_containers].into_iter().flatten();
        let known = all.flat_map(Bounded::into_vec).map(|it| (text(it.name), text(it.image)));
        Scope::ImagesChanged { known: known.collect() }
    }
}
