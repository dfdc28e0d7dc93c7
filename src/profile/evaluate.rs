//! Evaluates a profile for one system call on one node.

use std::collections::BTreeMap;

use crate::profile::{
    Document,
    action::{Action, Effect},
    architecture::Architecture,
    calls::{Calls, Condition, Outcome, Rules, shared},
    json::NodeId,
    syscalls,
};

/// The filter that runc makes of a profile on a node, by architecture.
pub struct Filter<'a> {
    default: Effect,
    by_architecture: BTreeMap<Architecture, Part<'a>>,
}

/// The same for one architecture.
pub(super) struct Part<'a> {
    calls: Calls<'a>,
    /// Calls with larger numbers fail with `ENOSYS`: runc assumes that they are
    /// newer than the profile.
    last: Last,
}

#[derive(Clone, Copy)]
enum Last {
    /// There is no such limit: rules and default action decide about every call.
    None,
    Number(u32),
    /// There is a limit, but the table lacks the architecture.
    Unknown,
}

pub(super) const ENOSYS: u16 = 38;

impl Document {
    /// The filter on nodes of the architecture `native`; `None` if the default
    /// action is unknown, so that runc makes none.
    pub fn filter(&self, native: Architecture) -> Option<Filter<'_>> {
        let all = self.all_architectures(native).into_iter();
        let part = |it| (it, Part { calls: Calls::on(self, it), last: self.last(it) });
        let by_architecture: BTreeMap<_, _> = all.map(part).collect();
        let default = by_architecture.get(&native)?.calls.default()?;
        Some(Filter { default, by_architecture })
    }

    /// `generateEnosysStub` in libcontainer/seccomp/patchbpf of runc.
    fn last(&self, architecture: Architecture) -> Last {
        let default = Action::parse(&self.default_action);
        if default.is_none_or(|it| it.lets_through() || it == Action::Trace) {
            return Last::None;
        }
        if architecture.column().is_none() {
            return Last::Unknown;
        }
        let names = self.syscalls.iter().flat_map(|it| &it.names);
        // libseccomp has no number for multiplexed calls.
        let own = names.filter(|it| !architecture.multiplexes() || shared(it).is_none());
        let numbers = own.filter_map(|it| syscalls::number_on(architecture, it));
        // runc takes the kernel's number 0 for no call at all, though it is `read`.
        let last = numbers.max().filter(|it| it | architecture.mark() != 0);
        last.map_or(Last::None, Last::Number)
    }
}

/// What decides about a call.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reason {
    /// The filter does not cover the architecture.
    NotCovered,
    /// The call is newer than all that the profile names.
    Newer,
    Default,
    Rules(Vec<NodeId>),
}

