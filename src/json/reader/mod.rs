//! Reads JSON as `serde_json` does, and skips unread fields faster; or refuses the text.
//!
//! Most of a review is skipped: `serde_json` spends four fifths of all instructions of `/validate`
//! on that (docs/performance.md).
//! Whatever is unusual is refused, and the caller reads it with `serde_json`, whose errors say
//! where: so a text has one meaning, whichever of the two reads it.

mod plain;
mod skip;

use std::{fmt, str};

use serde::{
    Deserialize,
    de::{self, DeserializeSeed, Visitor},
    forward_to_deserialize_any,
};

/// Reads a value out of a whole text; `None` if the text is no JSON, is nested too deeply, or is
/// not what `T` expects.
///
/// What it returns is what `serde_json::from_slice` returns.
pub(crate) fn read<'a, T: Deserialize<'a>>(text: &'a [u8]) -> Option<T> {
    let mut reader = Reader { text: str::from_utf8(text).ok()?, at: 0 };
    let value = T::deserialize(&mut reader).ok()?;
    (skip::whitespace(text, reader.at) == text.len()).then_some(value)
}

struct Reader<'a> {
    text: &'a str,
    /// The offset of the next byte.
    at: usize,
}

/// The text is refused. It does not say why: `serde_json` does.
#[derive(Debug)]
struct Refused;

type Result<T, E = Refused> = std::result::Result<T, E>;

impl<'a> Reader<'a> {
    fn bytes(&self) -> &'a [u8] {
        self.text.as_bytes()
    }

    /// The first byte of the next token, which stays the next byte.
    fn peek(&mut self) -> Result<u8> {
        let (token, at) = skip::token(self.bytes(), self.at).ok_or(Refused)?;
        self.at = at;
        Ok(token)
    }

    fn expect(&mut self, token: u8) -> Result<()> {
        if self.peek()? != token {
            return Err(Refused);
        }
        self.at += 1;
        Ok(())
    }

    fn literal(&mut self, literal: &str) -> Result<()> {
        self.at = skip::literal(self.bytes(), self.at, literal).ok_or(Refused)?;
        Ok(())
    }

    fn boolean(&mut self) -> Result<bool> {
        match self.peek()? {
            b't' => self.literal("true").map(|()| true),
            b'f' => self.literal("false").map(|()| false),
            _ => Err(Refused),
        }
    }

    /// Reads the next token, which must be a string.
    fn string<V: Visitor<'a>>(&mut self, visitor: V) -> Result<V::Value> {
        if self.peek()? != b'"' {
            return Err(Refused);
        }
        let start = self.at;
        let (end, has_escape) = skip::string(self.bytes(), start).ok_or(Refused)?;
        self.at = end;
        if has_escape {
            let quoted = self.text.get(start..end).ok_or(Refused)?;
            return visitor.visit_string(serde_json::from_str(quoted).map_err(|_| Refused)?);
        }
        visitor.visit_borrowed_str(self.text.get(start + 1..end - 1).ok_or(Refused)?)
    }
}

/// The entries of an object, or the elements of a list.
struct Entries<'r, 'a> {
    reader: &'r mut Reader<'a>,
    end: u8,
    is_first: bool,
}

impl<'r, 'a> Entries<'r, 'a> {
    fn of(reader: &'r mut Reader<'a>, start: u8, end: u8) -> Result<Self> {
        reader.expect(start)?;
        Ok(Self { reader, end, is_first: true })
    }

    /// Whether there is another entry, which is next then.
    fn advance(&mut self) -> Result<bool> {
        let next = self.reader.peek()?;
        if next == self.end {
            return Ok(false);
        }
        if !self.is_first {
            self.reader.expect(b',')?;
        }
        self.is_first = false;
        Ok(true)
    }
}

impl<'a> de::MapAccess<'a> for Entries<'_, 'a> {
    type Error = Refused;

    fn next_key_seed<K: DeserializeSeed<'a>>(&mut self, seed: K) -> Result<Option<K::Value>> {
        if !self.advance()? {
            return Ok(None);
        }
        if self.reader.peek()? != b'"' {
            return Err(Refused);
        }
        seed.deserialize(&mut *self.reader).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'a>>(&mut self, seed: V) -> Result<V::Value> {
        self.reader.expect(b':')?;
        seed.deserialize(&mut *self.reader)
    }
}

impl<'a> de::SeqAccess<'a> for Entries<'_, 'a> {
    type Error = Refused;

    fn next_element_seed<T: DeserializeSeed<'a>>(&mut self, seed: T) -> Result<Option<T::Value>> {
        if !self.advance()? {
            return Ok(None);
        }
        seed.deserialize(&mut *self.reader).map(Some)
    }
}

/// What our types ask for. Numbers are skipped but not read.
impl<'de> de::Deserializer<'de> for &mut Reader<'de> {
    type Error = Refused;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value> {
        Err(Refused)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        if self.peek()? == b'n' {
            self.literal("null")?;
            return visitor.visit_none();
        }
        visitor.visit_some(self)
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        visitor.visit_bool(self.boolean()?)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.string(visitor)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.string(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        let value = visitor.visit_map(Entries::of(self, b'{', b'}')?)?;
        self.expect(b'}')?;
        Ok(value)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        let value = visitor.visit_seq(Entries::of(self, b'[', b']')?)?;
        self.expect(b']')?;
        Ok(value)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.at = skip::value(self.bytes(), self.at).ok_or(Refused)?;
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char bytes byte_buf unit unit_struct
        newtype_struct tuple tuple_struct struct enum identifier
    }
}

impl de::Error for Refused {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self
    }
}

impl std::error::Error for Refused {}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the text is read by serde_json")
    }
}

#[cfg(test)]
mod tests;
