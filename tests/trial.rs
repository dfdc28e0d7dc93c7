//! `callgate profile try`, on the kernel of this machine: what the command gets, and what is said.
//!
//! The commands make other calls on other architectures.
#![cfg(target_arch = "x86_64")]

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::Path,
    process::{Child, Command, Output, Stdio},
};

use rstest::rstest;
use support::{
    page::examples,
    program::{install, said},
};
use tempfile::TempDir;

const SHOP: &str = r#"{
  "defaultAction": "SCMP_ACT_ALLOW",
  "syscalls": [
    { "names": ["mkdir"], "action": "SCMP_ACT_ERRNO", "errnoRet": 30 },
    { "names": ["rmdir"], "action": "SCMP_ACT_ERRNO", "errnoRet": 0 },
    { "names": ["unshare"], "action": "SCMP_ACT_KILL_PROCESS" },
    { "names": ["clone"], "action": "SCMP_ACT_ERRNO", "args": [
      { "index": 0, "value": 268435456, "valueTwo": 268435456, "op": "SCMP_CMP_MASKED_EQ" } ] }
  ]
}
"#;

/// What the shell and the commands of the tests need, but for `mkdir` and `unshare`.
const NARROW: &str = r#"{
  "defaultAction": "SCMP_ACT_ERRNO",
  "syscalls": [
    { "names": ["access", "arch_prctl", "brk", "clone", "close", "dup", "dup2", "execve", "exit_group", "fadvise64",
      "fcntl", "fstat", "futex", "getcwd", "getegid", "geteuid", "getgid", "getpid", "getppid", "getrandom", "getuid",
      "ioctl", "lseek", "mmap", "mprotect", "munmap", "newfstatat", "openat", "pipe2", "pread64", "prlimit64", "read",
      "readlink", "rseq", "rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "set_robust_list", "set_tid_address",
      "statfs", "statx", "sysinfo", "uname", "vfork", "wait4", "write"],
      "action": "SCMP_ACT_ALLOW" },
    { "names": ["unshare"], "action": "SCMP_ACT_ALLOW", "args": [
      { "index": 0, "value": 131072, "op": "SCMP_CMP_EQ" } ] }
  ]
}
"#;

fn directory() -> TempDir {
    let directory = tempfile::tempdir().expect("there is room for a directory");
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o777)).expect("it is ours");
    for (name, text) in [("shop.json", SHOP), ("narrow.json", NARROW)] {
        fs::write(directory.path().join(name), text).expect("it is writable");
    }
    directory
}

fn command(program: &Path, directory: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(program);
    let command_line = ["profile", "try"].iter().chain(words);
    command.args(command_line).current_dir(directory).env_clear().stdin(Stdio::null());
    command.env("PATH", "/usr/bin:/bin").env("LC_ALL", "C");
    command
}

fn run(directory: &Path, words: &[&str]) -> Output {
    let callgate = Path::new(env!("CARGO_BIN_EXE_callgate"));
    command(callgate, directory, words).output().expect("the binary starts")
}

#[rstest]
#[case::nothing_is_denied(
    &["shop.json", "--", "sh", "-c", "echo out; exit 3"],
    3,
    "out\n",
    "callgate: shop.json made no call fail\n"
)]
#[case::a_call_fails_with_the_error_of_the_profile(
    &["shop.json", "--", "mkdir", "a"],
    1,
    "",
    "mkdir: cannot create directory 'a': Read-only file system
callgate: shop.json made 1 call fail:
  mkdir(\"a\", 511): fails with EROFS
    shop.json:4:5: syscalls[0]
"
)]
#[case::the_error_zero_is_success(
    &["shop.json", "--", "rmdir", "missing"],
    0,
    "",
    "callgate: shop.json made 1 call fail:
  rmdir(\"missing\"): returns 0 without being executed
    shop.json:5:5: syscalls[1]
"
)]
#[case::calls_for_one_reason_are_one_entry(
    &["shop.json", "--", "sh", "-c", "mkdir a 2>/dev/null; mkdir b 2>/dev/null; rmdir c"],
    0,
    "",
    "callgate: shop.json made 3 calls fail:
  mkdir(\"a\", 511) and 1 more: fails with EROFS
    shop.json:4:5: syscalls[0]
  rmdir(\"c\"): returns 0 without being executed
    shop.json:5:5: syscalls[1]
"
)]
#[case::the_process_is_killed(
    &["shop.json", "--", "unshare", "--user", "true"],
    159,
    "",
    "callgate: shop.json made no call fail
