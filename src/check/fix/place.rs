//! Where the operations of a patch are written in a document, in its own style.

use serde_json::Value;

use super::{edit::Edit, is_first, is_within, line_end, line_start, own};
use crate::yaml::{Document, Entry, NodeId, Type};

/// A field that is added to a map; `None` where the style does not allow it.
pub(super) fn added(
    document: &Document<'_>,
    pod: NodeId,
    path: &str,
    value: &Value,
    text: &str,
) -> Option<Edit> {
    let (parent, key) = path.rsplit_once('/')?;
    let steps: Vec<_> = parent.split('/').skip(1).collect();
    let map = own(document, pod, &steps)?;
    if document.type_of(map) != Type::Map {
        return None;
    }
    let entries = document.entries(map);
    let span = document.span(map);
    let is_flow = text[span.start..].starts_with('{');
    if let Some(null) = entries.iter().find(|it| it.key == key) {
        // The field is there, without a value.
        let at = document.span(null.value);
        let text = flow(value, is_json(text, &span));
        return Some(if at.is_empty() {
            let colon = document.span(null.key_node).end + 1;
            Edit::insert(colon, format!(" {text}"))
        } else {
            Edit { span: at, text }
        });
    }
    // What is merged is written elsewhere.
    let is_here = |it: &Entry<'_>| is_within(&document.span(it.key_node), &span);
    let entries: Vec<_> = entries.into_iter().filter(is_here).collect();
    let Some(first) = entries.first() else {
        let field = format!("{}: {}", quoted(key, text, &span), flow(value, is_json(text, &span)));
        return is_flow.then(|| Edit::insert(span.start + 1, field));
    };
    let first = document.span(first.key_node).start;
    if is_flow {
        let json = is_json(text, &span);
        let field = format!("{}: {}", quoted(key, text, &span), flow(value, json));
        let space = if is_first(text, first) {
            format!(",{}{}", newline(text), &text[line_start(text, first)..first])
        } else {
            ", ".to_owned()
        };
        return Some(Edit::insert(first, field + &space));
    }
    Some(in_block(document, &entries, first, (key, value), text))
}

/// A field of a map in block style: behind a field of one line, so that comments stay with what
/// they are about; else before all others and their comments.
fn in_block(
    document: &Document<'_>,
    entries: &[Entry<'_>],
    first: usize,
    (key, value): (&str, &Value),
    text: &str,
) -> Edit {
    let newline = newline(text);
    let begin = line_start(text, first);
    let column = text[begin..first].chars().count();
    let indent = " ".repeat(column);
    let lines = block(key, value, &indent, newline);
    let is_short = |it: &&Entry<'_>| {
        let (key, value) = (document.span(it.key_node), document.span(it.value));
        let end = line_end(text, key.start);
        let is_scalar = !matches!(document.type_of(it.value), Type::List | Type::Map);
        let behind = text[value.end.clamp(key.end, end)..end].trim();
        is_scalar
            && value.end <= end
            && (behind.is_empty() || behind.starts_with('#') || behind == ":")
            && !text[value.start.min(end)..].starts_with(['|', '>'])
            && text[..end].ends_with('\n')
    };
    if let Some(it) = entries.iter().find(is_short) {
        return Edit::insert(line_end(text, document.span(it.key_node).start), lines);
    }
    if is_first(text, first) {
        let mut at = begin;
        while at > 0 {
            let above = line_start(text, at - 1);
            if !text[above..at].trim_start().starts_with('#') {
                break;
            }
            at = above;
        }
        return Edit::insert(at, lines);
    }
    Edit::insert(first, format!("{}{indent}", lines.trim_start()))
}

/// A field of a map that is removed.
pub(super) fn removed(
    document: &Document<'_>,
    pod: NodeId,
    path: &str,
    text: &str,
) -> Option<Edit> {
    let (parent, key) = path.rsplit_once('/')?;
    let key = key.replace("~1", "/").replace("~0", "~");
    let steps: Vec<_> = parent.split('/').skip(1).collect();
    let map = own(document, pod, &steps)?;
    let entries = document.entries(map);
    let at = entries.iter().position(|it| it.key == key)?;
    let span = |it: &Entry<'_>| document.span(it.key_node).start..document.span(it.value).end;
    let (own, outer) = (span(&entries[at]), document.span(map));
    if !is_within(&own, &outer) || entries[at].replaced.is_some() {
        return None;
    }
    let is_flow = text[outer.start..].starts_with('{');
    if entries.len() == 1 {
        let text = if is_flow { String::new() } else { "{}".to_owned() };
        return Some(Edit { span: own, text });
    }
    if is_flow {
        let span = match entries.get(at + 1) {
            Some(next) => own.start..span(next).start,
            None => span(&entries[at - 1]).end..own.end,
        };
        return Some(Edit { span, text: String::new() });
    }
    let begin = line_start(text, own.start);
    let end = line_end(text, own.start);
    (is_first(text, own.start) && own.end <= end)
        .then(|| Edit { span: begin..end, text: String::new() })
}

/// Lines in block style.
fn block(key: &str, value: &Value, indent: &str, newline: &str) -> String {
    match value {
        Value::Object(fields) if fields.values().all(|it| !it.is_array()) => {
            let inner = format!("{indent}  ");
            let fields: String =
                fields.iter().map(|(key, it)| block(key, it, &inner, newline)).collect();
            format!("{indent}{key}:{newline}{fields}")
        }
        _ => format!("{indent}{key}: {}{newline}", flow(value, false)),
    }
}

/// A value on one line.
fn flow(value: &Value, json: bool) -> String {
    match value {
        Value::Object(fields) if !json => {
            let is_word = |it: &str| it.bytes().all(|it| it.is_ascii_alphanumeric());
            let quoted =
                |it: &str| if is_word(it) { it.to_owned() } else { Value::from(it).to_string() };
            let fields =
                fields.iter().map(|(key, it)| format!("{}: {}", quoted(key), flow(it, json)));
            format!("{{ {} }}", fields.collect::<Vec<_>>().join(", "))
        }
        Value::Object(fields) => {
            let fields = fields
                .iter()
                .map(|(key, it)| format!("{}: {}", Value::from(key.as_str()), flow(it, json)));
            format!("{{{}}}", fields.collect::<Vec<_>>().join(", "))
        }
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(|it| flow(it, json)).collect();
            format!("[{}]", items.join(", "))
        }
        // What begins like a word and has nothing that YAML gives a meaning.
        Value::String(it) if !json && is_plain(it) => it.clone(),
        it => it.to_string(),
    }
}

fn is_plain(text: &str) -> bool {
    let begins = text.starts_with(|it: char| it.is_ascii_alphabetic());
    let is_harmless = |it: char| it.is_ascii_alphanumeric() || matches!(it, '-' | '_' | '.' | '/');
    let is_other = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"]
        .iter()
        .any(|it| it.eq_ignore_ascii_case(text));
    begins && text.chars().all(is_harmless) && !is_other
}

fn quoted(key: &str, text: &str, map: &std::ops::Range<usize>) -> String {
    if is_json(text, map) { format!("{key:?}") } else { key.to_owned() }
}

/// Whether a map is written as JSON writes it.
fn is_json(text: &str, map: &std::ops::Range<usize>) -> bool {
    let inside = text[map.start..].strip_prefix('{').map_or("", str::trim_start);
    inside.starts_with('"') || inside.starts_with('}') && text.trim_start().starts_with('{')
}

fn newline(text: &str) -> &'static str {
    let first = text.find('\n').unwrap_or_default();
    if text[..first].ends_with('\r') { "\r\n" } else { "\n" }
}
