use proptest::{
    collection::{hash_map, vec},
    prelude::*,
    sample::{Index, select},
};
use rstest::rstest;

use super::{skip::MOST_LEVELS, *};
use crate::json::{Bounded, Entry, Str, objects};

objects! {
    struct Probe<'a> {
        name("name"): Str<'a>,
        flag("flag"): bool,
        inner("inner"): Box<Probe<'a>>,
        names("names"): Bounded<Str<'a>>,
        list("list"): Bounded<Probe<'a>>,
    }
}

impl Entry for Probe<'_> {}

/// What was read, to compare.
fn shown(probe: &Probe<'_>) -> String {
    let Probe { name, flag, inner, names, list } = probe;
    let inner = inner.as_deref().map(shown);
    let list: Option<Vec<_>> = list.as_deref().map(|it| it.iter().map(shown).collect());
    format!("{name:?} {flag:?} {inner:?} {names:?} {list:?}")
}

/// What both readers make of a text.
fn both(text: &[u8]) -> (Option<String>, Option<String>) {
    let ours = read::<Option<Probe<'_>>>(text);
    let theirs = serde_json::from_slice::<Option<Probe<'_>>>(text).ok();
    let shown = |it: Option<Probe<'_>>| it.as_ref().map_or("null".to_owned(), shown);
    (ours.map(shown), theirs.map(shown))
}

#[rstest]
#[case::nothing("")]
#[case::null("null")]
#[case::empty("{}")]
#[case::spaces(" \n{\t\"flag\" :\r true , \"names\" : [ \"a\" , null ] } ")]
#[case::other_spaces("\u{a0}{}")]
#[case::more("{} x")]
#[case::comma_at_the_end("{\"flag\":true,}")]
#[case::comma_at_the_end_of_a_list("{\"names\":[\"a\",]}")]
#[case::comma_first("{,\"flag\":true}")]
#[case::no_comma("{\"x\":1 \"flag\":true}")]
#[case::no_colon("{\"x\" 1}")]
#[case::twice("{\"flag\":true,\"flag\":true}")]
#[case::a_list("[true]")]
#[case::a_bare_key("{flag:true}")]
#[case::an_escaped_key(r#"{"fl\u0061g":true}"#)]
#[case::members_in_a_row(r#"{"x":"a","y":{},"z":"","flag":true}"#)]
#[case::a_member_that_ends_the_text(r#"{"x":{"y":"a"#)]
#[case::a_quote_after_a_member(r#"{"x":{"y":"a",""}}"#)]
#[case::a_backslash_before_a_comma(r#"{"x":{"y":"a\,"z":"b"}}"#)]
#[case::a_control_character_before_a_comma("{\"x\":{\"y\":\"a\n,\"z\":\"b\"}}")]
#[case::an_escaped_backslash_before_the_end(r#"{"x":"a\\","flag":true}"#)]
#[case::json_in_json(r#"{"x":"{\"k\":\"a long string of json\",\"n\":1}","flag":true}"#)]
#[case::escapes(r#"{"name":"\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00"}"#)]
#[case::half_a_pair(r#"{"name":"\ud83d"}"#)]
#[case::half_a_pair_that_is_skipped(r#"{"x":"\ud83d"}"#)]
#[case::an_unknown_escape(r#"{"x":"\a"}"#)]
#[case::a_short_escape(r#"{"x":"\u12"}"#)]
#[case::no_hex_digits(r#"{"x":"\u12g4"}"#)]
#[case::a_control_character("{\"x\":\"a long string\nof two lines\"}")]
#[case::no_end(r#"{"x":"a string without an end"#)]
#[case::brackets_that_do_not_match(r#"{"x":[{"y":1]}}"#)]
#[case::a_wrong_literal(r#"{"x":nul}"#)]
#[case::a_longer_literal(r#"{"x":nulls}"#)]
fn texts_mean_the_same_to_both_readers(#[case] text: &str) {
    let (ours, theirs) = both(text.as_bytes());
    assert_eq!(ours, theirs);
}

