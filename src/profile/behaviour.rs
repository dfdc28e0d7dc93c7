//! What filters do with calls, by their arguments.

use crate::profile::{
    action::Effect,
    architecture::{AUDIT_X86_64, Architecture, OF_X32, Width},
    calls::{Outcome, Region, Space, shared},
    evaluate::{Filter, Reason},
    syscalls,
};

/// The arguments for which a filter does the same for the same reason.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) outcome: Outcome,
    pub(crate) reason: Reason,
    /// One of these has to hold.
    pub(crate) when: Vec<Region>,
}

/// The arguments for which two filters differ in the same way.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    pub(crate) from: Outcome,
    pub(crate) to: Outcome,
    pub(crate) when: Vec<Region>,
}

impl Filter<'_> {
    /// What becomes of a call, by its arguments, of which some may be known; `None` if it depends on
    /// too much.
    pub(crate) fn cases(
        &self,
        architecture: Architecture,
        call: &str,
        known: &[Option<u64>; 6],
    ) -> Option<Vec<Case>> {
        let conditions = self.conditions(architecture, call);
        let space = Space::of(&conditions, known, architecture.width())?;
        let groups = space.groups(|args| self.explain(architecture, call, args));
        let case = |((outcome, reason), when)| Case { outcome, reason, when };
        Some(groups.into_iter().map(case).collect())
    }

    /// What becomes of a call, and with which arguments; `None` if it depends on too much.
    pub(crate) fn outcomes(
        &self,
        architecture: Architecture,
        call: &str,
    ) -> Option<Vec<(Outcome, Vec<Region>)>> {
        let conditions = self.conditions(architecture, call);
        let space = Space::of(&conditions, &[None; 6], architecture.width())?;
        let groups = space.groups(|args| self.decide(architecture, call, args));
        Some(groups.into_iter().collect())
    }

    /// What another filter does otherwise with a call; `None` if it depends on too much.
    pub(crate) fn changes(
        &self,
        other: &Self,
        architecture: Architecture,
        call: &str,
    ) -> Option<Vec<Change>> {
        let mut conditions = self.conditions(architecture, call);
        conditions.extend(other.conditions(architecture, call));
        let space = Space::of(&conditions, &[None; 6], architecture.width())?;
        let both = |args: &[u64; 6]| {
            let of = |it: &Self| it.decide(architecture, call, args);
            (of(self), of(other))
        };
        let groups = space.groups(both).into_iter().filter(|((from, to), _)| from != to);
        Some(groups.map(|((from, to), when)| Change { from, to, when }).collect())
    }
}

impl Outcome {
    /// Whether the call may be executed.
    pub(crate) fn may_pass(&self) -> bool {
        self.effects().any(Effect::lets_through)
    }
}

impl Change {
    /// Whether the second filter may execute what the first one does not certainly execute.
    pub(crate) fn loosens(&self) -> bool {
        self.to.may_pass() && !self.from.effects().all(Effect::lets_through)
    }
}

/// The names of all system calls, of any architecture.
pub(crate) fn system_calls() -> impl Iterator<Item = &'static str> {
    syscalls::names()
}

/// The call that makes this one too on the architecture, and the first argument that selects it.
pub(crate) fn multiplexed(architecture: Architecture, call: &str) -> Option<(&'static str, u64)> {
    shared(call).filter(|_| architecture.multiplexes())
}

impl Architecture {
    /// Whether its filters compare 64 bits of an argument.
    pub(crate) fn is_wide(self) -> bool {
        self.width() == Width::Bits64
    }

