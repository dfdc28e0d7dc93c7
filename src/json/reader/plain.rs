//! Where the plain part of a string ends.

use wide::u8x16;

/// The offset of the first byte from `at` on that is a quote, a backslash or a control character,
/// of which a string contains none but as its end or in an escape (RFC 8259, section 7).
#[inline]
pub(super) fn end_of_plain(bytes: &[u8], mut at: usize) -> Option<usize> {
    while let Some(chunk) = bytes.get(at..)?.first_chunk() {
        let special = special(chunk);
        if special != 0 {
            return Some(at + special.trailing_zeros() as usize);
        }
        at += chunk.len();
    }
    let end = bytes[at..].iter().position(|it| is_special(*it))?;
    Some(at + end)
}

fn is_special(byte: u8) -> bool {
    byte == b'"' || byte == b'\\' || byte < b' '
}

/// A bit for each byte that is special, the first one lowest.
#[inline]
fn special(chunk: &[u8; 16]) -> u32 {
    let bytes = u8x16::new(*chunk);
    let quotes = bytes.simd_eq(u8x16::splat(b'"'));
    let backslashes = bytes.simd_eq(u8x16::splat(b'\\'));
    let controls = bytes.min(u8x16::splat(b' ' - 1)).simd_eq(bytes);
    (quotes | backslashes | controls).to_bitmask()
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
                assert_eq!(special(&chunk), expected, "{byte} at {at}");
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
    }
}