impl Filter<'_> {
    /// The effect on a call with these arguments. On an architecture that the
    /// filter does not cover, every call kills the thread.
    pub fn decide(&self, architecture: Architecture, call: &str, args: &[u64; 6]) -> Outcome {
        self.explain(architecture, call, args).0
    }

    /// As [`decide`](Self::decide), and why.
    pub(crate) fn explain(
        &self,
        architecture: Architecture,
        call: &str,
        args: &[u64; 6],
    ) -> (Outcome, Reason) {
        let Some(part) = self.by_architecture.get(&architecture) else {
            let killed = Outcome::Certain(Effect::of(Action::KillThread, None));
            return (killed, Reason::NotCovered);
        };
        let missing = Effect::error(ENOSYS);
        if part.is_newer(architecture, call) {
            return (Outcome::Certain(missing), Reason::Newer);
        }
        let decided = part.calls.decide(call, args);
        let (outcome, rules) = decided.unwrap_or((Outcome::Certain(self.default), Vec::new()));
        let outcome = if let Last::Unknown = part.last { outcome.or(missing) } else { outcome };
        let reason = if rules.is_empty() { Reason::Default } else { Reason::Rules(rules) };
        (outcome, reason)
    }

    /// As [`explain`](Self::explain), for a call that may have no known name.
    pub(crate) fn explain_number(
        &self,
        architecture: Architecture,
        number: u32,
        args: &[u64; 6],
    ) -> (Outcome, Reason) {
        if let Some(name) = architecture.call(number) {
            return self.explain(architecture, name, args);
        }
        let Some(part) = self.by_architecture.get(&architecture) else {
            return self.explain(architecture, "", args);
        };
        match part.last {
            Last::Number(last) if number > last => {
                (Outcome::Certain(Effect::error(ENOSYS)), Reason::Newer)
            }
            _ => (Outcome::Certain(self.default), Reason::Default),
        }
    }

    /// Whether the effect on a call depends on each of its arguments.
    pub(crate) fn depends_on(&self, architecture: Architecture, number: u32) -> [bool; 6] {
        let conditions = architecture.call(number).map(|it| self.conditions(architecture, it));
        let mut depends = [false; 6];
        for it in conditions.unwrap_or_default() {
            depends[it.argument()] = true;
        }
        depends
    }

    pub(super) fn default(&self) -> Effect {
        self.default
    }

    pub(super) fn parts(&self) -> impl Iterator<Item = (Architecture, &Part<'_>)> {
        self.by_architecture.iter().map(|(architecture, part)| (*architecture, part))
    }

    /// Whether the filter has rules for the architecture.
    pub(crate) fn covers(&self, architecture: Architecture) -> bool {
        self.by_architecture.contains_key(&architecture)
    }

    /// The conditions on which the effect on a call depends.
    pub(in crate::profile) fn conditions(
        &self,
        architecture: Architecture,
        call: &str,
    ) -> Vec<Condition> {
        let part = self.by_architecture.get(&architecture);
        let part = part.filter(|it| !it.is_newer(architecture, call));
        part.map(|it| it.calls.conditions(call)).unwrap_or_default()
    }
}

impl Part<'_> {
    pub(super) fn rules(&self, call: &str) -> Rules<'_> {
        self.calls.rules(call)
    }

    /// Calls with larger numbers fail with `ENOSYS`.
    pub(super) fn last_number(&self) -> Option<u32> {
        if let Last::Number(last) = self.last { Some(last) } else { None }
    }

    pub(super) fn is_newer(&self, architecture: Architecture, call: &str) -> bool {
        let number = syscalls::number_on(architecture, call);
        // On s390x, call 0 stands for numbers that do not fit into a byte.
        let is_wide = || number == Some(0) && architecture.seccomp() == "SCMP_ARCH_S390X";
        match self.last {
            Last::Number(last) => number.is_some_and(|it| it > last) || is_wide(),
            Last::None | Last::Unknown => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As runc decides; the number of `read` is 0.
    #[test]
    fn what_is_newer_than_read_alone_fails_on_x32_and_is_decided_elsewhere() {
        let text = r#"{
          "defaultAction": "SCMP_ACT_KILL_PROCESS",
          "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X32"],
          "syscalls": [{ "names": ["read"], "action": "SCMP_ACT_ALLOW" }]
        }"#;
        let document = Document::parse(text.as_bytes()).unwrap();
        let [native, x32] =
            ["SCMP_ARCH_X86_64", "SCMP_ARCH_X32"].map(|it| Architecture::named(it).unwrap());
        let filter = document.filter(native).unwrap();
        let decide = |architecture, call| filter.decide(architecture, call, &[0; 6]);
        let [allowed, killed] = [Action::Allow, Action::KillProcess].map(|it| Effect::of(it, None));
        assert_eq!(decide(native, "getpid"), Outcome::Certain(killed));
        assert_eq!(decide(x32, "getpid"), Outcome::Certain(Effect::error(ENOSYS)));
        for architecture in [native, x32] {
            assert_eq!(decide(architecture, "read"), Outcome::Certain(allowed));
        }
    }
}