callgate: the command was ended by SIGSYS: the profile kills or traps one of its calls, and `--observe` shows which
"
)]
#[case::another_signal(
    &["shop.json", "--", "sh", "-c", "kill -TERM $$"],
    143,
    "",
    "callgate: shop.json made no call fail\n"
)]
#[case::no_such_command(
    &["shop.json", "--", "nosuch"],
    127,
    "",
    "callgate: error: there is no command \"nosuch\"\n"
)]
#[case::no_program(
    &["shop.json", "--", "./shop.json"],
    126,
    "",
    "callgate: shop.json made no call fail
callgate: error: cannot execute \"./shop.json\": Permission denied (os error 13)
"
)]
#[case::the_default_decides(
    &["narrow.json", "--", "mkdir", "a"],
    1,
    "",
    "mkdir: cannot create directory 'a': Operation not permitted
callgate: narrow.json made 1 call fail:
  mkdir(\"a\", 511): fails with EPERM
    narrow.json:2:20: defaultAction
"
)]
#[case::nothing_is_denied_to_an_observer(
    &["--observe", "shop.json", "--", "sh", "-c", "mkdir a; mkdir b; unshare --uts true; exit 4"],
    4,
    "",
    "callgate: shop.json would have denied 3 calls:
  mkdir(\"a\", 511) and 1 more: fails with EROFS
    shop.json:4:5: syscalls[0]
  unshare(0x4000000): kills the process
    shop.json:6:5: syscalls[2]
"
)]
#[case::seccomp_is_off(
    &["off.json", "--", "true"],
    0,
    "",
    "callgate: off.json denies nothing: the runtime switches seccomp off\n"
)]
#[case::the_runtime_refuses_it(
    &["broken.json", "--", "true"],
    2,
    "",
    "error: broken.json: no container starts under it: defaultAction is SCMP_ACT_NOTIFY, which needs a listenerPath and cannot be the default (`callgate profile lint` says more)\n"
)]
#[case::an_agent_decides(
    &["agent.json", "--", "true"],
    2,
    "",
    "error: agent.json:1:87: syscalls[0]: only the agent at listenerPath knows what becomes of the call\n"
)]
fn a_command_is_tried(
    #[case] words: &[&str],
    #[case] code: i32,
    #[case] stdout: &str,
    #[case] stderr: &str,
) {
    let directory = directory();
    let write = |name: &str, text: &str| {
        fs::write(directory.path().join(name), text).expect("it is writable");
    };
    write("off.json", "{}");
    write("broken.json", r#"{ "defaultAction": "SCMP_ACT_NOTIFY" }"#);
    let agent = r#"{ "defaultAction": "SCMP_ACT_ALLOW", "listenerPath": "/run/agent.sock", "syscalls": [ { "names": ["mkdir"], "action": "SCMP_ACT_NOTIFY" } ] }"#;
    write("agent.json", agent);
    let expected = (Some(code), stdout.to_owned(), stderr.to_owned());
    assert_eq!(said(run(directory.path(), words)), expected);
}

/// The kernel takes each filter, and a program starts under it.
#[test]
fn a_command_runs_under_every_default_profile() {
    let directory = directory();
    let names = ["containerd@2.0", "containerd@2.1", "containerd@2.2", "containerd@2.3"];
    let others = ["containerd@2.4.1", "containerd@2.4", "docker@25", "moby@0.1", "moby@0.2.3"];
    for name in names.iter().chain(&others).chain(&["moby@0.2", "moby@0.3"]) {
        let words = [*name, "--", "sh", "-c", "mkdir a && rmdir a"];
        let (code, _, stderr) = said(run(directory.path(), &words));
        assert_eq!(code, Some(0), "{stderr}");
        assert!(stderr.ends_with(" made no call fail\n"), "{stderr}");
    }
}

#[test]
fn what_is_missing_is_added_and_then_nothing_is_denied() {
    let directory = directory();
    let script = "mkdir a; unshare --uts true; rmdir a";
    let words = ["--observe", "--write", "wider.json", "narrow.json", "--", "sh", "-c", script];
    let (code, _, stderr) = said(run(directory.path(), &words));
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stderr.ends_with("\ncallgate: wider.json: written\n"), "{stderr}");
    let wider = fs::read_to_string(directory.path().join("wider.json")).expect("it was written");
    let tail = "      { \"index\": 0, \"value\": 131072, \"op\": \"SCMP_CMP_EQ\" } ] }";
    let (before, _) = NARROW.split_once("\n  ]\n}\n").expect("it ends so");
    let expected = format!(
        "{before},
    {{ \"names\": [\"mkdir\", \"rmdir\"], \"action\": \"SCMP_ACT_ALLOW\" }},
    {{ \"names\": [\"unshare\"], \"action\": \"SCMP_ACT_ALLOW\", \"args\": [{{ \"index\": 0, \"value\": 67108864, \"op\": \"SCMP_CMP_EQ\" }}] }}
  ]
}}
"
    );
    assert!(before.ends_with(tail));
    assert_eq!(wider, expected);
    // As before, but enforced.
    let output = run(directory.path(), &["wider.json", "--", "sh", "-c", script]);
    let quiet = (Some(0), String::new(), "callgate: wider.json made no call fail\n".to_owned());
    assert_eq!(said(output), quiet);
}

#[test]
fn what_a_condition_denies_is_to_be_changed_by_hand() {
    let directory = directory();
    let script = "unshare --user true; mkdir a";
    let words = ["--observe", "--write", "wider.json", "flags.json", "--", "sh", "-c", script];
    let flags = r#"{ "defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
  { "names": ["mkdir", "swapon"], "action": "SCMP_ACT_ERRNO" },
  { "names": ["unshare"], "action": "SCMP_ACT_ERRNO", "args": [ { "index": 0, "value": 268435456, "valueTwo": 268435456, "op": "SCMP_CMP_MASKED_EQ" } ] }
] }
"#;
    fs::write(directory.path().join("flags.json"), flags).expect("it is writable");
    let (_, _, stderr) = said(run(directory.path(), &words));
    let expected = "callgate: flags.json would have denied 2 calls:
  unshare(0x10000000): fails with EPERM
    flags.json:3:3: syscalls[1]
  mkdir(\"a\", 511): fails with EPERM
    flags.json:2:3: syscalls[0]
callgate: wider.json: written
callgate:   still denied, change it by hand: unshare(0x10000000)
";
    assert_eq!(stderr, expected);
    let wider = fs::read_to_string(directory.path().join("wider.json")).expect("it was written");
    assert_eq!(wider, flags.replace("\"mkdir\", ", ""));
}

