//! What a program can return for a call of which not every argument is known.

use std::collections::BTreeSet;

use super::{
    CELLS, Data, Program,
    check::cell,
    operation::{Operand, Operation, Register},
    run::{KILL_THREAD, calculate, holds},
};

/// The most states that are looked at.
const MOST_STATES: usize = 100_000;

/// The state before an instruction; what is unknown is `None`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct State {
    at: usize,
    accumulator: Option<u32>,
    index: Option<u32>,
    memory: [Option<u32>; CELLS],
}

impl State {
    fn skipping(mut self, instructions: u8) -> Self {
        self.at += usize::from(instructions);
        self
    }
}

impl Program {
    /// All values that the program can return; `None` if there are too many ways through it.
    ///
    /// Where two comparisons are about the same argument, one may be among them that no call leads to.
    pub fn results(
        &self,
        number: u32,
        architecture: u32,
        arguments: &[Option<u64>; 6],
    ) -> Option<BTreeSet<u32>> {
        let known = Data {
            number,
            architecture,
            instruction_pointer: 0,
            arguments: arguments.map(Option::unwrap_or_default),
        };
        let words = known.words();
        let is_known = |word: usize| match word {
            0 | 1 => true,
            2 | 3 => false,
            _ => arguments.get((word - 4) / 2).is_some_and(Option::is_some),
        };
        let load = |offset: u32| {
            let word = cell(offset / 4);
            words.get(word).copied().filter(|_| is_known(word))
        };
        let memory = [Some(0); CELLS];
        let mut open = vec![State { at: 0, accumulator: Some(0), index: Some(0), memory }];
        let (mut seen, mut results) = (BTreeSet::new(), BTreeSet::new());
        while let Some(state) = open.pop() {
            if !seen.insert(state) {
                continue;
            }
            if seen.len() > MOST_STATES {
                return None;
            }
            match self.step(state, load) {
                Step::Goes(next) => open.extend(next),
                Step::Returns(Some(value)) => {
                    results.insert(value);
                }
                Step::Returns(None) => return None,
            }
        }
        Some(results)
    }

    fn step(&self, state: State, load: impl Fn(u32) -> Option<u32>) -> Step {
        let Some((operation, it)) = self.0.get(state.at).copied() else {
            return Step::Returns(Some(KILL_THREAD));
        };
        let mut next = State { at: state.at + 1, ..state };
        let operand = |of| if of == Operand::Value { Some(it.k) } else { state.index };
        let mut put = |register: Register, value| match register {
            Register::Accumulator => next.accumulator = value,
            Register::Index => next.index = value,
        };
        match operation {
            Operation::LoadData => next.accumulator = load(it.k),
            Operation::LoadLength(register) => put(register, Some(Data::LENGTH)),
            Operation::LoadValue(register) => put(register, Some(it.k)),
            Operation::LoadMemory(register) => {
                put(register, state.memory.get(cell(it.k)).copied().unwrap_or(Some(0)));
            }
            Operation::Store(register) => {
                let is_index = register == Register::Index;
                if let Some(cell) = next.memory.get_mut(cell(it.k)) {
                    *cell = if is_index { state.index } else { state.accumulator };
                }
            }
            Operation::Calculate(what, by) => match (state.accumulator, operand(by)) {
                (Some(one), Some(other)) => match calculate(what, one, other) {
                    Some(result) => next.accumulator = Some(result),
                    None => return Step::Returns(Some(KILL_THREAD)),
                },
                // An unknown divisor may be zero.
                (_, None) if what == super::operation::Arithmetic::Divide => {
                    return Step::Returns(None);
                }
                _ => next.accumulator = None,
            },
            Operation::Negate => next.accumulator = state.accumulator.map(u32::wrapping_neg),
            Operation::Jump => next.at = next.at.saturating_add(cell(it.k)),
            Operation::JumpIf(condition, with) => {
                let met = state.accumulator.zip(operand(with));
                return Step::Goes(match met.map(|(one, other)| holds(condition, one, other)) {
                    Some(true) => vec![next.skipping(it.jt)],
                    Some(false) => vec![next.skipping(it.jf)],
                    None => vec![next.skipping(it.jt), next.skipping(it.jf)],
                });
            }
            Operation::ReturnValue => return Step::Returns(Some(it.k)),
            Operation::ReturnAccumulator => return Step::Returns(state.accumulator),
            Operation::ToIndex => next.index = state.accumulator,
            Operation::ToAccumulator => next.accumulator = state.index,
        }
        Step::Goes(vec![next])
    }
}

enum Step {
    Goes(Vec<State>),
    /// `None` if the value is unknown.
    Returns(Option<u32>),
}
