use proptest::{collection::vec, prelude::*};
use rstest::rstest;

use super::*;

fn of(code: u16, k: u32) -> Instruction {
    Instruction { code, jt: 0, jf: 0, k }
}

fn jump(code: u16, k: u32, jt: u8, jf: u8) -> Instruction {
    Instruction { code, jt, jf, k }
}

const RETURN_VALUE: u16 = 0x06;
const RETURN_ACCUMULATOR: u16 = 0x16;

#[rstest]
#[case::empty(&[], Invalid::Empty, "it has no instructions")]
#[case::too_long(
    &vec![of(RETURN_VALUE, 0); 4097],
    Invalid::TooLong(4097),
    "it has 4097 instructions, 4096 at most are allowed"
)]
#[case::a_byte_is_loaded(
    &[of(0x30, 0), of(RETURN_VALUE, 0)],
    Invalid::Operation { at: 0, code: 0x30 },
    "instruction 0: seccomp has no operation 0x30"
)]
#[case::a_remainder(
    &[of(0x94, 3), of(RETURN_VALUE, 0)],
    Invalid::Operation { at: 0, code: 0x94 },
    "instruction 0: seccomp has no operation 0x94"
)]
#[case::an_offset_inside_a_word(
    &[of(0x20, 2), of(RETURN_VALUE, 0)],
    Invalid::Offset { at: 0, offset: 2 },
    "instruction 0: there is no word at offset 2"
)]
#[case::an_offset_behind_the_data(
    &[of(0x20, 64), of(RETURN_VALUE, 0)],
    Invalid::Offset { at: 0, offset: 64 },
    "instruction 0: there is no word at offset 64"
)]
#[case::division(
    &[of(0x34, 0), of(RETURN_VALUE, 0)],
    Invalid::Division { at: 0 },
    "instruction 0: divides by zero"
)]
#[case::shift(
    &[of(0x64, 32), of(RETURN_VALUE, 0)],
    Invalid::Shift { at: 0, by: 32 },
    "instruction 0: shifts by 32 bits"
)]
#[case::cell(
    &[of(0x02, 16), of(RETURN_VALUE, 0)],
    Invalid::Cell { at: 0, cell: 16 },
    "instruction 0: there is no memory cell 16"
)]
#[case::read_before_it_is_written(
    &[jump(0x15, 0, 1, 0), of(0x02, 3), of(0x60, 3), of(RETURN_VALUE, 0)],
    Invalid::Unwritten { at: 2, cell: 3 },
    "instruction 2: memory cell 3 may not have been written"
)]
#[case::a_jump_to_the_end(
    &[jump(0x15, 0, 0, 1), of(RETURN_VALUE, 0)],
    Invalid::Jump { at: 0 },
    "instruction 0: jumps out of the program"
)]
#[case::a_jump_that_overflows(
    &[of(0x05, u32::MAX), of(RETURN_VALUE, 0)],
    Invalid::Jump { at: 0 },
    "instruction 0: jumps out of the program"
)]
#[case::no_return(&[of(RETURN_VALUE, 0), of(0x00, 0)], Invalid::End, "it does not end with a return")]
fn the_kernel_rejects(
    #[case] instructions: &[Instruction],
    #[case] expected: Invalid,
    #[case] message: &str,
) {
    let error = Program::new(instructions).expect_err("it is invalid");
    assert_eq!((error, error.to_string().as_str()), (expected, message));
}

#[rstest]
#[case::a_constant(&[of(RETURN_VALUE, 7)], 7)]
#[case::the_length(&[of(0x80, 0), of(RETURN_ACCUMULATOR, 0)], 64)]
#[case::the_number(&[of(0x20, 0), of(RETURN_ACCUMULATOR, 0)], 1)]
#[case::the_architecture(&[of(0x20, 4), of(RETURN_ACCUMULATOR, 0)], 2)]
#[case::the_instruction_pointer(&[of(0x20, 12), of(RETURN_ACCUMULATOR, 0)], 3)]
#[case::the_lower_half_of_an_argument(&[of(0x20, 56), of(RETURN_ACCUMULATOR, 0)], 5)]
#[case::the_upper_half_of_an_argument(&[of(0x20, 60), of(RETURN_ACCUMULATOR, 0)], 4)]
#[case::division_by_a_register_that_is_zero(
    &[of(0x00, 9), of(0x3c, 0), of(RETURN_VALUE, 9)],
    0
)]
#[case::a_shift_by_33(
    &[of(0x00, 3), of(0x01, 33), of(0x6c, 0), of(RETURN_ACCUMULATOR, 0)],
    6
)]
#[case::subtraction_below_zero(&[of(0x14, 1), of(RETURN_ACCUMULATOR, 0)], u32::MAX)]
#[case::memory_and_the_index_register(
    &[of(0x00, 5), of(0x07, 0), of(0x03, 15), of(0x00, 0), of(0x60, 15), of(RETURN_ACCUMULATOR, 0)],
    5
)]
#[case::jumps(
    &[of(0x00, 6), jump(0x45, 2, 1, 0), of(RETURN_VALUE, 1), of(0x05, 1), of(RETURN_VALUE, 2), of(RETURN_VALUE, 3)],
    3
)]
fn a_program_returns(#[case] instructions: &[Instruction], #[case] expected: u32) {
    let program = Program::new(instructions).expect("it is valid");
    let data = Data {
        number: 1,
        architecture: 2,
        instruction_pointer: 3 << 32,
        arguments: [0, 0, 0, 0, 0, 4 << 32 | 5],
    };
    assert_eq!(program.run(&data), expected);
}

fn instruction() -> impl Strategy<Value = Instruction> {
    let known: Vec<u16> = (0..256).filter(|it| operation::Operation::of(*it).is_some()).collect();
    let code = prop_oneof![20 => proptest::sample::select(known), 1 => any::<u16>()];
    let k = prop_oneof![4 => 0..70_u32, 1 => any::<u32>()];
    (code, 0..3_u8, 0..3_u8, k).prop_map(|(code, jt, jf, k)| Instruction { code, jt, jf, k })
}

proptest! {
    #[test]
    fn any_program_returns_what_is_among_its_results(
        body in vec(instruction(), 0..40),
        words in any::<[u64; 8]>(),
    ) {
        let ends = [body, vec![of(RETURN_ACCUMULATOR, 0)]].concat();
        if let Ok(program) = Program::new(&ends) {
            let [number, architecture, instruction_pointer, arguments @ ..] = words;
            let [number, architecture] = [number, architecture].map(|it| u32::try_from(it >> 32).unwrap());
            let [a, b, c, d, e] = arguments;
            let data = Data { number, architecture, instruction_pointer, arguments: [a, b, c, d, e, a] };
            let result = program.run(&data);
            for known in [0_u8, 0b1, 0b10_1010, 0b11_1111] {
                let mut bits = (0..6).map(|it| known >> it & 1 == 1);
                let some = data.arguments.map(|it| bits.next().and_then(|is| is.then_some(it)));
                if let Some(all) = program.results(number, architecture, &some) {
                    prop_assert!(all.contains(&result), "{:?} without {}", all, result);
                }
            }
        }
    }
}