/// Nothing here needs root. As another user it is an ordinary one.
#[test]
fn an_ordinary_user_can_try() {
    let directory = directory();
    let program = directory.path().join("callgate");
    install(Path::new(env!("CARGO_BIN_EXE_callgate")), &program);
    let words = [
        "shop.json",
        "--",
        "sh",
        "-c",
        "grep -E '^(NoNewPrivs|Seccomp):' /proc/self/status; mkdir a",
    ];
    let mut command = command(&program, directory.path(), &words);
    if is_root() {
        command.uid(65534).gid(65534);
    }
    let (code, stdout, stderr) = said(command.output().expect("it starts"));
    assert_eq!((code, stdout.as_str()), (Some(1), "NoNewPrivs:\t1\nSeccomp:\t2\n"));
    assert!(
        stderr.ends_with("  mkdir(\"a\", 511): fails with EROFS\n    shop.json:4:5: syscalls[0]\n"),
        "{stderr}"
    );
}

fn is_root() -> bool {
    fs::read_to_string("/proc/self/status").is_ok_and(|it| it.contains("\nUid:\t0\t0\t"))
}

/// A program of 32 bits: `exit(7)`.
#[test]
fn a_program_of_another_architecture_is_tried_too() {
    let directory = directory();
    let (written, path) = (directory.path().join("written"), directory.path().join("seven"));
    fs::write(&written, elf32(&[0xb8, 1, 0, 0, 0, 0xbb, 7, 0, 0, 0, 0xcd, 0x80]))
        .expect("it is writable");
    install(&written, &path);
    if Command::new(&path).status().is_err() {
        // This kernel runs no programs of i386.
        return;
    }
    let (code, _, _) = said(run(directory.path(), &["shop.json", "--", "./seven"]));
    assert_eq!(code, Some(159));
    let words = ["--observe", "--write", "both.json", "shop.json", "--", "./seven"];
    let expected = "callgate: shop.json would have denied 1 call:
  exit(7) of i386 (SCMP_ARCH_X86): kills the thread
    the profile does not list the architecture
callgate: both.json: written
";
    let expected = (Some(7), String::new(), expected.to_owned());
    assert_eq!(said(run(directory.path(), &words)), expected);
    let (code, _, _) = said(run(directory.path(), &["both.json", "--", "./seven"]));
    assert_eq!(code, Some(7));
}

