//! Any instructions are a program or an error, and a program returns something.
#![no_main]

use callgate::bpf::{Data, Instruction, Program};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let (data, program) = bytes.split_at(bytes.len().min(16));
    let word = |at: usize| {
        data.get(at..at + 8).map_or(0, |it| u64::from_le_bytes(it.try_into().unwrap_or_default()))
    };
    let instructions: Vec<_> = program
        .chunks_exact(8)
        .map(|it| Instruction {
            code: u16::from_le_bytes([it[0], it[1]]),
            jt: it[2],
            jf: it[3],
            k: u32::from_le_bytes([it[4], it[5], it[6], it[7]]),
        })
        .collect();
    if let Ok(program) = Program::new(&instructions) {
        let [first, second] = [0, 8].map(word);
        let call = Data {
            number: u32::try_from(first & 0x1ff).unwrap_or_default(),
            architecture: 0xc000_003e,
            instruction_pointer: second,
            arguments: [first, second, first ^ second, 0, u64::MAX, first.rotate_left(32)],
        };
        assert_eq!(program.run(&call), program.run(&call));
    }
});
