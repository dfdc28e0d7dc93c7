use proptest::{collection::vec, prelude::*};
use serde_json::Value as Serde;

use super::*;
use crate::position::Position;

#[test]
fn keys_match_as_in_go() {
    assert!(same_key("DEFAULTACTION", "defaultAction"));
    assert!(same_key("\u{17f}yscalls", "syscalls"));
    assert!(!same_key("defaultActions", "defaultAction"));
    assert!(!same_key("défaultAction", "defaultAction"));
}

fn malformed(text: &[u8]) -> (String, usize) {
    let Malformed { why, offset } = Json::parse(text).unwrap_err();
    (why, offset)
}

fn text_of(value: Value<'_>) -> &str {
    match value.content() {
        Content::String(text) | Content::Number(text) => text,
        content => panic!("{content:?}"),
    }
}

#[test]
fn errors_are_those_of_go() {
    let end = "unexpected end of JSON input";
    assert_eq!(malformed(b""), (end.to_owned(), 0));
    assert_eq!(malformed(b"[1, "), (end.to_owned(), 4));
    for (text, why) in [
        (&b"\xef\xbb\xbf{}"[..], "'\u{ef}' looking for beginning of value"),
        (b"{} {}", "'{' after top-level value"),
        (b"[1,]", "']' looking for beginning of value"),
        (b"{,}", "',' looking for beginning of object key string"),
        (b"{\"a\":1,}", "'}' looking for beginning of object key string"),
        (b"{\"a\" 1}", "'1' after object key"),
        (b"{\"a\":1 \"b\":2}", "'\"' after object key:value pair"),
        (b"[1 2]", "'2' after array element"),
        (b"[01]", "'1' after array element"),
        (b"-a", "'a' in numeric literal"),
        (b"1.}", "'}' after decimal point in numeric literal"),
        (b"1e+'", "'\\'' in exponent of numeric literal"),
        (b"nul ", "' ' in literal null (expecting 'l')"),
        (b"nul", "' ' in literal null (expecting 'l')"),
        (b"1.", "' ' after decimal point in numeric literal"),
        (b"\"\\", "' ' in string escape code"),
        (b"\"\n\"", "'\\n' in string literal"),
        (b"\"\\x\"", "'x' in string escape code"),
        (b"\"\\u12g4\"", "'g' in \\u hexadecimal character escape"),
    ] {
        assert_eq!(malformed(text).0, format!("invalid character {why}"));
    }
}

#[test]
fn nesting_may_be_deep_but_not_endless() {
    let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    assert!(Json::parse(nested(10_000).as_bytes()).is_ok());
    let (why, offset) = malformed(nested(10_001).as_bytes());
    assert_eq!((why.as_str(), offset), ("invalid character '[' exceeded max depth", 10_000));
}

