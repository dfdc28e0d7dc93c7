//! Answers what callgate makes of programs of classic BPF, one a line, for `e2e/oracle`.

use std::io::{self, BufRead, Write};

use callgate::bpf::{Data, Instruction, Program};
use serde::{Deserialize, Serialize};

#[derive(Deserialize)]
struct Question {
    /// Code, two jumps and value of each instruction.
    program: Vec<(u16, u8, u8, u32)>,
    data: Vec<Call>,
}

#[derive(Deserialize)]
struct Call {
    number: u32,
    arch: u32,
    args: [u64; 6],
}

#[derive(Default, Serialize)]
struct Answer {
    /// Why the kernel does not take the program.
    invalid: Option<String>,
    /// What it returns for each call.
    returns: Vec<u32>,
}

fn main() -> io::Result<()> {
    let mut out = io::stdout().lock();
    for line in io::stdin().lock().lines() {
        let question: Question = serde_json::from_str(&line?).expect("it is a question");
        let answer = answer(&question);
        writeln!(out, "{}", serde_json::to_string(&answer).expect("it is JSON"))?;
        out.flush()?;
    }
    Ok(())
}

fn answer(question: &Question) -> Answer {
    let instructions = question.program.iter();
    let instructions = instructions.map(|&(code, jt, jf, k)| Instruction { code, jt, jf, k });
    match Program::new(&instructions.collect::<Vec<_>>()) {
        Err(invalid) => Answer { invalid: Some(invalid.to_string()), ..Answer::default() },
        Ok(program) => {
            let data = question.data.iter().map(|it| Data {
                number: it.number,
                architecture: it.arch,
                instruction_pointer: 0,
                arguments: it.args,
            });
            Answer { invalid: None, returns: data.map(|it| program.run(&it)).collect() }
        }
    }
}
