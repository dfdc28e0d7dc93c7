//! Resolves the keys of Docker and Podman for one kind of node.
//!
//! Does the same as `setupSeccomp` in `seccomp/seccomp_linux.go` of moby/profiles
//! for a container without added capabilities, and as `getErrno` in
//! `common/pkg/seccomp/seccomp_linux.go` of container-libs. Where the two differ, or
//! would accept an obvious fault, the result is an error.

use super::{
    Diagnostic, DiagnosticLevel, Undecided,
    errno::{self, Errno},
    extensions::{Extensions, Filter, Rule, Stray},
    node::{Architecture, Kernel, Node, arch_meant},
};
use crate::{
    profile::{
        decode::TypeMismatch,
        document::{Document, Spanned, Syscall},
        json::{Json, NodeId},
        lints::remark::{listed, quoted},
    },
    spelling,
};

/// Replaces the extensions by keys of the runtime specification.
pub(super) struct Resolver<'a> {
    pub(super) json: &'a Json,
    pub(super) node: Node,
    pub(super) diagnostics: Vec<Diagnostic>,
    pub(super) undecided: Undecided,
}

/// A condition on which a rule depends.
struct Condition {
    /// The node of its filter.
    node: NodeId,
    on: On,
    /// Whether the condition is met; `None` if that is unknown.
    met: Option<bool>,
    /// On which nodes, for messages.
    when: String,
}

#[derive(Clone, Copy)]
enum On {
    Architecture,
    Capabilities,
    Kernel,
}

