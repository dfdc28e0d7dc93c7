//! The operations that seccomp permits.

/// What an instruction does, without its operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    /// Loads a word of the data into the accumulator.
    LoadData,
    /// Loads the length of the data.
    LoadLength(Register),
    LoadValue(Register),
    LoadMemory(Register),
    Store(Register),
    Calculate(Arithmetic, Operand),
    Negate,
    Jump,
    JumpIf(Condition, Operand),
    ReturnValue,
    ReturnAccumulator,
    /// Copies the accumulator into the index register.
    ToIndex,
    /// Copies the index register into the accumulator.
    ToAccumulator,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Register {
    Accumulator,
    Index,
}

/// The second operand; the first is the accumulator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operand {
    Value,
    Index,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
    Or,
    And,
    ShiftLeft,
    ShiftRight,
    Xor,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Condition {
    Equal,
    Greater,
    GreaterOrEqual,
    AnyBit,
}

impl Operation {
    /// `seccomp_check_filter` in kernel/seccomp.c lists them. Unlike socket filters, seccomp has no
    /// remainder and no loads of bytes.
    pub(super) fn of(code: u16) -> Option<Self> {
        use Register::{Accumulator, Index};
        let operand = if code & 0x08 == 0 { Operand::Value } else { Operand::Index };
        let calculate = |it| Self::Calculate(it, operand);
        let jump_if = |it| Self::JumpIf(it, operand);
        Some(match code {
            0x20 => Self::LoadData,
            0x80 => Self::LoadLength(Accumulator),
            0x81 => Self::LoadLength(Index),
            0x00 => Self::LoadValue(Accumulator),
            0x01 => Self::LoadValue(Index),
            0x60 => Self::LoadMemory(Accumulator),
            0x61 => Self::LoadMemory(Index),
            0x02 => Self::Store(Accumulator),
            0x03 => Self::Store(Index),
            0x04 | 0x0c => calculate(Arithmetic::Add),
            0x14 | 0x1c => calculate(Arithmetic::Subtract),
            0x24 | 0x2c => calculate(Arithmetic::Multiply),
            0x34 | 0x3c => calculate(Arithmetic::Divide),
            0x44 | 0x4c => calculate(Arithmetic::Or),
            0x54 | 0x5c => calculate(Arithmetic::And),
            0x64 | 0x6c => calculate(Arithmetic::ShiftLeft),
            0x74 | 0x7c => calculate(Arithmetic::ShiftRight),
            0xa4 | 0xac => calculate(Arithmetic::Xor),
            0x84 => Self::Negate,
            0x05 => Self::Jump,
            0x15 | 0x1d => jump_if(Condition::Equal),
            0x25 | 0x2d => jump_if(Condition::Greater),
            0x35 | 0x3d => jump_if(Condition::GreaterOrEqual),
            0x45 | 0x4d => jump_if(Condition::AnyBit),
            0x06 => Self::ReturnValue,
            0x16 => Self::ReturnAccumulator,
            0x07 => Self::ToIndex,
            0x87 => Self::ToAccumulator,
            _ => return None,
        })
    }
}
