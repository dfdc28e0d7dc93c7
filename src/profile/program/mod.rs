//! The program of classic BPF that does with every call what a filter says.
//!
//! libseccomp generates another one for the same profile. Where its versions differ
//! ([`Outcome::OneOf`](super::Outcome)), this one takes the first rule that holds.

use std::collections::BTreeMap;

use thiserror::Error;

use crate::{
    bpf::{Instruction, MOST_INSTRUCTIONS},
    profile::{
        action::{Action, Effect},
        architecture::{AUDIT_X86_64, Architecture, OF_X32},
        calls::{IS_EQUAL, IS_GREATER_OR_EQUAL, LOAD, Layout, RETURN, Rules, guarded, plain},
        evaluate::{ENOSYS, Filter, Part},
        syscalls,
    },
};

const JUMP: u16 = 0x05;
/// Offsets in `struct seccomp_data`.
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;

/// No program for the profile is short enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("its filter needs {0} instructions, the kernel takes {MOST_INSTRUCTIONS}")]
pub struct TooLong(usize);

/// What to do with the numbers from `start` on, up to the next range.
struct Range {
    start: u32,
    code: Vec<Instruction>,
}

impl Filter<'_> {
    /// The program for machines of the architecture `native`; `returns` is what it returns for each
    /// effect.
    ///
    /// Architectures of the profile whose calls have no known numbers are left out, so that every call
    /// of their programs kills the thread.
    ///
    /// # Errors
    /// The program is too long for the kernel.
    pub fn program(
        &self,
        native: Architecture,
        returns: impl Fn(Effect) -> u32,
    ) -> Result<Vec<Instruction>, TooLong> {
        let layout = if native.is_big_endian() { Layout::UpperFirst } else { Layout::LowerFirst };
        let killed = returns(Effect::of(Action::KillThread, None));
        let mut groups: BTreeMap<u32, Vec<Range>> = BTreeMap::new();
        for (architecture, part) in self.parts() {
            let (Some(audit), Some(_)) = (architecture.audit(), architecture.column()) else {
                continue;
            };
            let ranges = self.ranges(architecture, part, layout, &returns)?;
            groups.entry(audit).or_default().extend(ranges);
        }
        let mut code = vec![plain(LOAD, ARCHITECTURE)];
        for (audit, mut ranges) in groups {
            let has_x32 = ranges.iter().any(|it| it.start == OF_X32);
            if audit == AUDIT_X86_64 && !has_x32 {
                ranges.push(Range { start: OF_X32, code: vec![plain(RETURN, killed)] });
            }
            ranges.sort_by_key(|it| it.start);
            ranges.dedup_by(|later, earlier| later.code == earlier.code && later.code.len() == 1);
            let mut own = vec![plain(LOAD, NUMBER)];
            own.extend(tree(&ranges));
            code.push(Instruction { code: IS_EQUAL, jt: 1, jf: 0, k: audit });
            code.push(plain(JUMP, length(&own)));
            code.extend(own);
        }
        code.push(plain(RETURN, killed));
        if code.len() > MOST_INSTRUCTIONS { Err(TooLong(code.len())) } else { Ok(code) }
    }

    fn ranges(
        &self,
        architecture: Architecture,
        part: &Part<'_>,
        layout: Layout,
        returns: &impl Fn(Effect) -> u32,
    ) -> Result<Vec<Range>, TooLong> {
        let base = architecture.mark();
        let default = vec![plain(RETURN, returns(self.default()))];
        let missing = vec![plain(RETURN, returns(Effect::error(ENOSYS)))];
        let last = part.last_number();
        let mut codes = BTreeMap::new();
        for name in architecture.calls() {
            let Some(number) = syscalls::number_on(architecture, name) else { continue };
            let code = if part.is_newer(architecture, name) {
                missing.clone()
            } else {
                match part.rules(name) {
                    Rules::None => continue,
                    Rules::Always(effect) => vec![plain(RETURN, returns(effect))],
                    Rules::Sometimes(sets) => {
                        let mut code = Vec::new();
                        for (set, effect) in sets {
                            let result = returns(effect);
                            code.extend(
                                guarded(set, result, architecture.width(), layout)
                                    .ok_or(TooLong(usize::MAX))?,
                            );
                        }
                        code.extend_from_slice(&default);
                        code
                    }
                }
            };
            codes.insert(number, code);
        }
        // Numbers between those that are known.
        let mut ranges = Vec::new();
        let mut next = Some(0);
        for (number, code) in codes.into_iter().filter(|it| last.is_none_or(|last| it.0 <= last)) {
            if next != Some(number) {
                ranges
                    .push(Range { start: base + next.unwrap_or_default(), code: default.clone() });
            }
            ranges.push(Range { start: base + number, code });
            next = number.checked_add(1);
        }
        if let Some(next) = next.filter(|it| last.is_none_or(|last| *it <= last)) {
            ranges.push(Range { start: base + next, code: default });
        }
        if let Some(beyond) = last.and_then(|it| it.checked_add(1)) {
            ranges.push(Range { start: base + beyond, code: missing });
        }
        Ok(ranges)
    }
}

