//! Evaluates a profile for one system call on one node.

use std::collections::BTreeMap;

use crate::profile::{
    Document,
    action::{Action, Effect},
    architecture::Architecture,
    calls::{Calls, Outcome, shared},
    syscalls,
};

/// The filter that runc makes of a profile on a node, by architecture.
pub struct Filter<'a> {
    default: Effect,
    by_architecture: BTreeMap<Architecture, Part<'a>>,
}

struct Part<'a> {
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

const ENOSYS: u16 = 38;

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
        numbers.max().filter(|it| *it > 0).map_or(Last::None, Last::Number)
    }
}

impl Filter<'_> {
    /// The effect on a call with these arguments. On an architecture that the
    /// filter does not cover, every call kills the thread.
    pub fn decide(&self, architecture: Architecture, call: &str, args: &[u64; 6]) -> Outcome {
        let Some(part) = self.by_architecture.get(&architecture) else {
            return Outcome::Certain(Effect::of(Action::KillThread, None));
        };
        let missing = Effect::error(ENOSYS);
        let number = syscalls::number_on(architecture, call);
        match part.last {
            Last::Number(last) if number.is_some_and(|it| it > last) => {
                return Outcome::Certain(missing);
            }
            // On s390x, call 0 stands for numbers that do not fit into a byte.
            Last::Number(_) if number == Some(0) && architecture.seccomp() == "SCMP_ARCH_S390X" => {
                return Outcome::Certain(missing);
            }
            Last::None | Last::Number(_) => {}
            Last::Unknown => {
                let outcome = part.calls.decide(call, args);
                return outcome.unwrap_or(Outcome::Certain(self.default)).or(missing);
            }
        }
        part.calls.decide(call, args).unwrap_or(Outcome::Certain(self.default))
    }
}
