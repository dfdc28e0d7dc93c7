//! Writes a call with its arguments.

use std::{fs::File, os::unix::fs::FileExt};

use confine::Waiting;

use crate::profile::{self, Architecture, Kind, signature};

/// The most bytes of a text that are shown.
const MOST: usize = 100;

/// The call as in C, such as `mkdir("/tmp/a", 511)`.
///
/// Texts are read from the memory of the process, where the kernel lets this process; another thread
/// may change them meanwhile.
pub(super) fn written(waiting: &Waiting<'_>, architecture: Architecture, number: u32) -> String {
    let Some(name) = architecture.call(number) else {
        return format!("system call {number}");
    };
    let Some(kinds) = signature(name) else {
        return format!("{name}(…)");
    };
    let values = kinds.iter().zip(waiting.call.arguments).map(|(kind, value)| match kind {
        Kind::Text | Kind::Address if value == 0 => "NULL".to_owned(),
        Kind::Text => text(waiting, value).unwrap_or_else(|| "address".to_owned()),
        Kind::Address => "address".to_owned(),
        Kind::Signed => signed(value).to_string(),
        Kind::Unsigned => profile::number(value),
    });
    format!("{name}({})", values.collect::<Vec<_>>().join(", "))
}

/// The lower half, as the kernel reads it.
fn signed(value: u64) -> i32 {
    let [a, b, c, d, ..] = value.to_le_bytes();
    i32::from_le_bytes([a, b, c, d])
}

fn text(waiting: &Waiting<'_>, address: u64) -> Option<String> {
    let memory = File::open(format!("/proc/{}/mem", waiting.call.process)).ok()?;
    let mut bytes = [0; MOST + 1];
    let mut length = 0;
    // The page behind it may be missing.
    while length < bytes.len() {
        let at = address.checked_add(u64::try_from(length).ok()?)?;
        let to_end_of_page = 4096 - usize::try_from(at % 4096).ok()?;
        let end = bytes.len().min(length + to_end_of_page);
        match memory.read_at(&mut bytes[length..end], at) {
            Ok(read) if read > 0 => length += read,
            _ => break,
        }
        if bytes[..length].contains(&0) {
            break;
        }
    }
    if length == 0 || !waiting.is_waiting() {
        return None;
    }
    let text = bytes[..length].split(|it| *it == 0).next().unwrap_or_default();
    let shown = String::from_utf8_lossy(&text[..text.len().min(MOST)]).into_owned();
    Some(format!("{shown:?}{}", if text.len() > MOST { "…" } else { "" }))
}
