use std::fmt::Write;

use rstest::rstest;
use serde_json::{Value, json};

use super::*;

fn all(text: &str) -> Vec<Result<Value, String>> {
    documents(text)
        .map(|it| match it {
            Ok(it) => Ok(serde_json::from_str(&it.json(it.root())).expect("it is JSON")),
            Err(Mistake { span, message }) => {
                let line = text[..span.start].matches('\n').count() + 1;
                Err(format!("{line}: {message}"))
            }
        })
        .collect()
}

fn one(text: &str) -> Value {
    let mut all = all(text);
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0).expect("it can be read")
}

fn mistake(text: &str) -> String {
    let mut all = all(text);
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0).expect_err("it cannot be read")
}

#[rstest]
#[case::yaml_1_1("[yes, On, n, OFF, True, y]", json!([true, true, false, false, true, true]))]
#[case::quoted("['yes', \"on\", !!str 12]", json!(["yes", "on", "12"]))]
#[case::octal("[0777, 0o17, 0x1F, 0b11, -010]", json!([511, 15, 31, 3, -8]))]
#[case::no_octal("[08, 0o8, 1_000, _1, 1_]", json!([8.0, "0o8", 1000, "_1", 1]))]
#[case::odd_binary("[0b+1, 0b-1, -0b+1, 0b12]", json!([1, -1, "-0b+1", "0b12"]))]
#[case::null("[~, null, Null, '']", json!([null, null, null, ""]))]
#[case::large("[18446744073709551615, 18446744073709551616]", json!([u64::MAX, 18_446_744_073_709_551_616.0]))]
#[case::floats("[1., .5, .5_0, ._5, 1e3, 1e999, .e1, '.5']", json!([1.0, 0.5, 0.5, "._5", 1000.0, "1e999", ".e1", ".5"]))]
#[case::dates("[2001-01-01, 12:30:45]", json!(["2001-01-01", "12:30:45"]))]
#[case::keys("{1: a, yes: b, 1.5: c, 1234567.0: d, on: e}", json!({"1": "a", "true": "e", "1.5": "c", "1.234567e+06": "d"}))]
#[case::tags("[!!int 010, !!float 1, !!bool no, !!null '', !!seq [], !!map {}]", json!([8, 1.0, false, null, [], {}]))]
#[case::anchors("{a: &a {b: 1}, c: *a, d: [*a]}", json!({"a": {"b": 1}, "c": {"b": 1}, "d": [{"b": 1}]}))]
#[case::a_merge_replaces_what_stands_before_it("{a: 1, <<: {a: 2, b: 3}, b: 4}", json!({"a": 2, "b": 4}))]
#[case::the_first_merged_map_wins("{<<: [{a: 1}, {a: 2, b: 2}]}", json!({"a": 1, "b": 2}))]
#[case::a_quoted_key_merges_nothing("{'<<': {a: 1}}", json!({"<<": {"a": 1}}))]
#[case::the_last_of_equal_keys_counts("{a: 1, b: 2, a: 3}", json!({"a": 3, "b": 2}))]
#[case::json("{\n\t\"a\": \"\\u00e4\\ud83d\\ude00\\/\",\n\t\"b\": [1.5e3, true]}", json!({"a": "ä😀/", "b": [1500.0, true]}))]
#[case::blocks("a: |\n  x\n  y\nb: >-\n  x\n  y\nc: |\n  end", json!({"a": "x\ny\n", "b": "x y", "c": "end\n"}))]
fn values(#[case] yaml: &str, #[case] expected: Value) {
    assert_eq!(one(yaml), expected);
}

#[rstest]
#[case::a_tag("a: !vault x", "1: the tag \"!vault\" is not read: only those of JSON's types are")]
#[case::a_tag_of_a_map(
    "a: !!set {x}",
    "1: the tag \"!!set\" is not read: only those of JSON's types are"
)]
#[case::a_misfit("\na: !!int x", "2: \"x\" does not fit the tag !!int")]
#[case::not_a_number("a: .nan", "1: infinity and .nan cannot be written as JSON")]
#[case::a_null_key("~: 1", "1: null and numbers of more than 63 bits cannot be keys")]
#[case::a_list_as_key("[a]: 1", "1: a key must be one word, not a list or a map")]
#[case::a_merge_of_text("<<: x", "1: \"<<\" takes a map or a list of maps")]
#[case::an_alias_in_itself("a: &a [*a]", "1: the alias stands for a value that contains it")]
#[case::after_the_end(
    "a: 1\n...\nb: 2",
    "3: kubectl reads nothing after \"...\": begin a document by \"---\""
)]
#[case::an_anchor(
    "a: &a: 1",
    "1: the name of an anchor has only letters, digits, \"_\" and \"-\" for kubectl"
)]
#[case::a_colon("{a:, b: 1}", "1: kubectl needs a space after this colon")]
#[case::a_hidden_line(
    "# x\u{2028}a: 1\nb: 2",
    "1: kubectl ends the line at the character \\u{2028}: write it in quotes"
)]
fn mistakes(#[case] yaml: &str, #[case] expected: &str) {
    assert_eq!(mistake(yaml), expected);
}

