//! The keys that the formats of Docker and Podman add to a profile.
//!
//! Both decode with Go, so these keys are decoded in the same way. The
//! types are those of moby/profiles (`Seccomp`, `Syscall`, `Filter` and
//! `Architecture` in `seccomp/seccomp.go`) and of container-libs
//! (`common/pkg/seccomp/types.go`), which adds the names of errors.

use crate::profile::{
    decode::{Decoder, TypeMismatch, field},
    document::Spanned,
    json::{Content, Json, NodeId, Value},
};

/// The values of these keys. The document holds those of all other keys.
#[derive(Default)]
pub(super) struct Extensions {
    pub(super) arch_map: Spanned<Vec<Entry>>,
    pub(super) default_errno: Spanned<String>,
    /// One entry for each rule of the document.
    pub(super) rules: Vec<Rule>,
    /// Includes those of the document.
    pub(super) mismatches: Vec<TypeMismatch>,
    pub(super) strays: Vec<Stray>,
}

/// An entry of `archMap`: an architecture and its sub-architectures.
#[derive(Default)]
pub(super) struct Entry {
    pub(super) architecture: Spanned<String>,
    pub(super) others: Vec<Spanned<String>>,
}

#[derive(Default)]
pub(super) struct Rule {
    pub(super) name: Spanned<String>,
    pub(super) errno: Spanned<String>,
    pub(super) includes: Filter,
    pub(super) excludes: Filter,
    /// A `minKernel` of the rule itself, which Docker does not read.
    pub(super) min_kernel: Option<NodeId>,
}

/// What `includes` or `excludes` make a rule depend on.
#[derive(Default)]
pub(super) struct Filter {
    pub(super) node: NodeId,
    pub(super) caps: Vec<Spanned<String>>,
    pub(super) arches: Vec<Spanned<String>>,
    pub(super) min_kernel: Option<Spanned<String>>,
}

/// A key that is unknown in one of these objects.
pub(super) struct Stray {
    pub(super) node: NodeId,
    pub(super) known: &'static [&'static str],
}

const PROFILE: &[&str] = &["archMap", "defaultErrno", "syscalls"];
const RULE: &[&str] = &["name", "errno", "includes", "excludes", "minKernel"];
const ENTRY: &[&str] = &["architecture", "subArchitectures"];
const FILTER: &[&str] = &["caps", "arches", "minKernel"];

impl Extensions {
    pub(super) fn decode(json: &Json) -> Self {
        let mut reader = Reader::default();
        let mut found = Self::default();
        reader.profile(&mut found, json.root());
        let Reader { decoder, strays } = reader;
        Self { mismatches: decoder.mismatches, strays, ..found }
    }
}

#[derive(Default)]
struct Reader {
    decoder: Decoder,
    strays: Vec<Stray>,
}

impl Reader {
    fn profile(&mut self, into: &mut Extensions, value: Value<'_>) {
        for (key, value) in self.decoder.members(value) {
            match field(key, PROFILE) {
                Some("archMap") => {
                    into.arch_map.node = value.node;
                    self.list(&mut into.arch_map.it, value, Self::entry);
                }
                Some("defaultErrno") => self.decoder.string(&mut into.default_errno, value),
                Some("syscalls") => self.list(&mut into.rules, value, Self::rule),
                _ => {}
            }
        }
    }

    fn rule(&mut self, into: &mut Rule, value: Value<'_>) {
        for (key, value) in self.decoder.members(value) {
            match field(key, RULE) {
                Some("name") => self.decoder.string(&mut into.name, value),
                Some("errno") => self.decoder.string(&mut into.errno, value),
                Some("includes") => self.filter(&mut into.includes, value),
                Some("excludes") => self.filter(&mut into.excludes, value),
                Some("minKernel") if *value.content() != Content::Null => {
                    into.min_kernel = Some(value.node);
                }
                _ => {}
            }
        }
    }

    fn entry(&mut self, into: &mut Entry, value: Value<'_>) {
        for (key, value) in self.decoder.members(value) {
            match field(key, ENTRY) {
                Some("architecture") => self.decoder.string(&mut into.architecture, value),
                Some("subArchitectures") => self.strings(&mut into.others, value),
                _ => self.strays.push(Stray { node: value.node, known: ENTRY }),
            }
        }
    }

    fn filter(&mut self, into: &mut Filter, value: Value<'_>) {
        // In Go it is a pointer, which `null` resets.
        if *value.content() == Content::Null {
            *into = Filter::default();
        }
        into.node = value.node;
        for (key, value) in self.decoder.members(value) {
            match field(key, FILTER) {
                Some("caps") => self.strings(&mut into.caps, value),
                Some("arches") => self.strings(&mut into.arches, value),
                Some("minKernel") if *value.content() == Content::Null => into.min_kernel = None,
                Some("minKernel") => {
                    self.decoder.string(into.min_kernel.get_or_insert_default(), value);
                }
                _ => self.strays.push(Stray { node: value.node, known: FILTER }),
            }
        }
    }

    fn strings(&mut self, into: &mut Vec<Spanned<String>>, value: Value<'_>) {
        self.decoder.list(into, value, Decoder::string);
    }

    fn list<T: Default>(
        &mut self,
        into: &mut Vec<T>,
        value: Value<'_>,
        element: fn(&mut Self, &mut T, Value<'_>),
    ) {
        self.decoder.list(into, value, |_, _, _| ());
        for (slot, item) in into.iter_mut().zip(value.elements()) {
            element(self, slot, item);
        }
    }
}
