//! Calls that the kernel writes audit records of.

use confine::{Answer, Command, End, Instruction};

/// Makes the system call `times` so often in a process of the node, under a filter that has it logged; the process runs
/// the line `then` before it ends. Shells make that call by `times`, without another process.
pub fn logged_calls(count: u32, then: &str) {
    let number = if cfg!(target_arch = "x86_64") { 100 } else { 153 };
    let plain = |code, k| Instruction { code, jt: 0, jf: 0, k };
    let filter = [
        plain(0x20, 0),
        Instruction { code: 0x15, jt: 0, jf: 1, k: number },
        plain(0x06, 0x7ffc_0000),
        plain(0x06, 0x7fff_0000),
    ];
    let line =
        format!("i=0; while [ $i -lt {count} ]; do times; i=$((i+1)); done >/dev/null; {then}");
    let command = Command {
        file: "/bin/sh".into(),
        arguments: ["sh".to_owned(), "-c".to_owned(), line].map(Into::into).to_vec(),
        environment: vec![("PATH".into(), "/usr/bin:/bin".into())],
    };
    let end = command.run(&filter, |_| Answer::Execute).expect("the kernel takes the filter");
    assert!(matches!(end, End::Exited(it) if it.success()), "{end:?}");
}