/// Finds the range of the number in the accumulator, by halves.
fn tree(ranges: &[Range]) -> Vec<Instruction> {
    let [first, middle @ ..] = ranges else {
        return Vec::new();
    };
    if middle.is_empty() {
        return first.code.clone();
    }
    let (below, above) = ranges.split_at(ranges.len() / 2);
    let start = above.first().map_or(0, |it| it.start);
    let (below, above) = (tree(below), tree(above));
    let mut code = match u8::try_from(below.len()) {
        Ok(jt) => vec![Instruction { code: IS_GREATER_OR_EQUAL, jt, jf: 0, k: start }],
        Err(_) => vec![
            Instruction { code: IS_GREATER_OR_EQUAL, jt: 0, jf: 1, k: start },
            plain(JUMP, length(&below)),
        ],
    };
    code.extend(below);
    code.extend(above);
    code
}

fn length(code: &[Instruction]) -> u32 {
    u32::try_from(code.len()).unwrap_or(u32::MAX)
}

impl Effect {
    /// What a program returns for it, `SECCOMP_RET_…`.
    pub fn returned(self) -> u32 {
        let code = u32::from(self.code());
        match self.kind() {
            Action::KillProcess => 0x8000_0000,
            Action::Kill | Action::KillThread => 0,
            Action::Trap => 0x0003_0000,
            Action::Errno => 0x0005_0000 | code,
            Action::Notify => 0x7fc0_0000,
            Action::Trace => 0x7ff0_0000 | code,
            Action::Log => 0x7ffc_0000,
            Action::Allow => 0x7fff_0000,
        }
    }
}

impl Effect {
    /// The effect of what a program returns; unknown actions kill the process.
    pub(crate) fn of_returned(value: u32) -> Self {
        let code = u64::from(value & 0xffff);
        let action = match value & 0xffff_0000 {
            0 => Action::KillThread,
            0x0003_0000 => Action::Trap,
            0x0005_0000 => return Self::of(Action::Errno, Some(code.min(MAX_ERRNO))),
            0x7fc0_0000 => Action::Notify,
            0x7ff0_0000 => return Self::of(Action::Trace, Some(code)),
            0x7ffc_0000 => Action::Log,
            0x7fff_0000 => Action::Allow,
            _ => Action::KillProcess,
        };
        Self::of(action, None)
    }
}

impl Effect {
    /// Which of the effects of two filters counts: the kernel takes the strictest and, of equally strict
    /// ones, that of the newer filter.
    pub(crate) fn and(self, newer: Self) -> Self {
        let leniency = |it: Self| match it.kind() {
            Action::KillProcess => 0,
            Action::Kill | Action::KillThread => 1,
            Action::Trap => 2,
            Action::Errno => 3,
            Action::Notify => 4,
            Action::Trace => 5,
            Action::Log => 6,
            Action::Allow => 7,
        };
        if leniency(self) < leniency(newer) { self } else { newer }
    }
}

/// Larger ones are cut by the kernel (`MAX_ERRNO` in include/linux/err.h).
const MAX_ERRNO: u64 = 4095;

#[cfg(test)]
mod tests;
