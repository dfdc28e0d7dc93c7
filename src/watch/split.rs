//! Splits the answers of an API server into objects as they arrive. However large a list is, only
//! one of its objects is in memory at a time, and of an object at most [`LARGEST`] bytes.

/// How many bytes of one object are kept. API servers store smaller objects; a larger one is cut,
/// and so cannot be read.
const LARGEST: usize = 8 << 20;

/// The position in a JSON text, as far as it is needed to find the end of a value.
#[derive(Debug, Default)]
struct Scan {
    depth: usize,
    in_string: bool,
    is_escaped: bool,
}

/// Splits a list into its items.
#[derive(Debug, Default)]
pub(super) struct Items {
    scan: Scan,
    /// The list without its items.
    rest: Vec<u8>,
    /// The last string at the level of the list's own fields: the key of the value that follows.
    key: Vec<u8>,
    is_inside: bool,
    item: Vec<u8>,
}

/// Splits a watch into its lines.
#[derive(Debug, Default)]
pub(super) struct Lines {
    line: Vec<u8>,
}

impl Scan {
    /// Consumes a byte; returns whether it belongs to a string.
    fn step(&mut self, byte: u8) -> bool {
        if self.in_string {
            match byte {
                _ if self.is_escaped => self.is_escaped = false,
                b'\\' => self.is_escaped = true,
                b'"' => self.in_string = false,
                _ => {}
            }
            return true;
        }
        match byte {
            b'"' => self.in_string = true,
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
        byte == b'"'
    }
}

/// The depth of a list's fields; their values, items among them, are deeper.
const FIELDS: usize = 1;
const VALUES: usize = 2;

impl Items {
    /// Consumes the next bytes, and passes on every item that ends in them.
    pub(super) fn push(&mut self, bytes: &[u8], mut each: impl FnMut(String)) {
        for &byte in bytes {
            let before = self.scan.depth;
            let is_new_text = byte == b'"' && !self.scan.in_string;
            let is_text = self.scan.step(byte);
            if self.is_inside {
                if self.scan.depth < VALUES {
                    self.is_inside = false;
                    self.rest.push(byte);
                } else if before > VALUES || self.scan.depth > VALUES {
                    if self.item.len() < LARGEST {
                        self.item.push(byte);
                    }
                    if self.scan.depth == VALUES {
                        each(text(std::mem::take(&mut self.item)));
                    }
                }
                continue;
            }
            self.rest.push(byte);
            if before == FIELDS && is_text {
                if is_new_text {
                    self.key.clear();
                } else if byte != b'"' {
                    self.key.push(byte);
                }
            }
            let opens = byte == b'[' && !is_text && before == FIELDS;
            self.is_inside = opens && self.key == b"items";
        }
    }

    /// The list without its items, after the last bytes.
    pub(super) fn rest(self) -> String {
        text(self.rest)
    }
}

impl Lines {
    /// Consumes the next bytes, and passes on every line that ends in them.
    pub(super) fn push(&mut self, bytes: &[u8], mut each: impl FnMut(String)) {
        let mut parts = bytes.split(|it| *it == b'\n');
        let first = parts.next().unwrap_or_default();
        let room = LARGEST.saturating_sub(self.line.len());
        self.line.extend(&first[..first.len().min(room)]);
        for part in parts {
            let line = std::mem::replace(&mut self.line, part.to_vec());
            if !line.is_empty() {
                each(text(line));
            }
        }
    }
}

/// Bytes that are not UTF-8 are not in a field that callgate reads, and must not affect the others.
fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes)
        .unwrap_or_else(|it| String::from_utf8_lossy(it.as_bytes()).into_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn split(text: &str, chunk: usize) -> (Vec<String>, String) {
        let (mut items, mut all) = (Items::default(), Vec::new());
        for bytes in text.as_bytes().chunks(chunk) {
            items.push(bytes, |it| all.push(it));
        }
        (all, items.rest())
    }

    fn value() -> impl Strategy<Value = Value> {
        let text = prop_oneof!["[a-z\\[\\]{}\",: \\\\]{0,8}", Just("items".to_owned())];
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<i32>().prop_map(Value::from),
            text.clone().prop_map(Value::from)
        ];
        leaf.prop_recursive(4, 24, 4, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::hash_map(text.clone(), inner, 0..4)
                    .prop_map(|it| it.into_iter().collect::<Value>()),
            ]
        })
    }

    proptest! {
        #[test]
        fn the_items_of_a_list_are_what_a_parser_finds_in_it(
            items in prop::collection::vec(prop::collection::hash_map("[a-z\"]{0,5}", value(), 0..4), 0..5),
            before in value(),
            after in value(),
            chunk in 1_usize..40,
            is_pretty: bool,
        ) {
            let items: Vec<Value> = items.into_iter().map(|it| it.into_iter().collect()).collect();
            let list = json!({ "metadata": before, "items": items, "tail": after });
            let text = if is_pretty { serde_json::to_string_pretty(&list) } else { serde_json::to_string(&list) };
            let (found, rest) = split(&text.unwrap(), chunk);
            let found: Vec<Value> = found.iter().map(|it| serde_json::from_str(it).unwrap()).collect();
            prop_assert_eq!(found, items);
            let rest: Value = serde_json::from_str(&rest).unwrap();
            prop_assert_eq!(rest, json!({ "metadata": list["metadata"], "items": [], "tail": list["tail"] }));
        }
    }

    #[test]
    fn a_list_without_items_has_none() {
        for list in [r#"{"items":null,"metadata":{}}"#, r#"{"metadata":{"items":[{}]}}"#, "{}"] {
            assert_eq!(split(list, 3), (vec![], list.to_owned()));
        }
    }

    #[test]
    fn lines_end_where_they_end_and_not_where_a_chunk_does() {
        let (mut lines, mut all) = (Lines::default(), Vec::new());
        for chunk in ["{\"a\"", ":1}\n{\"b\":2}\n\n", "{\"c\":", "3}"] {
            lines.push(chunk.as_bytes(), |it| all.push(it));
        }
        assert_eq!(all, ["{\"a\":1}", "{\"b\":2}"], "one that was cut off is none");
    }

    #[test]
    fn an_object_that_is_too_large_is_cut_off_and_the_next_one_is_whole() {
        let large = format!("{{\"a\":\"{}\"}}", "x".repeat(LARGEST));
        let (items, _) = split(&format!("{{\"items\":[{large},{{\"b\":2}}]}}"), 1 << 20);
        let (mut lines, mut all) = (Lines::default(), Vec::new());
        for chunk in format!("{large}\n{{\"b\":2}}\n").as_bytes().chunks(1 << 20) {
            lines.push(chunk, |it| all.push(it));
        }
        for found in [items, all] {
            let lengths: Vec<_> = found.iter().map(String::len).collect();
            assert_eq!(lengths, [LARGEST, 7]);
        }
    }
}