#[test]
fn what_is_no_character_is_replaced_as_by_go() {
    for (text, expected) in [
        (&b"\"a\xffb\""[..], "a\u{fffd}b"),
        (b"\"\xe2\x82\"", "\u{fffd}\u{fffd}"), // each byte, not each sequence
        (br#""\ud83d\ude00""#, "\u{1f600}"),
        (br#""\ud800""#, "\u{fffd}"),
        (br#""\ud800\u0041""#, "\u{fffd}A"),
        (br#""\ud800\ud83d\ude00""#, "\u{fffd}\u{1f600}"),
        (br#""\ude00\n""#, "\u{fffd}\n"),
    ] {
        let json = Json::parse(text).unwrap();
        assert_eq!(text_of(json.root()), expected);
    }
    assert!(Json::parse(br#""\ud800\u00g0""#).is_err());
}

#[test]
fn numbers_stay_as_they_are_written() {
    let json = Json::parse(b"[18446744073709551616, 1e999, -0, 1.0]").unwrap();
    let numbers: Vec<_> = json.root().elements().map(text_of).collect();
    assert_eq!(numbers, ["18446744073709551616", "1e999", "-0", "1.0"]);
}

#[test]
fn every_value_has_a_path_and_a_place() {
    let text = "{\"a\": [1,\n {\"b c\": \"\u{e9}\", \"d\": null}], \"a\": {}}";
    let json = Json::parse(text.as_bytes()).unwrap();
    let all: Vec<_> = (0..json.nodes.len())
        .map(|at| {
            let SourceLocation { path, span } = json.location(NodeId(at));
            let Span { start, end } = span.unwrap();
            (path, &text[start..end])
        })
        .collect();
    let expected = [
        ("", text),
        ("a", "[1,\n {\"b c\": \"\u{e9}\", \"d\": null}]"),
        ("a[0]", "1"),
        ("a[1]", "{\"b c\": \"\u{e9}\", \"d\": null}"),
        ("a[1][\"b c\"]", "\"\u{e9}\""),
        ("a[1].d", "null"),
        ("a", "{}"),
    ];
    assert_eq!(all, expected.map(|(path, text)| (path.to_owned(), text)));
    let key = json.key_location(NodeId(5)).span.unwrap();
    assert_eq!(&text[key.start..key.end], "\"d\"");
    assert_eq!(Position::of(key.start, text.as_bytes()), Position { line: 2, column: 15 });
}

/// A value as serde would have read it.
fn to_serde(value: Value<'_>) -> Serde {
    match value.content() {
        Content::Null => Serde::Null,
        Content::Bool => Serde::Bool(true),
        Content::Number(text) => serde_json::from_str(text).unwrap(),
        Content::String(text) => text.clone().into(),
        Content::Array => value.elements().map(to_serde).collect(),
        Content::Object => {
            value.members().map(|(key, it)| (key.to_owned(), to_serde(it))).collect()
        }
    }
}

fn documents() -> impl Strategy<Value = Serde> {
    let leaf = prop_oneof![
        Just(Serde::Null),
        Just(Serde::Bool(true)),
        any::<u64>().prop_map(Serde::from),
        any::<i64>().prop_map(Serde::from),
        any::<String>().prop_map(Serde::from),
    ];
    leaf.prop_recursive(4, 40, 5, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..5).prop_map(Serde::from),
            vec((any::<String>(), inner), 0..5).prop_map(|it| it.into_iter().collect()),
        ]
    })
}

proptest! {
    #[test]
    fn valid_documents_are_read_as_serde_reads_them(document in documents()) {
        for text in [document.to_string(), serde_json::to_string_pretty(&document).unwrap()] {
            let json = Json::parse(text.as_bytes()).unwrap();
            prop_assert_eq!(to_serde(json.root()), document.clone());
        }
    }

    #[test]
    fn an_object_is_its_text_without_places(document in documents()) {
        let mut json = Json::parse(document.to_string().as_bytes()).unwrap();
        for node in &mut json.nodes {
            node.span = None;
            if let Step::Key { span, .. } = &mut node.step {
                *span = None;
            }
        }
        prop_assert_eq!(json, Json::from(&document));
    }

    /// What serde takes, Go takes and reads alike. The other way round, serde
    /// refuses what is no Unicode and numbers that no type holds.
    #[test]
    fn whatever_serde_takes_is_taken(
        document in documents(),
        edits in vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
    ) {
        let mut text = document.to_string().into_bytes();
        for (at, byte) in edits {
            let at = at.index(text.len());
            text[at] = byte;
        }
        match (Json::parse(&text), serde_json::from_slice::<Serde>(&text)) {
            (Ok(ours), Ok(theirs)) => prop_assert_eq!(to_serde(ours.root()), theirs),
            (Ok(_), Err(error)) => {
                let why = error.to_string();
                let stricter = ["unicode", "surrogate", "hex escape", "number out of range"];
                prop_assert!(stricter.iter().any(|it| why.contains(it)), "{}", why);
            }
            (Err(_), theirs) => prop_assert!(theirs.is_err()),
        }
    }

    #[test]
    fn the_text_at_a_place_is_the_value(document in documents()) {
        let text = document.to_string();
        let json = Json::parse(text.as_bytes()).unwrap();
        for at in 0..json.nodes.len() {
            let Span { start, end } = json.location(NodeId(at)).span.unwrap();
            let alone = Json::parse(&text.as_bytes()[start..end]).unwrap();
            let inside = Value { json: &json, node: NodeId(at) };
            prop_assert_eq!(to_serde(alone.root()), to_serde(inside));
        }
    }
}
