//! Texts and lists of texts as CEL writes them.

use std::fmt::Write;

/// A string literal.
pub(super) fn literal(text: &str) -> String {
    let mut literal = String::from("'");
    for it in text.chars() {
        match it {
            '\'' | '\\' => literal.extend(['\\', it]),
            it if it.is_control() || it == '\u{2028}' || it == '\u{2029}' => {
                write!(literal, "\\U{:08x}", u32::from(it)).expect("a String takes everything");
            }
            it => literal.push(it),
        }
    }
    literal.push('\'');
    literal
}

/// A list of string literals.
pub(super) fn list<'a>(texts: impl IntoIterator<Item = &'a String>) -> String {
    let texts: Vec<_> = texts.into_iter().map(|it| literal(it)).collect();
    format!("[{}]", texts.join(", "))
}
