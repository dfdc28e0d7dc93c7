//! JSON as Go's `encoding/json` sees it: keys in their order, repeated ones kept.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{self, MapAccess, SeqAccess, Visitor},
};

use crate::profile::Broken;

/// A JSON document. The one difference to `serde_json::Value` matters: a key
/// that is written twice stands here twice, as the runtime reads both (L4).
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Json {
    Null,
    Bool,
    /// A whole number that fits; everything else is [`Json::Number`].
    Unsigned(u64),
    Number,
    String(String),
    Array(Vec<Self>),
    Object(Vec<(String, Self)>),
}

impl Json {
    /// Parses a whole file: a byte order mark or trailing text is an error, as
    /// it is for the runtimes.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, Broken> {
        // Go replaces what is not UTF-8 and goes on.
        let text = String::from_utf8_lossy(bytes);
        serde_json::from_str(&text).map_err(|error| Broken::NotJson(error.to_string()))
    }

    pub(super) fn type_name(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool => "a boolean",
            Self::Unsigned(_) | Self::Number => "a number",
            Self::String(_) => "a string",
            Self::Array(_) => "a list",
            Self::Object(_) => "an object",
        }
    }
}

/// Whether Go decodes `key` into the field `name`: it falls back to comparing
/// without case, and two letters outside ASCII fold into it.
pub(super) fn same_key(key: &str, name: &str) -> bool {
    let fold = |it: char| match it {
        'ſ' => 'S',
        '\u{212A}' => 'K', // the Kelvin sign
        it => it.to_ascii_uppercase(),
    };
    key.chars().map(fold).eq(name.chars().map(fold))
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct JsonVisitor;

        impl<'de> Visitor<'de> for JsonVisitor {
            type Value = Json;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("JSON")
            }

            fn visit_unit<E>(self) -> Result<Json, E> {
                Ok(Json::Null)
            }

            fn visit_bool<E>(self, _: bool) -> Result<Json, E> {
                Ok(Json::Bool)
            }

            fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
                Ok(Json::Unsigned(value))
            }

            fn visit_i64<E>(self, _: i64) -> Result<Json, E> {
                Ok(Json::Number)
            }

            fn visit_f64<E>(self, _: f64) -> Result<Json, E> {
                Ok(Json::Number)
            }

            fn visit_str<E: de::Error>(self, value: &str) -> Result<Json, E> {
                Ok(Json::String(value.to_owned()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Json, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = seq.next_element()? {
                    items.push(item);
                }
                Ok(Json::Array(items))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Json::Object(entries))
            }
        }

        deserializer.deserialize_any(JsonVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_match_as_in_go() {
        assert!(same_key("DEFAULTACTION", "defaultAction"));
        assert!(same_key("\u{17f}yscalls", "syscalls"));
        assert!(!same_key("defaultActions", "defaultAction"));
        assert!(!same_key("défaultAction", "defaultAction"));
    }

    #[test]
    fn what_follows_or_precedes_the_document_is_an_error() {
        assert!(Json::parse(b"{} {}").is_err());
        assert!(Json::parse(b"\xef\xbb\xbf{}").is_err());
        assert!(Json::parse(b"").is_err());
    }
}
