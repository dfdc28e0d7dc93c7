//! Which programs the kernel takes: `bpf_check_classic` in net/core/filter.c, and
//! `seccomp_check_filter` in kernel/seccomp.c.

use super::{
    CELLS, Data, Instruction, MOST_INSTRUCTIONS, Program,
    operation::{Arithmetic, Operand, Operation},
};

/// Why the kernel does not take a program; `at` is the number of the instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    #[error("it has no instructions")]
    Empty,
    #[error("it has {0} instructions, {MOST_INSTRUCTIONS} at most are allowed")]
    TooLong(usize),
    #[error("instruction {at}: seccomp has no operation {code:#x}")]
    Operation { at: usize, code: u16 },
    #[error("instruction {at}: there is no word at offset {offset}")]
    Offset { at: usize, offset: u32 },
    #[error("instruction {at}: divides by zero")]
    Division { at: usize },
    #[error("instruction {at}: shifts by {by} bits")]
    Shift { at: usize, by: u32 },
    #[error("instruction {at}: there is no memory cell {cell}")]
    Cell { at: usize, cell: u32 },
    #[error("instruction {at}: memory cell {cell} may not have been written")]
    Unwritten { at: usize, cell: usize },
    #[error("instruction {at}: jumps out of the program")]
    Jump { at: usize },
    #[error("it does not end with a return")]
    End,
}

impl Program {
    /// Checks a program as the kernel does.
    ///
    /// # Errors
    /// The kernel rejects it.
    pub fn new(instructions: &[Instruction]) -> Result<Self, Invalid> {
        match instructions.len() {
            0 => return Err(Invalid::Empty),
            it if it > MOST_INSTRUCTIONS => return Err(Invalid::TooLong(it)),
            _ => {}
        }
        let mut operations = Vec::with_capacity(instructions.len());
        for (at, it) in instructions.iter().enumerate() {
            let operation =
                Operation::of(it.code).ok_or(Invalid::Operation { at, code: it.code })?;
            check(at, operation, *it, instructions.len())?;
            operations.push((operation, *it));
        }
        let last = operations.last().map(|it| it.0);
        if !matches!(last, Some(Operation::ReturnValue | Operation::ReturnAccumulator)) {
            return Err(Invalid::End);
        }
        check_memory(&operations)?;
        Ok(Self(operations))
    }
}

/// Checks the operands of one instruction.
fn check(at: usize, operation: Operation, it: Instruction, length: usize) -> Result<(), Invalid> {
    let k = it.k;
    let wrong = match operation {
        Operation::LoadData if k >= Data::LENGTH || !k.is_multiple_of(4) => {
            Invalid::Offset { at, offset: k }
        }
        Operation::Calculate(Arithmetic::Divide, Operand::Value) if k == 0 => {
            Invalid::Division { at }
        }
        Operation::Calculate(Arithmetic::ShiftLeft | Arithmetic::ShiftRight, Operand::Value)
            if k >= 32 =>
        {
            Invalid::Shift { at, by: k }
        }
        Operation::LoadMemory(_) | Operation::Store(_) if cell(k) >= CELLS => {
            Invalid::Cell { at, cell: k }
        }
        Operation::Jump | Operation::JumpIf(..)
            if targets(at, operation, it).iter().any(|it| *it >= length) =>
        {
            Invalid::Jump { at }
        }
        _ => return Ok(()),
    };
    Err(wrong)
}

/// Where the instruction may jump to, both times the same place if it cannot choose.
fn targets(at: usize, operation: Operation, it: Instruction) -> [usize; 2] {
    let from = |skipped: u32| {
        let skipped = usize::try_from(skipped).unwrap_or(usize::MAX);
        (at + 1).saturating_add(skipped)
    };
    match operation {
        Operation::JumpIf(..) => [from(it.jt.into()), from(it.jf.into())],
        _ => [from(it.k); 2],
    }
}

/// Checks that every cell of memory was written before it is read (`check_load_and_stores`).
fn check_memory(operations: &[(Operation, Instruction)]) -> Result<(), Invalid> {
    // The cells that were written on every way to an instruction.
    let mut on_arrival = vec![u16::MAX; operations.len()];
    let mut written = 0_u16;
    for (at, (operation, it)) in operations.iter().enumerate() {
        written &= on_arrival[at];
        match operation {
            Operation::Store(_) => written |= 1 << cell(it.k),
            Operation::LoadMemory(_) if written & (1 << cell(it.k)) == 0 => {
                return Err(Invalid::Unwritten { at, cell: cell(it.k) });
            }
            Operation::Jump | Operation::JumpIf(..) => {
                for target in targets(at, *operation, *it) {
                    on_arrival[target] &= written;
                }
                written = u16::MAX;
            }
            _ => {}
        }
    }
    Ok(())
}

/// The number of a cell of memory.
pub(super) fn cell(k: u32) -> usize {
    usize::try_from(k).unwrap_or(usize::MAX)
}
