//! Parses exactly the JSON that Go's `encoding/json` accepts, with its errors.
//!
//! The runtimes decode profiles with that package, so a parser with other rules
//! would judge some files wrongly. The error texts are those that the events of
//! a pod show (`scanner.go`); `e2e/oracle` compares them.

use std::fmt;

use super::{Builder, Content, Json, Span, Step};

/// The deepest nesting without an error (`maxNestingDepth`).
const DEEPEST: usize = 10_000;

/// Why a text is not JSON, as Go's error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed {
    pub why: String,
    /// The offset of the first invalid byte.
    pub offset: usize,
}

/// Reads a whole text.
pub(super) fn read(text: &[u8]) -> Result<Json, Malformed> {
    let mut reader = Reader { text, at: 0, builder: Builder::default() };
    reader.document()?;
    Ok(reader.builder.finish())
}

struct Reader<'a> {
    text: &'a [u8],
    /// The next byte.
    at: usize,
    builder: Builder,
}

impl Reader<'_> {
    /// Parses without recursion, since the text decides how deep the nesting is.
    fn document(&mut self) -> Result<(), Malformed> {
        self.value(Step::Root)?;
        let mut count = Vec::new();
        while let Some(&open) = self.builder.open.last() {
            // A list or object that was just opened has a count of 0.
            count.resize(self.builder.open.len(), 0);
            let seen = count.last_mut().expect("one is open");
            let index = *seen;
            *seen += 1;
            let object = self.builder.nodes[open.0].content == Content::Object;
            self.space();
            let closed = self.next_is(if object { b'}' } else { b']' });
            if closed {
                count.pop();
                self.builder.close(self.at);
                continue;
            }
            if index > 0 {
                let where_ =
                    if object { "after object key:value pair" } else { "after array element" };
                self.expect(b',', where_)?;
                self.space();
            }
            let step = if object { self.key()? } else { Step::Index(index) };
            self.value(step)?;
        }
        self.space();
        if self.at < self.text.len() { Err(self.invalid("after top-level value")) } else { Ok(()) }
    }

    fn key(&mut self) -> Result<Step, Malformed> {
        let start = self.at;
        self.expect(b'"', "looking for beginning of object key string")?;
        let name = self.string()?;
        let span = Some(Span { start, end: self.at });
        self.space();
        self.expect(b':', "after object key")?;
        Ok(Step::Key { name, span })
    }

    /// Reads a scalar, or opens a list or an object.
    fn value(&mut self, step: Step) -> Result<(), Malformed> {
        self.space();
        let start = self.at;
        let content = match self.peek() {
            Some(b'{') => self.open(Content::Object)?,
            Some(b'[') => self.open(Content::Array)?,
            Some(b'"') => {
                self.at += 1;
                Content::String(self.string()?)
            }
            Some(b'-' | b'0'..=b'9') => self.number()?,
            Some(b't') => self.literal("true", Content::Bool)?,
            Some(b'f') => self.literal("false", Content::Bool)?,
            Some(b'n') => self.literal("null", Content::Null)?,
            _ => return Err(self.invalid("looking for beginning of value")),
        };
        self.builder.push(step, content, Some(Span { start, end: self.at }));
        Ok(())
    }

    fn open(&mut self, content: Content) -> Result<Content, Malformed> {
        if self.builder.open.len() >= DEEPEST {
            return Err(self.invalid("exceeded max depth"));
        }
        self.at += 1;
        Ok(content)
    }

    fn literal(&mut self, word: &str, content: Content) -> Result<Content, Malformed> {
        for expected in word.bytes() {
            let quoted = char::from(expected);
            self.expect(expected, &format!("in literal {word} (expecting '{quoted}')"))?;
        }
        Ok(content)
    }

    fn number(&mut self) -> Result<Content, Malformed> {
        let start = self.at;
        self.next_is(b'-');
        if !self.next_is(b'0') {
            self.digits("in numeric literal")?;
        }
        if self.next_is(b'.') {
            self.digits("after decimal point in numeric literal")?;
        }
        if self.next_is(b'e') || self.next_is(b'E') {
            let _ = self.next_is(b'+') || self.next_is(b'-');
            self.digits("in exponent of numeric literal")?;
        }
        let digits = self.text[start..self.at].iter().copied();
        Ok(Content::Number(digits.map(char::from).collect()))
    }

    fn digits(&mut self, context: &str) -> Result<(), Malformed> {
        if !self.peek().is_some_and(|it| it.is_ascii_digit()) {
            return Err(self.invalid(context));
        }
        while self.peek().is_some_and(|it| it.is_ascii_digit()) {
            self.at += 1;
        }
        Ok(())
    }

    /// Reads a string after its opening quotation mark.
    fn string(&mut self) -> Result<String, Malformed> {
        let mut string = String::new();
        loop {
            let start = self.at;
            while self.peek().is_some_and(|it| !matches!(it, b'"' | b'\\' | 0..0x20)) {
                self.at += 1;
            }
            for chunk in self.text[start..self.at].utf8_chunks() {
                string.push_str(chunk.valid());
                string.extend(chunk.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER));
            }
            if self.next_is(b'"') {
                return Ok(string);
            }
            self.expect(b'\\', "in string literal")?;
            string.push(self.escape()?);
        }
    }

    /// Reads an escape sequence after its backslash.
    fn escape(&mut self) -> Result<char, Malformed> {
        let escaped = match self.peek() {
            Some(it @ (b'"' | b'\\' | b'/')) => char::from(it),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => {
                self.at += 1;
                return self.unicode();
            }
            _ => return Err(self.invalid("in string escape code")),
        };
        self.at += 1;
        Ok(escaped)
    }

    /// Reads four hexadecimal digits, and the second surrogate after a first one. A
    /// lone surrogate is replaced, and the text after it is read by itself.
    fn unicode(&mut self) -> Result<char, Malformed> {
        let unit = self.hex()?;
        let after = self.at;
        if (0xd800..0xdc00).contains(&unit) && self.next_is(b'\\') && self.next_is(b'u') {
            let pair = self.hex().ok().map(|low| [unit, low]);
            if let Some(Ok(it)) = pair.and_then(|it| char::decode_utf16(it).next()) {
                return Ok(it);
            }
        }
        self.at = after;
        Ok(char::from_u32(unit.into()).unwrap_or(char::REPLACEMENT_CHARACTER))
    }

    fn hex(&mut self) -> Result<u16, Malformed> {
        let mut unit = 0;
        for _ in 0..4 {
            let digit = self.peek().and_then(|it| char::from(it).to_digit(16));
            let digit = digit.and_then(|it| u16::try_from(it).ok());
            let digit = digit.ok_or_else(|| self.invalid("in \\u hexadecimal character escape"))?;
            unit = unit << 4 | digit;
            self.at += 1;
        }
        Ok(unit)
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn next_is(&mut self, byte: u8) -> bool {
        let is = self.peek() == Some(byte);
        self.at += usize::from(is);
        is
    }

    fn expect(&mut self, byte: u8, context: &str) -> Result<(), Malformed> {
        if self.next_is(byte) { Ok(()) } else { Err(self.invalid(context)) }
    }

    fn invalid(&self, context: &str) -> Malformed {
        // At the end of a text Go continues as if a space followed, which is an
        // error within a literal, a number or an escape sequence.
        let outside = context.starts_with("looking") || context.starts_with("after");
        let space_may_be =
            context == "in string literal" || outside && !context.ends_with("literal");
        let why = match self.peek() {
            None if space_may_be => "unexpected end of JSON input".to_owned(),
            it => format!("invalid character {} {context}", Quoted(it.unwrap_or(b' '))),
        };
        Malformed { why, offset: self.at }
    }
}

/// A byte as Go quotes it: as one character (`quoteChar`).
struct Quoted(u8);

impl fmt::Display for Quoted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            b'\'' => f.write_str(r"'\''"),
            7 => f.write_str(r"'\a'"),
            8 => f.write_str(r"'\b'"),
            9 => f.write_str(r"'\t'"),
            10 => f.write_str(r"'\n'"),
            11 => f.write_str(r"'\v'"),
            12 => f.write_str(r"'\f'"),
            13 => f.write_str(r"'\r'"),
            b'\\' => f.write_str(r"'\\'"),
            it @ (0..0x20 | 0x7f) => write!(f, r"'\x{it:02x}'"),
            it @ (0x80..=0xa0 | 0xad) => write!(f, r"'\u{it:04x}'"),
            it => write!(f, "'{}'", char::from(it)),
        }
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)
    }
}

impl std::error::Error for Malformed {}
