//! Any bytes are a profile or an error. A program of a profile does what its filter says, and the
//! text for nodes is the same profile.
#![no_main]

use callgate::{
    bpf::{Data, Program},
    convert,
    profile::{Architecture, DecodedProfile, Document, Effect, Filter, lint},
};
use libfuzzer_sys::fuzz_target;

/// The numbers of some calls of x86-64.
const CALLS: [(&str, u32); 6] = [
    ("read", 0),
    ("socket", 41),
    ("clone", 56),
    ("mkdir", 83),
    ("personality", 135),
    ("clone3", 435),
];
const VALUES: [u64; 5] = [0, 1, 40, 0x1_0000_0028, u64::MAX];

fuzz_target!(|bytes: &[u8]| {
    let findings = lint(bytes);
    let _ = convert::convert(bytes, convert::Node::default());
    let Ok(profile) = DecodedProfile::parse(bytes) else {
        assert!(!findings.is_empty(), "what is no JSON is found");
        return;
    };
    let Some(native) = Architecture::of_node("amd64") else { return };
    let Ok(document) = profile.document() else {
        assert!(!findings.is_empty(), "what cannot be decoded is found");
        return;
    };
    let _ = profile.appraise();
    let written = document.canonical();
    let again = Document::parse(written.as_bytes()).unwrap_or_else(|it| panic!("{it}: {written}"));
    let (Some(filter), other) = (document.filter(native), again.filter(native)) else {
        return;
    };
    let other = other.unwrap_or_else(|| panic!("the text for nodes has no filter: {written}"));
    if document.defect_on(native).is_none() {
        compare(&filter, &other, native);
    }
});

fn compare(filter: &Filter<'_>, other: &Filter<'_>, native: Architecture) {
    let Ok(program) = filter.program(native, Effect::returned) else { return };
    let program = Program::new(&program).unwrap_or_else(|it| panic!("{it}"));
    for (name, number) in CALLS {
        for value in VALUES {
            let arguments = [value; 6];
            let outcome = filter.decide(native, name, &arguments);
            assert_eq!(other.decide(native, name, &arguments), outcome, "{name} {value}");
            let call =
                Data { number, architecture: 0xc000_003e, instruction_pointer: 0, arguments };
            let got = program.run(&call);
            let mut expected = outcome.effects().map(Effect::returned);
            assert!(expected.any(|it| it == got), "{name} {value}: {got:#x}, not {outcome:?}");
        }
    }
}
