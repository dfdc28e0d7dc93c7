//! What a scalar is, by the rules of go-yaml 2 (resolve.go).

use std::borrow::Cow;

use super::Type;

/// A scalar with what it means.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Scalar<'a> {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    /// A number that JSON cannot write is among these.
    Float(f64),
    Text(Cow<'a, str>),
    /// A plain `<<`.
    Merge,
}

/// The tags that are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tag {
    Null,
    Bool,
    Int,
    Float,
    Text,
}

impl<'a> Scalar<'a> {
    /// The value of a plain scalar without a tag.
    pub(super) fn plain(text: Cow<'a, str>) -> Self {
        let first = text.bytes().next().unwrap_or(b'~');
        match first {
            b'y' | b'Y' | b'n' | b'N' | b't' | b'T' | b'f' | b'F' | b'o' | b'O' | b'~' | b'<' => {
                word(&text).unwrap_or(Self::Text(text))
            }
            b'.' => {
                let known = word(&text).or_else(|| fraction(&text).map(Self::Float));
                known.unwrap_or(Self::Text(text))
            }
            b'+' | b'-' | b'0'..=b'9' => {
                let known = word(&text).or_else(|| number(&text));
                known.unwrap_or(Self::Text(text))
            }
            _ => Self::Text(text),
        }
    }

    /// The value of a scalar with a tag; `None` if it is not of that type.
    pub(super) fn tagged(text: Cow<'a, str>, tag: Tag) -> Option<Self> {
        if tag == Tag::Text {
            return Some(Self::Text(text));
        }
        match (tag, Self::plain(text)) {
            (Tag::Null, it @ Self::Null)
            | (Tag::Bool, it @ Self::Bool(_))
            | (Tag::Int, it @ (Self::Int(_) | Self::Uint(_)))
            | (Tag::Float, it @ Self::Float(_)) => Some(it),
            #[expect(clippy::cast_precision_loss, reason = "as go-yaml does")]
            (Tag::Float, Self::Int(it)) => Some(Self::Float(it as f64)),
            _ => None,
        }
    }

    pub(super) fn type_of(&self) -> Type {
        match self {
            Self::Null => Type::Null,
            Self::Bool(_) => Type::Bool,
            Self::Int(_) | Self::Uint(_) | Self::Float(_) => Type::Number,
            Self::Text(_) | Self::Merge => Type::Text,
        }
    }

    pub(super) fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Merge => Some("<<"),
            Self::Null | Self::Bool(_) | Self::Int(_) | Self::Uint(_) | Self::Float(_) => None,
        }
    }

    /// The scalar as a key of a map, which JSON has as text; `None` if it cannot be one.
    pub(super) fn key(&self) -> Option<Cow<'_, str>> {
        Some(match self {
            Self::Text(text) => Cow::Borrowed(text),
            Self::Merge => Cow::Borrowed("<<"),
            Self::Bool(it) => Cow::Borrowed(if *it { "true" } else { "false" }),
            Self::Int(it) => Cow::Owned(it.to_string()),
            Self::Float(it) => Cow::Owned(float_key(*it)),
            Self::Null | Self::Uint(_) => return None,
        })
    }
}

fn word<'a>(text: &str) -> Option<Scalar<'a>> {
    Some(match text {
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            Scalar::Bool(true)
        }
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            Scalar::Bool(false)
        }
        "" | "~" | "null" | "Null" | "NULL" => Scalar::Null,
        ".nan" | ".NaN" | ".NAN" => Scalar::Float(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => Scalar::Float(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => Scalar::Float(f64::NEG_INFINITY),
        "<<" => Scalar::Merge,
        _ => return None,
    })
}

/// A number that begins with a dot; between two of its digits there may be an underscore.
fn fraction(text: &str) -> Option<f64> {
    let is_between = |at: usize| {
        let digit = |at: usize| text.as_bytes().get(at).is_some_and(u8::is_ascii_digit);
        digit(at.wrapping_sub(1)) && digit(at + 1)
    };
    let mut underscores = text.bytes().enumerate().filter(|(_, it)| *it == b'_');
    underscores.all(|(at, _)| is_between(at)).then(|| float(&text.replace('_', "")))?
}

fn number<'a>(text: &str) -> Option<Scalar<'a>> {
    let text = if text.contains('_') { Cow::Owned(text.replace('_', "")) } else { text.into() };
    let signed = int(&text).map(Scalar::Int);
    let known = signed.or_else(|| uint(&text).map(Scalar::Uint));
    known.or_else(|| float(&text).map(Scalar::Float)).or_else(|| {
        if let Some(digits) = text.strip_prefix("0b") {
            return i64::from_str_radix(digits, 2).ok().map(Scalar::Int);
        }
        let digits = text.strip_prefix("-0b").filter(|it| !it.starts_with(['+', '-']))?;
        i64::from_str_radix(&format!("-{digits}"), 2).ok().map(Scalar::Int)
    })
}

fn int(text: &str) -> Option<i64> {
    let (sign, digits) = match text.as_bytes().first()? {
        b'-' => ("-", &text[1..]),
        b'+' => ("", &text[1..]),
        _ => ("", text),
    };
    let (digits, base) = based(digits)?;
    i64::from_str_radix(&format!("{sign}{digits}"), base).ok()
}

fn uint(text: &str) -> Option<u64> {
    let (digits, base) = based(text)?;
    u64::from_str_radix(digits, base).ok()
}

/// Digits without the prefix that says their base.
fn based(digits: &str) -> Option<(&str, u32)> {
    let (rest, base) = match digits.as_bytes() {
        [b'0', b'b' | b'B', _, ..] => (&digits[2..], 2),
        [b'0', b'o' | b'O', _, ..] => (&digits[2..], 8),
        [b'0', b'x' | b'X', _, ..] => (&digits[2..], 16),
        [b'0', _, ..] => (&digits[1..], 8),
        _ => (digits, 10),
    };
    // Unlike Go, Rust takes a sign here.
    let is_digits = rest.bytes().next().is_some_and(|it| it.is_ascii_alphanumeric());
    is_digits.then_some((rest, base))
}

/// A decimal number: `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`.
fn float(text: &str) -> Option<f64> {
    let rest = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (mantissa, exponent) = match rest.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (rest, None),
    };
    let are_digits = |it: &str| it.bytes().all(|it| it.is_ascii_digit());
    let is_mantissa = match mantissa.split_once('.') {
        None => !mantissa.is_empty() && are_digits(mantissa),
        Some(("", fraction)) => !fraction.is_empty() && are_digits(fraction),
        Some((whole, fraction)) => are_digits(whole) && are_digits(fraction),
    };
    let is_exponent = exponent.is_none_or(|it| {
        let digits = it.strip_prefix(['-', '+']).unwrap_or(it);
        !digits.is_empty() && are_digits(digits)
    });
    let value: f64 = (is_mantissa && is_exponent).then(|| text.parse().ok())??;
    value.is_finite().then_some(value)
}

/// A number as the shortest text that gives it back in 32 bits, as Go's format `g` writes it.
fn float_key(value: f64) -> String {
    #[expect(clippy::cast_possible_truncation, reason = "as sigs.k8s.io/yaml does")]
    let value = value as f32;
    if value.is_nan() {
        return ".nan".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { ".inf" } else { "-.inf" }.to_owned();
    }
    let scientific = format!("{value:e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    // strconv.FormatFloat, for the shortest text.
    if !(-4..6).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{mantissa}e{sign}{:02}", exponent.abs());
    }
    format!("{value}")
}