impl Resolver<'_> {
    pub(super) fn resolve(&mut self, document: &mut Document, extensions: &Extensions) {
        self.refuse_strays(extensions);
        self.architectures(document, extensions);
        let default = &extensions.default_errno;
        self.errno(default, &mut document.default_errno, "defaultErrnoRet");
        let named = self.names(document, extensions);
        if let Some((first, rest)) = named.split_first() {
            let also = if rest.is_empty() { "" } else { ", like all others" };
            self.note(*first, format!("taken as \"names\"{also}"));
        }
        let mut rules = extensions.rules.iter();
        let none = Rule::default();
        document.syscalls.retain_mut(|syscall| {
            let rule = rules.next().unwrap_or(&none);
            self.errno(&rule.errno, &mut syscall.it.errno, "errnoRet");
            self.applies(rule, syscall)
        });
    }

    fn refuse_strays(&mut self, extensions: &Extensions) {
        for Stray { node, known } in &extensions.strays {
            let key = self.json.value(*node).key().unwrap_or_default();
            let hint = spelling::nearest(key, known.iter().copied());
            let hint = match hint {
                Some(near) => format!("did you mean {near:?}?"),
                None => format!("expected {}", known.join(", ")),
            };
            self.refuse(*node, format!("{} means nothing here; {hint}", quoted(key)));
        }
        for node in extensions.rules.iter().filter_map(|it| it.min_kernel) {
            self.refuse(node, "means nothing here, not even to Docker; put it into \"includes\"");
        }
    }

    pub(super) fn reject_mismatches<'b>(
        &mut self,
        mismatches: impl Iterator<Item = &'b TypeMismatch>,
    ) {
        for TypeMismatch { node, found, expected } in mismatches {
            self.refuse(*node, format!("is {found}, expected {expected}"));
        }
    }

    fn architectures(&mut self, document: &mut Document, extensions: &Extensions) {
        let Spanned { it: entries, node: map } = &extensions.arch_map;
        let map = *map;
        if entries.is_empty() {
            return;
        }
        if !document.architectures.is_empty() {
            let both =
                "is there beside \"architectures\", which Docker refuses; remove one of them";
            return self.refuse(map, both);
        }
        let Some(node) = self.node.architecture else {
            self.undecided.architecture.get_or_insert(self.json.path(map));
            return;
        };
        let Some(entry) = entries.iter().find(|it| it.architecture.it == node.seccomp()) else {
            let missing = format!("has nothing for {node}: its own architecture alone is left");
            return self.note(map, missing);
        };
        document.architectures =
            [&entry.architecture].into_iter().chain(&entry.others).cloned().collect();
        let names = listed(words(&document.architectures), 8);
        let became = format!("taken as \"architectures\" on {node}: {names}");
        self.note(map, became);
    }

    /// Replaces the name of an error by its number.
    fn errno(&mut self, name: &Spanned<String>, number: &mut Option<Spanned<u64>>, key: &str) {
        if name.is_empty() {
            return;
        }
        let all_digits = name.bytes().all(|it| it.is_ascii_digit());
        let meant = if all_digits { name.parse::<u32>().ok().map(u64::from) } else { None };
        let meant = match (meant, errno::named(name)) {
            (Some(number), _) => number,
            (None, Ok(Errno { number, .. })) if self.has_common(number) => number,
            (None, Ok(_)) => {
                let differs = "has another number on this architecture";
                return self.refuse(name.node, format!("{differs}; give it as {key:?}"));
            }
            (None, Err(near)) => {
                let hint = near.map(|it| format!("; did you mean {it:?}?")).unwrap_or_default();
                let unknown = format!("{} is no error of the kernel{hint}", quoted(name));
                return self.refuse(name.node, unknown);
            }
        };
        match number {
            Some(there) if there.it == meant => {}
            Some(there) => {
                let differs = format!(
                    "is {meant}, {key} is {}: CRI-O takes the first, containerd the other",
                    there.it
                );
                self.refuse(name.node, differs);
            }
            None => {
                *number = Some(Spanned { it: meant, node: name.node });
                self.note(name.node, format!("taken as {key:?}: {meant}"));
            }
        }
    }

    fn has_common(&self, errno: u64) -> bool {
        let common = self.node.architecture.is_none_or(Architecture::has_common_errors);
        common || errno <= errno::LAST_OF_BASE
    }

    /// Replaces every `name` by `names`, and returns their nodes.
    fn names(&mut self, document: &mut Document, extensions: &Extensions) -> Vec<NodeId> {
        let mut named = Vec::new();
        for (rule, syscall) in extensions.rules.iter().zip(&mut document.syscalls) {
            let list = &mut syscall.it.names;
            if rule.name.is_empty() {
                continue;
            }
            if list.is_empty() {
                list.push(rule.name.clone());
                named.push(rule.name.node);
            } else {
                let both = "is there beside \"names\", which Docker refuses; remove one of them";
                self.refuse(rule.name.node, both);
            }
        }
        named
    }

    /// Whether a rule applies on such nodes.
    fn applies(&mut self, rule: &Rule, syscall: &Syscall) -> bool {
        let mut conditions = self.conditions(&rule.excludes, false);
        conditions.extend(self.conditions(&rule.includes, true));
        let calls = listed(words(&syscall.names), 4);
        if let Some(Condition { node, when, .. }) =
            conditions.iter().find(|it| it.met == Some(false))
        {
            let dropped = format!("the rule does not apply {when}: left out ({calls})");
            self.note(*node, dropped);
            return false;
        }
        for Condition { node, on, .. } in conditions.iter().filter(|it| it.met.is_none()) {
            let Undecided { architecture, kernel } = &mut self.undecided;
            let asks = if matches!(on, On::Kernel) { kernel } else { architecture };
            asks.get_or_insert_with(|| self.json.path(*node));
        }
        if let Some(Condition { node, .. }) = conditions.first() {
            let mut when: Vec<_> = conditions.iter().map(|it| it.when.as_str()).collect();
            when.dedup();
            let kept = format!("the rule applies {}: kept ({calls})", when.join(" and "));
            self.note(*node, kept);
        }
        true
    }

    /// The conditions of a filter, which are met where they hold, if `wanted`, or
    /// where they do not (`excludes`).
    fn conditions(&mut self, filter: &Filter, wanted: bool) -> Vec<Condition> {
        let Node { architecture, kernel } = self.node;
        let mut conditions = Vec::new();
        let mut add = |on, holds: Option<bool>, when| {
            let met = holds.map(|it| it == wanted);
            conditions.push(Condition { node: filter.node, on, met, when });
        };
        if !filter.arches.is_empty() {
            let holds = architecture.map(|node| filter.arches.iter().any(|it| node.is(it)));
            let when = architecture.map(|it| format!("on {it}")).unwrap_or_default();
            add(On::Architecture, holds, when);
        }
        if !filter.caps.is_empty() {
            let caps = listed(words(&filter.caps), 4);
            add(On::Capabilities, Some(false), format!("without {caps}"));
        }
        if let Some(least) = filter.min_kernel.as_ref().and_then(|it| Kernel::parse_minimum(it)) {
            let holds = if least.is_any() { Some(true) } else { kernel.map(|it| it >= least) };
            let when =
                kernel.map_or(String::from("on every kernel"), |it| format!("on Linux {it}"));
            add(On::Kernel, holds, when);
        }
        self.refuse_words(filter);
        conditions
    }

    /// Reports names and versions that never match.
    fn refuse_words(&mut self, filter: &Filter) {
        for arch in &filter.arches {
            if let Err(meant) = arch_meant(arch) {
                let hint = meant.map(|it| format!("; did you mean {it:?}?")).unwrap_or_default();
                let unknown =
                    format!("{} is no architecture that Docker knows{hint}", quoted(arch));
                self.refuse(arch.node, unknown);
            }
        }
        if let Some(minimum) = &filter.min_kernel
            && Kernel::parse_minimum(minimum).is_none()
        {
            let unknown = "is no version of a kernel, expected one such as \"4.8\"";
            self.refuse(minimum.node, format!("{} {unknown}", quoted(minimum)));
        }
    }

    fn note(&mut self, node: NodeId, message: impl AsRef<str>) {
        self.diagnostics.push(Diagnostic::at(
            node,
            self.json,
            DiagnosticLevel::Note,
            message.as_ref(),
        ));
    }

    fn refuse(&mut self, node: NodeId, message: impl AsRef<str>) {
        self.diagnostics.push(Diagnostic::at(
            node,
            self.json,
            DiagnosticLevel::Error,
            message.as_ref(),
        ));
    }
}

fn words(list: &[Spanned<String>]) -> impl Iterator<Item = &str> {
    list.iter().map(|it| it.it.as_str())
}
