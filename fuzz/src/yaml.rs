//! Any text is documents or mistakes, whose spans are in it; a document is JSON, and what is JSON is
//! the same value as other parsers make of it.
#![no_main]

use callgate::yaml::documents;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fuzz_target!(|text: &str| {
    let mut read = Vec::new();
    for document in documents(text) {
        match document {
            Ok(it) => {
                assert!(text.get(it.range.clone()).is_some(), "{:?}", it.range);
                assert!(text.get(it.span(it.root())).is_some(), "{:?}", it.span(it.root()));
                for comment in &it.comments {
                    assert!(text.get(comment.span.clone()).is_some(), "{:?}", comment.span);
                }
                let json = it.json(it.root());
                let value: Value =
                    serde_json::from_str(&json).unwrap_or_else(|error| panic!("{error}: {json}"));
                read.push(value);
            }
            Err(mistake) => {
                let span = mistake.span;
                assert!(text.get(span.clone()).is_some(), "{span:?}: {}", mistake.message);
            }
        }
    }
    // Numbers are those of YAML, and a key that is there twice is a mistake.
    let is_plain = |it: &Value| it.as_object().is_some_and(|it| it.values().all(Value::is_string));
    if let (Ok(value), [only]) = (serde_json::from_str::<Value>(text), read.as_slice()) {
        assert!(!is_plain(&value) || value == *only, "{value} is read as {only}");
    }
});