#[rstest]
fn numbers_that_are_skipped_must_be_numbers(
    #[values(
        "0",
        "-0",
        "-",
        "00",
        "01",
        "-01",
        "1",
        "12",
        "1.",
        ".5",
        "1.5",
        "1.50",
        "-1.5e10",
        "1e",
        "1e+",
        "1E-7",
        "1e05",
        "+1",
        "0x10",
        "1_000",
        "NaN",
        "Infinity",
        "1.e5",
        "1e5.5",
        "--1",
        "123456789012345678901234567890"
    )]
    number: &str,
) {
    for text in [format!(r#"{{"x":{number}}}"#), format!(r#"{{"x":[{number},{number}]}}"#)] {
        let (ours, theirs) = both(text.as_bytes());
        assert_eq!(ours, theirs, "{text}");
    }
}

#[test]
fn a_value_is_skipped_up_to_so_many_levels() {
    let nested = |levels: u32| {
        let levels = levels as usize;
        format!(r#"{{"x":{}{}}}"#, r#"[{"y":"#.repeat(levels / 2), "}]".repeat(levels / 2))
            .replace(":}", ":1}")
    };
    assert!(read::<Probe<'_>>(nested(MOST_LEVELS).as_bytes()).is_some());
    assert!(read::<Probe<'_>>(nested(MOST_LEVELS + 2).as_bytes()).is_none());
    assert!(read::<Probe<'_>>(nested(2_000_000).as_bytes()).is_none());
}

#[test]
fn what_is_not_utf_8_is_refused() {
    assert!(read::<Probe<'_>>(b"{\"x\":\"\xff\"}").is_none());
}

const ATOMS: &[&str] =
    &["null", "true", "false", "0", "-1.5e3", "01", "\"\"", "[]", "{}", "[ ]", "{ }"];

const KEYS: &[&str] = &["name", "flag", "inner", "names", "list", "x"];

const PARTS: &[&str] =
    &["a", "é", "\\n", "\\\"", "\\\\", "\\u0041", "\\ud83d\\ude00", "a longer piece of text"];

/// A JSON value, or what almost is one.
fn value() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![select(ATOMS).prop_map(str::to_owned), string()];
    leaf.prop_recursive(5, 60, 5, |inner| {
        let entries = (hash_map(key(), inner.clone(), 0..6), select(&[",", " ,\n"][..]));
        prop_oneof![
            vec(inner, 0..5).prop_map(|it| format!("[{}]", it.join(","))),
            entries.prop_map(|(it, comma)| {
                let entries: Vec<_> =
                    it.into_iter().map(|(key, value)| format!("{key}:{value}")).collect();
                format!("{{{}}}", entries.join(comma))
            }),
        ]
    })
}

fn key() -> impl Strategy<Value = String> {
    prop_oneof![6 => select(KEYS).prop_map(|it| format!("{it:?}")), 1 => string()]
}

fn string() -> impl Strategy<Value = String> {
    vec(select(PARTS), 0..5).prop_map(|it| format!("\"{}\"", it.concat()))
}

proptest! {
    #[test]
    fn every_text_means_the_same_to_both_readers(text in value()) {
        let (ours, theirs) = both(text.as_bytes());
        prop_assert_eq!(ours, theirs);
    }

    #[test]
    fn a_damaged_text_means_the_same_to_both_or_is_refused(
        text in value(),
        damage in vec((any::<Index>(), select(&b"\"\\{}[],: 01e-nt\x00\xff"[..]), 0..3_u8), 1..4),
    ) {
        let mut text = text.into_bytes();
        for (at, byte, how) in damage {
            let at = at.index(text.len() + 1);
            match how {
                0 => text.insert(at, byte),
                1 if at < text.len() => text[at] = byte,
                _ if at < text.len() => _ = text.remove(at),
                _ => text.push(byte),
            }
        }
        let (ours, theirs) = both(&text);
        if ours.is_some() {
            prop_assert_eq!(ours, theirs);
        } else {
            // It refuses nothing else than what `serde_json` refuses, or reads though it is no text.
            prop_assert!(theirs.is_none() || str::from_utf8(&text).is_err());
        }
    }
}
