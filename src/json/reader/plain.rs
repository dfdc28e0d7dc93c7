//! Where the plain part of a string ends.

use wide::u8x16;

/// The offset of the first byte from `at` on that is a quote, a backslash or a control character,
/// of which a string contains none but as its end or in an escape (RFC 8259, section 7).
#[inline]
pub(super) fn end_of_plain(bytes: &[u8], at: usize) -> Option<usize> {
    first(bytes, at, special)
}

/// The offset of the first byte from `at` on that is neither plain nor part of an escaped quote; it
/// may be an escaped quote all the same. `at` is in a string, but not behind a backslash.
///
/// Strings with many escapes have almost only those: JSON in JSON, such as the keys of
/// `managedFields`.
#[inline]
pub(super) fn end_of_escaped_quotes(bytes: &[u8], at: usize) -> Option<usize> {
    first(bytes, at, |chunk| {
        let (quotes, backslashes) = (quotes(chunk), backslashes(chunk).to_bitmask());
        let escaped = quotes.to_bitmask() & backslashes << 1;
        // A backslash that no quote follows, or that is the last byte.
        let other = backslashes & !(escaped >> 1);
        (quotes | controls(chunk)).to_bitmask() & !escaped | other
    })
}

/// The offset of the first byte that has a bit in its chunk, the first byte lowest; of the last bytes,
/// which are no whole chunk, the first that is special.
#[inline]
fn first(bytes: &[u8], mut at: usize, bits: impl Fn(u8x16) -> u32) -> Option<usize> {
    while let Some(chunk) = bytes.get(at..)?.first_chunk() {
        let found = bits(u8x16::new(*chunk));
        if found != 0 {
            return Some(at + found.trailing_zeros() as usize);
        }
        at += chunk.len();
    }
    let end = bytes[at..].iter().position(|it| is_special(*it))?;
    Some(at + end)
}

fn is_special(byte: u8) -> bool {
    byte == b'"' || byte == b'\\' || byte < b' '
}

/// A bit for each byte that is special.
#[inline]
fn special(chunk: u8x16) -> u32 {
    (quotes(chunk) | backslashes(chunk) | controls(chunk)).to_bitmask()
}

#[inline]
fn quotes(chunk: u8x16) -> u8x16 {
    chunk.simd_eq(u8x16::splat(b'"'))
}

#[inline]
fn backslashes(chunk: u8x16) -> u8x16 {
    chunk.simd_eq(u8x16::splat(b'\\'))
}

#[inline]
fn controls(chunk: u8x16) -> u8x16 {
    chunk.min(u8x16::splat(b' ' - 1)).simd_eq(chunk)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_byte_is_classified_at_every_offset() {
        for byte in 0..=u8::MAX {
            for at in 0..16 {
                let mut chunk = *b"sixteen letters.";
                chunk[at] = byte;
                let expected = if matches!(byte, b'"' | b'\\' | 0..=0x1f) { 1 << at } else { 0 };
                assert_eq!(special(u8x16::new(chunk)), expected, "{byte} at {at}");
            }
        }
    }

    proptest! {
        #[test]
        fn the_first_special_byte_ends_the_plain_part(
            bytes in prop::collection::vec(prop_oneof![9 => Just(b'a'), 1 => any::<u8>()], 0..80),
            at in 0_usize..90,
        ) {
            let rest = bytes.get(at..).unwrap_or_default();
            let expected = rest.iter().position(|it| is_special(*it)).map(|it| at + it);
            prop_assert_eq!(end_of_plain(&bytes, at), expected);
        }

        #[test]
        fn escaped_quotes_are_passed_and_nothing_else(
            parts in prop::collection::vec(
                prop_oneof![
                    6 => Just("\\\""), 6 => Just("abc"), 1 => Just("\\"), 1 => Just("\""), 1 => Just("\n"),
                ],
                0..40,
            ),
        ) {
            let bytes = parts.concat().into_bytes();
            let mut expected = 0;
            while bytes[expected..].starts_with(b"\\\"") || bytes.get(expected) == Some(&b'a') {
                expected += if bytes[expected] == b'a' { 3 } else { 2 };
            }
            let mut found = end_of_escaped_quotes(&bytes, 0);
            while let Some(it) = found.filter(|it| bytes[*it..].starts_with(b"\\\"")) {
                found = end_of_escaped_quotes(&bytes, it + 2);
            }
            prop_assert_eq!(found, (expected < bytes.len()).then_some(expected));
        }
    }
}
