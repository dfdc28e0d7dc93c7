//! Classic BPF as the kernel runs it for seccomp: whether it takes a program, and what the program
//! returns for a system call.
//!
//! `e2e/oracle/bpf` compares both with the kernel, on generated programs, and `e2e/oracle/filters`
//! the results with those of the programs that libseccomp generates.

mod check;
mod operation;
mod results;
mod run;

pub use check::Invalid;

use operation::Operation;

/// The most instructions of a program (`BPF_MAXINSNS`).
pub const MOST_INSTRUCTIONS: usize = 4096;

/// The cells of scratch memory (`BPF_MEMWORDS`).
const CELLS: usize = 16;

/// One instruction, as in `struct sock_filter`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instruction {
    pub code: u16,
    /// How many instructions a conditional jump skips if its condition holds.
    pub jt: u8,
    /// How many it skips otherwise.
    pub jf: u8,
    pub k: u32,
}

/// A program that the kernel takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program(Vec<(Operation, Instruction)>);

/// A system call as a program sees it, `struct seccomp_data`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Data {
    pub number: u32,
    /// `AUDIT_ARCH_…`.
    pub architecture: u32,
    pub instruction_pointer: u64,
    pub arguments: [u64; 6],
}

impl Data {
    /// The length of the structure, in bytes.
    const LENGTH: u32 = 64;

    /// Its words on a little-endian machine.
    fn words(&self) -> [u32; 16] {
        let mut words = [0; 16];
        (words[0], words[1]) = (self.number, self.architecture);
        let wide = std::iter::once(&self.instruction_pointer).chain(&self.arguments);
        for (pair, value) in words[2..].chunks_exact_mut(2).zip(wide) {
            let half = |it: u64| u32::try_from(it & u64::from(u32::MAX)).unwrap_or_default();
            (pair[0], pair[1]) = (half(*value), half(value >> 32));
        }
        words
    }
}

#[cfg(test)]
mod tests;