/// The smallest file that the kernel executes: a header, one segment and its code.
fn elf32(code: &[u8]) -> Vec<u8> {
    const AT: u32 = 0x0804_8000;
    let length = 84 + u32::try_from(code.len()).expect("it is short");
    let mut file = b"\x7fELF\x01\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\x03\0".to_vec();
    let words = [1, AT + 84, 52, 0, 0];
    file.extend(words.iter().flat_map(|it: &u32| it.to_le_bytes()));
    file.extend([52_u16, 32, 1, 40, 0, 0].iter().flat_map(|it| it.to_le_bytes()));
    let segment = [1, 0, AT, AT, length, length, 5, 4096];
    file.extend(segment.iter().flat_map(|it| it.to_le_bytes()));
    file.extend_from_slice(code);
    file
}

#[test]
fn calls_of_many_processes_are_answered() {
    let directory = directory();
    let script =
        "for i in 1 2 3 4 5 6 7 8; do (for j in 1 2 3 4 5; do rmdir $i$j; done) & done; wait";
    let (code, _, stderr) = said(run(directory.path(), &["shop.json", "--", "sh", "-c", script]));
    assert_eq!(code, Some(0));
    assert!(stderr.starts_with("callgate: shop.json made 40 calls fail:\n"), "{stderr}");
    assert!(stderr.contains(" and 39 more: returns 0 without being executed\n"), "{stderr}");
}

#[test]
fn the_calls_of_runc_are_added_for_a_container() {
    let directory = directory();
    let expected = "callgate: narrow.json made no call fail
callgate: narrow.json denies calls that some versions of runc need to start a container: capget, capset, chdir, \
close_range, epoll_ctl, epoll_pwait, faccessat2, fstatfs, getdents64, nanosleep, openat2, prctl, recvfrom, sched_yield, \
setgid, setgroups, setuid, sigaltstack, tgkill
";
    let words = ["--as-container", "narrow.json", "--", "sh", "-c", "exit 3"];
    let denied = (Some(3), String::new(), expected.to_owned());
    assert_eq!(said(run(directory.path(), &words)), denied);
    let words =
        ["--as-container", "--observe", "--write", "wider.json", "narrow.json", "--", "true"];
    let (code, _, stderr) = said(run(directory.path(), &words));
    assert_eq!(code, Some(0), "{stderr}");
    let words = ["--as-container", "wider.json", "--", "true"];
    let expected = "callgate: wider.json made no call fail
callgate: wider.json allows what runc needs to start a container
";
    let allowed = (Some(0), String::new(), expected.to_owned());
    assert_eq!(said(run(directory.path(), &words)), allowed);
}

/// A process under a filter; it ends with this.
struct Confined(Child);

impl Confined {
    /// A filter of kills alone: the kernel gets it as it is.
    fn start(directory: &Path) -> Self {
        let text = r#"{ "defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
            { "names": ["unshare", "swapon"], "action": "SCMP_ACT_KILL_PROCESS" },
            { "names": ["personality"], "action": "SCMP_ACT_TRAP", "args": [
              { "index": 0, "value": 8, "op": "SCMP_CMP_EQ" } ] } ] }"#;
        fs::write(directory.join("kill.json"), text).expect("it is writable");
        let callgate = Path::new(env!("CARGO_BIN_EXE_callgate"));
        let words = ["kill.json", "--", "sh", "-c", "echo $$; exec cat"];
        let mut command = command(callgate, directory, &words);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        Self(command.spawn().expect("the binary starts"))
    }

    /// The process, when it is `cat`: until then it answers nothing.
    fn process(&mut self) -> String {
        let stdin = self.0.stdin.as_mut().expect("it is a pipe");
        stdin.write_all(b"ready\n").expect("it is open");
        let mut lines = BufReader::new(self.0.stdout.as_mut().expect("it is a pipe")).lines();
        let mut line = || lines.next().expect("it goes on").expect("it is text");
        let process = line();
        assert_eq!(line(), "ready");
        process
    }
}

