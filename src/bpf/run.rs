//! Runs a program.

use super::{
    CELLS, Data, Program,
    check::cell,
    operation::{Arithmetic, Condition, Operand, Operation, Register},
};

/// What the kernel takes as `SECCOMP_RET_KILL_THREAD`.
pub(super) const KILL_THREAD: u32 = 0;

impl Program {
    /// The value that the program returns, `SECCOMP_RET_…`.
    ///
    /// Jumps lead forward only, so a program ends.
    pub fn run(&self, data: &Data) -> u32 {
        let words = data.words();
        let (mut accumulator, mut index) = (0_u32, 0_u32);
        let mut memory = [0_u32; CELLS];
        let mut at = 0;
        while let Some((operation, it)) = self.0.get(at).copied() {
            at += 1;
            let [value, indexed] = [it.k, index];
            let operand = |of: Operand| if of == Operand::Value { value } else { indexed };
            let mut load = |register: Register, value: u32| match register {
                Register::Accumulator => accumulator = value,
                Register::Index => index = value,
            };
            match operation {
                Operation::LoadData => {
                    accumulator = words.get(cell(it.k / 4)).copied().unwrap_or(0);
                }
                Operation::LoadLength(register) => load(register, Data::LENGTH),
                Operation::LoadValue(register) => load(register, it.k),
                Operation::LoadMemory(register) => {
                    load(register, memory.get(cell(it.k)).copied().unwrap_or(0));
                }
                Operation::Store(register) => {
                    if let Some(cell) = memory.get_mut(cell(it.k)) {
                        *cell = if register == Register::Index { index } else { accumulator };
                    }
                }
                Operation::Calculate(what, by) => match calculate(what, accumulator, operand(by)) {
                    Some(result) => accumulator = result,
                    None => return KILL_THREAD,
                },
                Operation::Negate => accumulator = accumulator.wrapping_neg(),
                Operation::Jump => at = at.saturating_add(cell(it.k)),
                Operation::JumpIf(condition, with) => {
                    let holds = holds(condition, accumulator, operand(with));
                    at += usize::from(if holds { it.jt } else { it.jf });
                }
                Operation::ReturnValue => return it.k,
                Operation::ReturnAccumulator => return accumulator,
                Operation::ToIndex => index = accumulator,
                Operation::ToAccumulator => accumulator = index,
            }
        }
        KILL_THREAD
    }
}

/// `None` for a division by zero, which ends the program with the result 0.
pub(super) fn calculate(what: Arithmetic, one: u32, other: u32) -> Option<u32> {
    Some(match what {
        Arithmetic::Add => one.wrapping_add(other),
        Arithmetic::Subtract => one.wrapping_sub(other),
        Arithmetic::Multiply => one.wrapping_mul(other),
        Arithmetic::Divide => return one.checked_div(other),
        Arithmetic::Or => one | other,
        Arithmetic::And => one & other,
        // Of the number of bits, only the lowest five count.
        Arithmetic::ShiftLeft => one.wrapping_shl(other),
        Arithmetic::ShiftRight => one.wrapping_shr(other),
        Arithmetic::Xor => one ^ other,
    })
}

pub(super) fn holds(condition: Condition, one: u32, other: u32) -> bool {
    match condition {
        Condition::Equal => one == other,
        Condition::Greater => one > other,
        Condition::GreaterOrEqual => one >= other,
        Condition::AnyBit => one & other != 0,
    }
}
