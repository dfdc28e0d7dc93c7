use proptest::{collection::vec, prelude::*, sample::select};
use serde_json::{Value, json};

use super::*;
use crate::{
    bpf::{Data, Program},
    profile::{Document, RuntimeDefault},
};

const NAMES: [&str; 12] = [
    "read",
    "socket",
    "clone",
    "mkdir",
    "openat2",
    "semop",
    "execve",
    "accept4",
    "ipc",
    "socketcall",
    "mseal",
    "s390_runtime_instr",
];
const VALUES: [u64; 8] = [0, 1, 2, 40, u32::MAX as u64, 1 << 32, (1 << 32) + 40, u64::MAX];
const NATIVE: [&str; 5] = ["amd64", "arm64", "ppc64le", "riscv64", "loong64"];

fn condition() -> impl Strategy<Value = Value> {
    let operator = select(vec!["NE", "LT", "LE", "EQ", "EQ", "GE", "GT", "MASKED_EQ"]);
    (0..6_u64, operator, select(&VALUES[..]), select(&VALUES[..])).prop_map(
        |(index, operator, value, two)| {
            let operator = format!("SCMP_CMP_{operator}");
            json!({ "index": index, "op": operator, "value": value, "valueTwo": two })
        },
    )
}

fn action() -> impl Strategy<Value = String> {
    let all = vec!["ALLOW", "ERRNO", "ERRNO", "KILL", "KILL_PROCESS", "LOG", "TRAP", "TRACE"];
    select(all).prop_map(|it| format!("SCMP_ACT_{it}"))
}

/// The text of a profile, in which rules interfere with each other.
fn profile() -> impl Strategy<Value = String> {
    let rule = (vec(select(&NAMES[..]), 1..4), action(), 1..200_u64, vec(condition(), 0..4))
        .prop_map(|(names, action, errno, args)| {
            json!({ "names": names, "action": action, "errnoRet": errno, "args": args })
        });
    let architectures = select(vec![
        json!([]),
        json!(["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"]),
        json!(["SCMP_ARCH_X32", "SCMP_ARCH_X86", "SCMP_ARCH_ARM", "SCMP_ARCH_S390X"]),
    ]);
    (action(), architectures, vec(rule, 0..7)).prop_map(|(default, architectures, syscalls)| {
        json!({ "defaultAction": default, "architectures": architectures, "syscalls": syscalls })
            .to_string()
    })
}

fn arguments() -> impl Strategy<Value = [u64; 6]> {
    let near = select(&VALUES[..]).prop_flat_map(|it| it.saturating_sub(1)..=it.saturating_add(1));
    proptest::array::uniform6(prop_oneof![near, any::<u64>()])
}

/// Compares what the program returns with what the filter says.
fn compare(text: &str, native: Architecture, calls: &[(Option<&str>, u32, [u64; 6])]) {
    let document = Document::parse(text.as_bytes()).unwrap();
    let filter = document.filter(native).unwrap();
    let code = filter.program(native, Effect::returned).unwrap();
    let program = Program::new(&code).unwrap();
    for architecture in native.of_programs() {
        let is_x32 = architecture.seccomp() == "SCMP_ARCH_X32";
        for (name, number, args) in calls {
            let known = name.and_then(|it| syscalls::number_on(architecture, it));
            if name.is_some() && known.is_none() {
                continue;
            }
            let number = known.unwrap_or(*number);
            let mut arguments = *args;
            if !architecture.is_wide() && !is_x32 {
                arguments = arguments.map(|it| it & u64::from(u32::MAX));
            }
            let data = Data {
                number: if is_x32 { number | OF_X32 } else { number },
                architecture: architecture.audit().unwrap(),
                instruction_pointer: 0,
                arguments,
            };
            let (outcome, _) = filter.explain_number(architecture, number, &arguments);
            let expected: Vec<_> = outcome.effects().map(Effect::returned).collect();
            let got = program.run(&data);
            assert!(
                expected.contains(&got),
                "{text}\n{architecture:?} {name:?} {number} {arguments:x?}: {got:#x}, not {expected:x?}"
            );
        }
    }
}

proptest! {
    #[test]
    fn a_program_does_what_its_filter_says(
        text in profile(),
        native in select(&NATIVE[..]),
        calls in vec((select(&NAMES[..]).prop_map(Some), Just(0), arguments()), 40),
        unknown in vec((Just(None), prop_oneof![0..600_u32, 0..OF_X32], arguments()), 10),
    ) {
        let native = Architecture::of_node(native).unwrap();
        compare(&text, native, &[calls, unknown].concat());
    }

    #[test]
    fn the_programs_of_default_profiles_do_what_their_filters_say(
        name in select(RuntimeDefault::names().collect::<Vec<_>>()),
        calls in vec((Just(None), 0..600_u32, arguments()), 100),
    ) {
        let default: RuntimeDefault = name.parse().unwrap();
        compare(default.text, Architecture::of_node("amd64").unwrap(), &calls);
    }
}

#[test]
fn every_call_of_every_default_profile_has_its_effect() {
    let native = Architecture::of_node("amd64").unwrap();
    let values = [0, 1, 2, 40, 0x7e02_0000, (1 << 32) + 40, u64::MAX];
    let calls: Vec<_> =
        syscalls::names().flat_map(|name| values.map(|it| (Some(name), 0, [it; 6]))).collect();
    for name in RuntimeDefault::names() {
        compare(name.parse::<RuntimeDefault>().unwrap().text, native, &calls);
    }
}

#[test]
fn a_call_of_an_architecture_without_rules_kills_the_thread() {
    let document = Document::parse(br#"{ "defaultAction": "SCMP_ACT_ALLOW" }"#).unwrap();
    let native = Architecture::of_node("amd64").unwrap();
    let code = document.filter(native).unwrap().program(native, Effect::returned).unwrap();
    let program = Program::new(&code).unwrap();
    let run = |architecture, number| program.run(&Data { number, architecture, ..Data::default() });
    assert_eq!(run(0xc000_003e, 1), 0x7fff_0000);
    assert_eq!(run(0xc000_003e, OF_X32 | 1), 0);
    assert_eq!(run(0x4000_0003, 1), 0);
    assert_eq!(run(0, 1), 0);
}

#[test]
fn a_filter_that_the_kernel_does_not_take_is_an_error() {
    let rules: Vec<_> = (0..2000)
        .map(|it| {
            json!({ "names": ["socket"], "action": "SCMP_ACT_ALLOW", "args": [
                { "index": 0, "value": it, "op": "SCMP_CMP_EQ" }] })
        })
        .collect();
    let text = json!({ "defaultAction": "SCMP_ACT_ERRNO", "syscalls": rules }).to_string();
    let document = Document::parse(text.as_bytes()).unwrap();
    let native = Architecture::of_node("amd64").unwrap();
    let error = document.filter(native).unwrap().program(native, Effect::returned).unwrap_err();
    assert_eq!(error.to_string(), "its filter needs 10013 instructions, the kernel takes 4096");
}
