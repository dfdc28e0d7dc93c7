//! What becomes of one system call on one node.

use std::collections::BTreeMap;

use crate::profile::{
    Document,
    architecture::Architecture,
    calls::{Calls, Effect, Outcome, shared},
    runtime::Action,
    syscalls,
};

/// What runc makes of a profile on a node, for every architecture that it
/// filters.
pub struct Filter<'a> {
    default: Effect,
    by_architecture: BTreeMap<Architecture, Part<'a>>,
}

struct Part<'a> {
    calls: Calls<'a>,
    /// Calls with larger numbers do not exist, says runc, since the profile was
    /// written before they did. None, where they get the default action.
    last: Last,
}

#[derive(Clone, Copy)]
enum Last {
    /// Every call gets what the rules say.
    None,
    Number(u32),
    /// There is one, but the numbers are not known.
    Unknown,
}

const ENOSYS: u16 = 38;

impl Document {
    /// The filter on a node whose own architecture this is; none, where runc
    /// makes none.
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
        // libseccomp has no number for what goes through another call.
        let own = names.filter(|it| !architecture.multiplexes() || shared(it).is_none());
        let numbers = own.filter_map(|it| syscalls::number_on(architecture, it));
        numbers.max().filter(|it| *it > 0).map_or(Last::None, Last::Number)
    }
}

impl Filter<'_> {
    /// What happens to a call with these arguments. Of an architecture that is
    /// not filtered, every call is the end of the program.
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
            // Calls whose numbers do not fit are told by this one.
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