impl Drop for Confined {
    fn drop(&mut self) {
        // `cat` ends with its input.
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

fn show(user: Option<u32>, directory: &Path, words: &[&str]) -> (Option<i32>, String, String) {
    let program = directory.join("callgate");
    if !program.exists() {
        install(Path::new(env!("CARGO_BIN_EXE_callgate")), &program);
    }
    let mut command = Command::new(program);
    command.args(["profile", "show"]).args(words).env_clear();
    if let Some(user) = user {
        command.uid(user).gid(user);
    }
    said(command.output().expect("it starts"))
}

#[test]
fn the_filters_of_a_process_are_shown_to_root() {
    if !is_root() {
        return;
    }
    let directory = directory();
    let mut confined = Confined::start(directory.path());
    let process = confined.process();
    let pid = format!("--pid={process}");
    let expected = format!(
        "process {process} (cat): 1 filter

x86-64 (SCMP_ARCH_X86_64): 384 calls
  allowed: 381
    files 100, mounts and namespaces 23, network 18, processes 41, users and capabilities 18,
      memory 31, locks and messages 30, signals 17, waiting and events 30, time 22, scheduling 17,
      kernel and machine 22, unused and rare 12
  kills the process: 2
    mounts and namespaces: unshare
    kernel and machine: swapon
  depends on arguments: 1
    personality: allowed or gets SIGSYS, by its arguments

i386 (SCMP_ARCH_X86): every call kills the thread

x32 (SCMP_ARCH_X32): every call kills the thread
"
    );
    assert_eq!(show(None, directory.path(), &[&pid]), (Some(0), expected, String::new()));
    let expected = "x86-64 (SCMP_ARCH_X86_64): personality(0=8): gets SIGSYS
i386 (SCMP_ARCH_X86): personality(0=8): kills the thread
x32 (SCMP_ARCH_X32): personality(0=8): kills the thread
";
    let words = [&pid, "--syscall", "personality", "--arg", "0=8"];
    let (code, stdout, _) = show(None, directory.path(), &words);
    assert_eq!((code, stdout.as_str()), (Some(0), expected));
    // It was stopped for a moment, and goes on.
    let stdin = confined.0.stdin.as_mut().expect("it is a pipe");
    stdin.write_all(b"still here\n").expect("it reads");
    assert_eq!(confined.process(), "still here");
}

#[test]
fn what_cannot_be_shown_of_a_process_is_said() {
    let directory = directory();
    let no_such = (Some(2), String::new(), "error: there is no process 4194304\n".to_owned());
    assert_eq!(show(None, directory.path(), &["--pid=4194304"]), no_such);
    let mut confined = Confined::start(directory.path());
    let process = confined.process();
    let refused = format!(
        "error: cannot read the filters of process {process} (cat): the kernel shows them only to root on the node \
         itself, outside of containers and without a filter\n"
    );
    let user = is_root().then_some(65534);
    let said = show(user, directory.path(), &[&format!("--pid={process}")]);
    assert_eq!(said, (Some(2), String::new(), refused));
    let words = ["shop.json", "--pid=1"];
    let (code, _, stderr) = show(None, directory.path(), &words);
    assert_eq!(code, Some(2));
    assert!(stderr.contains("cannot be used with"), "{stderr}");
}

/// docs/profiles.md shows commands and what is said on standard error.
#[test]
fn the_examples_of_the_docs_are_what_is_said() {
    let directory = directory();
    fs::create_dir(directory.path().join("profiles")).expect("it is writable");
    fs::copy("profiles/block-mkdir.json", directory.path().join("profiles/block-mkdir.json"))
        .expect("it is there");
    let mut examples = examples("docs/profiles.md", "says");
    examples.retain(|it| it.0.starts_with("try "));
    for (command, expected) in &examples {
        let words: Vec<_> = command.split(' ').skip(1).collect();
        let (_, _, stderr) = said(run(directory.path(), &words));
        assert_eq!(stderr, *expected, "{command}");
    }
    assert_eq!(examples.len(), 2);
}

/// The program in the background waits at a pipe until the command has ended.
#[test]
fn denied_calls_of_what_is_left_in_the_background_fail_with_enosys() {
    let directory = directory();
    let within = |program: &str, words: &[&str]| {
        let mut command = Command::new(program);
        command.args(words).current_dir(directory.path());
        command
    };
    let made = within("mkfifo", &["go", "heard"]).status().expect("coreutils have it");
    assert!(made.success());
    let script = "{ read line <go; mkdir late 2>heard; } >/dev/null 2>&1 & exit 3";
    let ended = said(run(directory.path(), &["shop.json", "--", "sh", "-c", script]));
    let report = "callgate: shop.json made no call fail\n";
    assert_eq!(ended, (Some(3), String::new(), report.to_owned()));
    // Opened for both, so that it does not wait for a reader that is not there.
    let go = fs::File::options().read(true).write(true).open(directory.path().join("go"));
    let mut go = go.expect("it is a pipe");
    go.write_all(b"go on\n").expect("it is writable");
    let heard = within("timeout", &["60", "cat", "heard"]).output().expect("coreutils have it");
    let error = "mkdir: cannot create directory 'late': Function not implemented\n";
    assert_eq!(String::from_utf8_lossy(&heard.stdout), error);
}

#[test]
fn a_command_can_gain_no_rights() {
    let directory = directory();
    let words = ["shop.json", "--", "grep", "NoNewPrivs", "/proc/self/status"];
    let (code, out, _) = said(run(directory.path(), &words));
    assert_eq!((code, out.as_str()), (Some(0), "NoNewPrivs:\t1\n"));
}
