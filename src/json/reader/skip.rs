//! Passes values without reading them: each function gets the offset at which something begins, and
//! returns the one behind it, or `None` if it is no JSON (RFC 8259).

use super::plain::{end_of_escaped_quotes, end_of_plain};

/// How deeply a value may be nested: a bit for each level.
pub(super) const MOST_LEVELS: u32 = u64::BITS;

/// Passes whitespace.
#[inline]
pub(super) fn whitespace(bytes: &[u8], mut at: usize) -> usize {
    while let Some(b' ' | b'\n' | b'\t' | b'\r') = bytes.get(at) {
        at += 1;
    }
    at
}

/// The next token, and its offset.
#[inline]
pub(super) fn token(bytes: &[u8], at: usize) -> Option<(u8, usize)> {
    match bytes.get(at) {
        Some(byte) if *byte > b' ' => Some((*byte, at)),
        _ => {
            let at = whitespace(bytes, at);
            Some((*bytes.get(at)?, at))
        }
    }
}

pub(super) fn literal(bytes: &[u8], at: usize, literal: &str) -> Option<usize> {
    bytes.get(at..)?.starts_with(literal.as_bytes()).then_some(at + literal.len())
}

/// Passes a string, of which the quote is at `at`; and whether there is an escape in it.
#[inline]
pub(super) fn string(bytes: &[u8], at: usize) -> Option<(usize, bool)> {
    let end = end_of_plain(bytes, at + 1)?;
    if bytes[end] == b'"' { Some((end + 1, false)) } else { rest_of_string(bytes, end) }
}

/// Passes the rest of a string, from its first byte that is not plain.
fn rest_of_string(bytes: &[u8], mut at: usize) -> Option<(usize, bool)> {
    loop {
        at = end_of_escaped_quotes(bytes, at)?;
        match bytes[at] {
            b'"' => return Some((at + 1, true)),
            b'\\' => at = escape(bytes, at)?,
            _ => return None,
        }
    }
}

fn escape(bytes: &[u8], at: usize) -> Option<usize> {
    match bytes.get(at + 1)? {
        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(at + 2),
        b'u' => {
            let digits = bytes.get(at + 2..at + 6)?;
            digits.iter().all(u8::is_ascii_hexdigit).then_some(at + 6)
        }
        _ => None,
    }
}

fn number(bytes: &[u8], mut at: usize) -> Option<usize> {
    if bytes.get(at) == Some(&b'-') {
        at += 1;
    }
    at = if bytes.get(at) == Some(&b'0') { at + 1 } else { digits(bytes, at)? };
    if bytes.get(at) == Some(&b'.') {
        at = digits(bytes, at + 1)?;
    }
    if let Some(b'e' | b'E') = bytes.get(at) {
        at += 1;
        if let Some(b'+' | b'-') = bytes.get(at) {
            at += 1;
        }
        at = digits(bytes, at)?;
    }
    Some(at)
}

/// Passes digits, of which there must be one.
fn digits(bytes: &[u8], at: usize) -> Option<usize> {
    let count = bytes.get(at..)?.iter().take_while(|it| it.is_ascii_digit()).count();
    (count > 0).then_some(at + count)
}

/// Passes a key and its colon; and before them, whole members as the API server writes most of them:
/// `"key":"value",` and `"key":{},` without whitespace and escapes.
///
/// The other functions would pass those too, more slowly.
fn key(bytes: &[u8], at: usize) -> Option<usize> {
    let (b'"', quote) = token(bytes, at)? else { return None };
    let mut at = quote + 1;
    loop {
        let end = end_of_plain(bytes, at)?;
        let Some([b'"', b':', next, after]) = bytes[end..].first_chunk() else {
            return colon(bytes, end);
        };
        let value = end + 2;
        let behind = match (next, after) {
            (b'"', _) => end_of_plain(bytes, value + 1)? + 1,
            (b'{', b'}') => value + 2,
            _ => return Some(value),
        };
        let Some([b'"' | b'}', b',', b'"']) = bytes[behind - 1..].first_chunk() else {
            return Some(value);
        };
        at = behind + 2;
    }
}

/// Passes the rest of a key, from its first byte that is not plain, and its colon.
fn colon(bytes: &[u8], at: usize) -> Option<usize> {
    let (b':', at) = token(bytes, rest_of_string(bytes, at)?.0)? else { return None };
    Some(at + 1)
}

/// Passes a value of any kind.
pub(super) fn value(bytes: &[u8], mut at: usize) -> Option<usize> {
    // Of each level around the next token, the innermost last: whether it is an object.
    let (mut objects, mut levels) = (0_u64, 0_u32);
    loop {
        let (first, start) = token(bytes, at)?;
        at = match first {
            b'"' => string(bytes, start)?.0,
            b'{' | b'[' => {
                let is_object = first == b'{';
                let (next, inner) = token(bytes, start + 1)?;
                if next != if is_object { b'}' } else { b']' } {
                    if levels == MOST_LEVELS {
                        return None;
                    }
                    objects = objects << 1 | u64::from(is_object);
                    levels += 1;
                    at = if is_object { key(bytes, inner)? } else { inner };
                    continue;
                }
                inner + 1
            }
            b'-' | b'0'..=b'9' => number(bytes, start)?,
            b't' => literal(bytes, start, "true")?,
            b'f' => literal(bytes, start, "false")?,
            b'n' => literal(bytes, start, "null")?,
            _ => return None,
        };
        loop {
            if levels == 0 {
                return Some(at);
            }
            let is_object = objects & 1 == 1;
            let (next, here) = token(bytes, at)?;
            at = here + 1;
            match (next, is_object) {
                (b',', true) => {
                    at = key(bytes, at)?;
                    break;
                }
                (b',', false) => break,
                (b'}', true) | (b']', false) => {
                    objects >>= 1;
                    levels -= 1;
                }
                _ => return None,
            }
        }
    }
}