#[test]
fn a_strange_line_break_in_quotes_is_text() {
    assert_eq!(one("a: \"x\u{2028}y\""), json!({"a": "x\u{2028}y"}));
}

#[test]
fn each_document_is_read_and_none_keeps_others_from_being_read() {
    let text = "# a comment\n---\na: 1\n--- # another\nb: [\n---\n---\nc: 3\n--- x\nd: 4\n---\n~\n";
    let all = all(text);
    assert_eq!(all[0], Ok(json!({"a": 1})));
    assert!(all[1].as_ref().unwrap_err().contains("it is not YAML: "), "{all:?}");
    assert_eq!(all[2], Ok(json!({"c": 3})));
    let message =
        "9: \"---\" must stand alone on its line: kubectl lets nothing but a comment follow";
    assert_eq!(all[3], Err(message.to_owned()));
    assert_eq!(all[4..], [Ok(json!({"d": 4}))]);
    assert_eq!(documents("").count(), 0);
}

#[test]
fn json_documents_need_no_separator() {
    assert_eq!(all("{\"a\": 1} {\"b\": 2}\n{\"c\": 3}").len(), 3);
    assert_eq!(all("\u{feff}{\"a\": 1}"), [Ok(json!({"a": 1}))]);
}

#[test]
fn few_lines_do_not_stand_for_billions_of_values() {
    let mut yaml = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..10 {
        let inner = vec![format!("*a{}", level - 1); 10].join(", ");
        writeln!(yaml, "a{level}: &a{level} [{inner}]").expect("a string takes everything");
    }
    assert_eq!(mistake(&yaml), "6: its aliases stand for more than 400000 values");
}

#[test]
fn what_is_too_deep_is_an_error_with_its_place() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert_eq!(all(&nested(99))[0].as_ref().map(|_| ()), Ok(()));
    assert!(all(&nested(10_000))[0].is_err());
    let mut yaml = format!("a0: &a0 {}\n", nested(60));
    yaml += "a1: [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[*a0]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]\n";
    assert_eq!(mistake(&yaml), "2: it is deeper than 100 levels");
}

#[test]
fn the_spans_are_those_of_fields_also_through_merges_and_aliases() {
    let text = "---\nx: 1\n---\nbase: &base\n  deep: {privileged: true}\nspec:\n  <<: *base\n  list:\n    - name: app\n      image: a\n  end: *base\n";
    let document = documents(text).nth(1).expect("it is there").expect("it can be read");
    let root = document.root();
    let spec = document.field(root, "spec").expect("it is there").value;
    let deep = document.at(spec, &["deep"]).expect("it is merged");
    let entry = document.field(deep, "privileged").expect("it is there");
    assert_eq!(&text[document.span(entry.key_node)], "privileged");
    assert_eq!(&text[document.span(entry.value)], "true");
    let item = document.items(document.at(spec, &["list"]).expect("it is there"))[0];
    assert_eq!(&text[document.span(item)], "name: app\n      image: a");
    let end = document.field(spec, "end").expect("it is there").value;
    assert_eq!(&text[document.span(end)], "*base");
    assert_eq!(document.type_of(end), Type::Map);
    assert_eq!(&text[document.span(spec)], &text[text.find("<<").unwrap()..text.len() - 1]);
}

#[test]
fn large_maps_have_the_last_of_equal_keys_too() {
    let lines: Vec<_> = (0..100).map(|at| format!("k{}: {at}", at % 50)).collect();
    let yaml = lines.join("\n");
    let document = documents(&yaml).next().unwrap().unwrap();
    let entries = document.entries(document.root());
    assert_eq!(entries.len(), 50);
    assert!(entries.iter().all(|it| it.replaced.is_some()));
}

proptest::proptest! {
    #[test]
    fn the_cuts_of_a_text_have_its_documents(
        text in "\u{feff}?([a-c]: [0-9{\u{e9}]|---|--- #|---x|\\{\"a\": 1\\}| |\r?\n|~){0,40}",
        size in 0..30_usize,
    ) {
        let shown = |it: Result<Document<'_>, Mistake>| it.map(|it| (it.range.clone(), it.json(it.root())));
        let whole: Vec<_> = documents(&text).map(shown).collect();
        let cuts = cuts(&text, size);
        let ends = cuts.iter().map(|it| it.end);
        let starts: Vec<_> = [0].into_iter().chain(ends.clone()).collect();
        assert_eq!(starts[..cuts.len()], cuts.iter().map(|it| it.start).collect::<Vec<_>>());
        assert_eq!(starts.last().copied(), Some(text.len()));
        let pieces = cuts.into_iter().flat_map(|it| documents_within(&text, it));
        assert_eq!(pieces.map(shown).collect::<Vec<_>>(), whole);
    }

    /// Files are data: whatever is in them, there is an answer.
    #[test]
    fn no_text_makes_it_panic(text in "[-a{}\\[\\]:,&*!|>'\"#%@~<0-9. \t\n\r\u{85}\u{feff}]{0,60}") {
        for document in documents(&text) {
            match document {
                Ok(it) => {
                    let json = it.json(it.root());
                    serde_json::from_str::<Value>(&json).expect("it is JSON");
                }
                Err(it) => assert!(it.span.start <= it.span.end && it.span.end <= text.len()),
            }
        }
    }
}
