//! Laws of the conversion.

use proptest::{collection::vec, prelude::*, sample::select};
use serde_json::{Value, json};

use super::{Spec, object};
use crate::profile::{
    DecodedProfile,
    document::{Document, Spanned, Syscall},
};

proptest! {
    #[test]
    fn an_object_read_back_is_the_profile_that_it_was_made_of(file in profile()) {
        let document = Document::parse(file.to_string().as_bytes()).unwrap();
        let name = "web".parse().unwrap();
        let object = serde_json::to_value(object(&name, &Spec::of(&document))).unwrap();
        let stored: Value = serde_json::from_str(&as_the_api_server(&object)).unwrap();
        let read = DecodedProfile::of_object(&stored);
        prop_assert_eq!(bare(read.document().unwrap()), bare(&document));
    }

    #[test]
    fn an_object_in_yaml_is_the_object_in_json(file in profile()) {
        let document = Document::parse(file.to_string().as_bytes()).unwrap();
        let (name, spec) = ("web".parse().unwrap(), Spec::of(&document));
        let object = object(&name, &spec);
        let yaml = serde_saphyr::to_string(&object).unwrap();
        let read: Value = serde_saphyr::from_str(&yaml).unwrap();
        prop_assert_eq!(read, serde_json::to_value(&object).unwrap());
    }
}

/// The text of the object; the API server rejects larger numbers.
fn as_the_api_server(object: &Value) -> String {
    fn check(value: &Value) {
        match value {
            Value::Number(it) => assert!(it.is_i64(), "{it} is no int64"),
            Value::Array(items) => items.iter().for_each(check),
            Value::Object(entries) => entries.values().for_each(check),
            _ => {}
        }
    }
    check(object);
    object.to_string()
}

/// All of a document that has an effect, without nodes.
type Bare = (String, Option<u64>, Vec<String>, Vec<String>, Vec<BareRule>);
type BareRule = (Vec<String>, String, Option<u64>, Vec<(u64, u64, u64, String)>);

fn bare(document: &Document) -> Bare {
    let rules = document.syscalls.iter().filter(|it| !it.names.is_empty());
    (
        document.default_action.it.clone(),
        document.default_errno.as_ref().map(|it| it.it),
        set(&document.architectures),
        set(&document.flags),
        rules.map(bare_rule).collect(),
    )
}

fn bare_rule(rule: &Spanned<Syscall>) -> BareRule {
    let args = rule.args.iter();
    (
        rule.names.iter().map(|it| it.it.clone()).collect(),
        rule.action.it.clone(),
        rule.errno.as_ref().map(|it| it.it),
        args.map(|it| (it.index.it, it.value.it, it.value_two.it, it.op.it.clone())).collect(),
    )
}

/// A set has no order.
fn set(words: &[Spanned<String>]) -> Vec<String> {
    let mut words: Vec<_> = words.iter().map(|it| it.it.clone()).collect();
    words.sort();
    words.dedup();
    words
}

fn profile() -> impl Strategy<Value = Value> {
    let rules = vec(rule(), 0..4);
    (word(), errno(), vec(word(), 0..4), vec(word(), 0..4), rules).prop_map(
        |(action, errno, architectures, flags, syscalls)| {
            json!({
                "defaultAction": action, "defaultErrnoRet": errno, "architectures": architectures,
                "flags": flags, "syscalls": syscalls,
            })
        },
    )
}

fn rule() -> impl Strategy<Value = Value> {
    (vec(word(), 0..3), word(), errno(), vec(condition(), 0..3)).prop_map(
        |(names, action, errno, args)| {
            json!({ "names": names, "action": action, "errnoRet": errno, "args": args })
        },
    )
}

fn condition() -> impl Strategy<Value = Value> {
    let number = || prop_oneof![Just(0), Just(1 << 63), Just((1 << 63) - 1), any::<u64>()];
    (0..6, number(), number(), word()).prop_map(|(index, value, value_two, op)| {
        json!({ "index": index, "value": value, "valueTwo": value_two, "op": op })
    })
}

fn errno() -> impl Strategy<Value = Option<u64>> {
    proptest::option::of(0..4096_u64)
}

/// Words, some of which have another meaning in YAML.
fn word() -> impl Strategy<Value = String> {
    let odd =
        select(vec!["", "on", "no", "1e3", "0x10", "~", "null", "- a", "a: b", "#", " x", "'"]);
    let plain = select(vec!["mkdir", "SCMP_ACT_ALLOW", "SCMP_ARCH_X86"]);
    prop_oneof![plain.prop_map(str::to_owned), odd.prop_map(str::to_owned), any::<String>()]
}
