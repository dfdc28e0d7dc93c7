//! The instructions that decide about one call.

use super::{Condition, Operator, condition::largest};
use crate::{bpf::Instruction, profile::architecture::Width};

/// Which half of an argument comes first, as the machine stores it.
#[derive(Clone, Copy, Debug)]
pub(in crate::profile) enum Layout {
    LowerFirst,
    UpperFirst,
}

/// Where a comparison goes on.
#[derive(Clone, Copy)]
enum To {
    /// To the next comparison of the condition.
    Next,
    /// The condition holds.
    Holds,
    /// It does not.
    Fails,
}

/// An instruction; a jump goes one way if its comparison holds, and another way if not.
enum Step {
    Plain(Instruction),
    Jump { code: u16, k: u32, yes: To, no: To },
}

pub(in crate::profile) const LOAD: u16 = 0x20;
const AND: u16 = 0x54;
pub(in crate::profile) const RETURN: u16 = 0x06;
pub(in crate::profile) const IS_EQUAL: u16 = 0x15;
const IS_GREATER: u16 = 0x25;
pub(in crate::profile) const IS_GREATER_OR_EQUAL: u16 = 0x35;

/// `struct seccomp_data`: the arguments follow the instruction pointer.
const ARGUMENTS: u32 = 16;

pub(in crate::profile) fn plain(code: u16, k: u32) -> Instruction {
    Instruction { code, jt: 0, jf: 0, k }
}

/// Returns `result` if all conditions hold, and goes on behind the code otherwise.
pub(in crate::profile) fn guarded(
    set: &[Condition],
    result: u32,
    width: Width,
    layout: Layout,
) -> Option<Vec<Instruction>> {
    let all: Vec<_> = set.iter().map(|it| steps(it, width, layout)).collect();
    let end = all.iter().map(Vec::len).sum::<usize>() + 1;
    let (mut code, mut behind) = (Vec::new(), 0);
    for steps in all {
        behind += steps.len();
        for step in steps {
            let here = code.len();
            let distance = |to: To| {
                let target = match to {
                    To::Next => here + 1,
                    To::Holds => behind,
                    To::Fails => end,
                };
                u8::try_from(target - here - 1).ok()
            };
            code.push(match step {
                Step::Plain(it) => it,
                Step::Jump { code, k, yes, no } => {
                    Instruction { code, jt: distance(yes)?, jf: distance(no)?, k }
                }
            });
        }
    }
    code.push(plain(RETURN, result));
    Some(code)
}

/// Compares the upper half first, then the lower one.
fn steps(condition: &Condition, width: Width, layout: Layout) -> Vec<Step> {
    use To::{Fails, Holds, Next};
    let is_big = matches!(layout, Layout::UpperFirst);
    let (mask, value) = condition.masked();
    let argument = ARGUMENTS + 8 * u32::try_from(condition.index).unwrap_or_default();
    let half = |it: u64| u32::try_from(it & largest(Width::Bits32)).unwrap_or_default();
    let (upper, lower) = (half(value >> 32), half(value));
    let load = |offset: u32, mask: u32| {
        let and = (mask != u32::MAX).then(|| plain(AND, mask));
        std::iter::once(plain(LOAD, argument + offset)).chain(and).map(Step::Plain)
    };
    let jump = |code, k, yes, no| Step::Jump { code, k, yes, no };
    let mut steps = Vec::new();
    let upper_mask = half(mask >> 32);
    if width == Width::Bits64 && upper_mask != 0 {
        steps.extend(load(if is_big { 0 } else { 4 }, upper_mask));
        match condition.operator() {
            Operator::Eq | Operator::MaskedEq => steps.push(jump(IS_EQUAL, upper, Next, Fails)),
            Operator::Ne => steps.push(jump(IS_EQUAL, upper, Next, Holds)),
            Operator::Gt | Operator::Ge => {
                steps.push(jump(IS_GREATER, upper, Holds, Next));
                steps.push(jump(IS_EQUAL, upper, Next, Fails));
            }
            Operator::Lt | Operator::Le => {
                steps.push(jump(IS_GREATER, upper, Fails, Next));
                steps.push(jump(IS_EQUAL, upper, Next, Holds));
            }
        }
    }
    let lower_mask = half(mask);
    if lower_mask != 0 {
        steps.extend(load(if is_big { 4 } else { 0 }, lower_mask));
        steps.push(match condition.operator() {
            Operator::Eq | Operator::MaskedEq => jump(IS_EQUAL, lower, Holds, Fails),
            Operator::Ne => jump(IS_EQUAL, lower, Fails, Holds),
            Operator::Gt => jump(IS_GREATER, lower, Holds, Fails),
            Operator::Le => jump(IS_GREATER, lower, Fails, Holds),
            Operator::Ge => jump(IS_GREATER_OR_EQUAL, lower, Holds, Fails),
            Operator::Lt => jump(IS_GREATER_OR_EQUAL, lower, Fails, Holds),
        });
    }
    steps
}