    /// The calls that it has, sorted.
    pub(crate) fn calls(self) -> impl Iterator<Item = &'static str> {
        syscalls::names().filter(move |it| syscalls::exists_on(self, it))
    }

    /// The architecture of a call of a program on such nodes, by what a filter sees of it, and the
    /// number without the mark of x32.
    pub(crate) fn of_call(self, audit: u32, number: u32) -> Option<(Self, u32)> {
        let programs = self.of_programs();
        let mut of_audit = programs.into_iter().filter(|it| it.audit() == Some(audit));
        let mark = if audit == AUDIT_X86_64 { number & OF_X32 } else { 0 };
        let found = of_audit.find(|it| it.mark() == mark)?;
        Some((found, number & !mark))
    }

    /// What a filter sees of a call: `AUDIT_ARCH_…` and the number.
    pub(crate) fn seen(self, call: &str) -> Option<(u32, u32)> {
        Some((self.audit()?, syscalls::number_on(self, call)? | self.mark()))
    }

    /// The call with this number, if one is known.
    pub(crate) fn call(self, number: u32) -> Option<&'static str> {
        self.calls().find(|it| syscalls::number_on(self, it) == Some(number))
    }

    /// The architectures of the programs that a node with this label can run.
    pub(crate) fn of_programs(self) -> Vec<Self> {
        let others: &[&str] = match self.node() {
            "amd64" => &["SCMP_ARCH_X86", "SCMP_ARCH_X32"],
            "arm64" => &["SCMP_ARCH_ARM"],
            "s390x" => &["SCMP_ARCH_S390"],
            _ => &[],
        };
        std::iter::once(self).chain(others.iter().filter_map(|it| Self::named(it))).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*, sample::select};
    use serde_json::{Value, json};

    use super::*;
    use crate::profile::Document;

    const VALUES: [u64; 7] = [0, 1, 2, 5, 40, 1 << 32, (1 << 32) + 5];

    fn condition() -> impl Strategy<Value = Value> {
        let operator = select(vec!["NE", "LT", "LE", "EQ", "EQ", "GE", "GT", "MASKED_EQ"]);
        (0..3_u64, operator, select(&VALUES[..]), select(&VALUES[..])).prop_map(
            |(index, operator, value, two)| {
                let operator = format!("SCMP_CMP_{operator}");
                json!({ "index": index, "op": operator, "value": value, "valueTwo": two })
            },
        )
    }

    fn document() -> impl Strategy<Value = Document> {
        let action = || select(vec!["ALLOW", "ERRNO", "KILL_PROCESS", "LOG"]);
        let rule = (action(), vec(condition(), 0..3)).prop_map(|(action, args)| {
            let action = format!("SCMP_ACT_{action}");
            json!({ "names": ["socket"], "action": action, "args": args })
        });
        (action(), vec(rule, 0..5)).prop_map(|(default, syscalls)| {
            let architectures = ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"];
            let default = format!("SCMP_ACT_{default}");
            let text = json!({ "defaultAction": default, "architectures": architectures,
                "syscalls": syscalls });
            Document::parse(text.to_string().as_bytes()).unwrap()
        })
    }

    fn edges() -> impl Strategy<Value = [u64; 6]> {
        let near = select(&VALUES[..]).prop_flat_map(|it| it.saturating_sub(1)..it + 2);
        proptest::array::uniform6(prop_oneof![near, any::<u64>()])
    }

    proptest! {
        #[test]
        fn every_call_is_in_one_case_and_that_has_its_effect(
            document in document(),
            calls in vec(edges(), 30),
        ) {
            let native = Architecture::of_node("amd64").unwrap();
            let filter = document.filter(native).unwrap();
            for architecture in [native, Architecture::named("SCMP_ARCH_X86").unwrap()] {
                let cases = filter.cases(architecture, "socket", &[None; 6]).unwrap();
                for mut args in calls.clone() {
                    if !architecture.is_wide() {
                        args = args.map(|it| it & u64::from(u32::MAX));
                    }
                    let of = |it: &&Case| it.when.iter().any(|it| it.contains(&args));
                    let of: Vec<_> = cases.iter().filter(of).collect();
                    prop_assert_eq!(of.len(), 1, "{:?} is in {:?}", args, of);
                    let (outcome, reason) = filter.explain(architecture, "socket", &args);
                    prop_assert_eq!((&of[0].outcome, &of[0].reason), (&outcome, &reason));
                }
            }
        }

        #[test]
        fn two_filters_differ_where_a_change_says_so(
            documents in [document(), document()],
            calls in vec(edges(), 30),
        ) {
            let native = Architecture::of_node("amd64").unwrap();
            let [one, other] = documents.each_ref().map(|it| it.filter(native).unwrap());
            let changes = one.changes(&other, native, "socket").unwrap();
            for args in calls {
                let of = |it: &&Change| it.when.iter().any(|it| it.contains(&args));
                let said: Vec<_> =
                    changes.iter().filter(of).map(|it| (it.from.clone(), it.to.clone())).collect();
                let [from, to] = [&one, &other].map(|it| it.decide(native, "socket", &args));
                let expected = if from == to { vec![] } else { vec![(from, to)] };
                prop_assert_eq!(said, expected, "{:?}", args);
            }
        }
    }
}
