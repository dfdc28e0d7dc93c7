//! The documents of a stream, one by one.

use std::ops::Range;

use serde::de::IgnoredAny;

use super::{Document, Mistake, build};

/// The documents of a text, each read when it is asked for.
#[derive(Debug)]
pub struct Documents<'a> {
    text: &'a str,
    /// Where the next part begins.
    at: usize,
    /// The end of a part of several JSON documents; between the calls, `at` is within it.
    end: usize,
    /// Where the last part ends.
    stop: usize,
}

/// What begins a line between two documents.
const SEPARATOR: &str = "---";

pub fn documents(text: &str) -> Documents<'_> {
    let at = if text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
    Documents { text, at, end: at, stop: text.len() }
}

/// The documents in one of the [`cuts`] of a text, with spans of the whole text.
pub fn documents_within(text: &str, cut: Range<usize>) -> Documents<'_> {
    if cut.start == 0 {
        return Documents { stop: cut.end, ..documents(text) };
    }
    Documents { text, at: cut.start, end: cut.start, stop: cut.end }
}

/// Cuts a text before separators of documents into pieces of about that many bytes, which can be
/// read beside each other.
pub fn cuts(text: &str, size: usize) -> Vec<Range<usize>> {
    let (mut all, mut start) = (Vec::new(), 0);
    while start < text.len() {
        let mut from = (start + size.max(1)).min(text.len());
        while !text.is_char_boundary(from) {
            from += 1;
        }
        if text.as_bytes()[from - 1] == b'\n' {
            from -= 1;
        }
        // The line break belongs to the piece before.
        let end = text[from..].find(LINE_OF_SEPARATOR).map_or(text.len(), |it| from + it + 1);
        all.push(start..end);
        start = end;
    }
    all
}

/// A separator with the line break before it.
const LINE_OF_SEPARATOR: &str = "\n---";

impl<'a> Iterator for Documents<'a> {
    type Item = Result<Document<'a>, Mistake>;

    /// Parts without a document, such as one of comments alone, are left out.
    fn next(&mut self) -> Option<Self::Item> {
        while self.at < self.stop {
            if self.end <= self.at {
                if let Some(mistake) = self.next_part() {
                    return Some(Err(mistake));
                }
                continue;
            }
            let part = self.at..self.end;
            let end = part.start + json_end(&self.text[part.clone()]).unwrap_or(part.len());
            self.at = end;
            match build::document(self.text, part.start..end) {
                Ok(None) => {}
                Ok(Some(document)) => return Some(Ok(document)),
                Err(mistake) => return Some(Err(mistake)),
            }
        }
        None
    }
}

impl Documents<'_> {
    /// Finds the part that begins here: it ends before a separator.
    fn next_part(&mut self) -> Option<Mistake> {
        if self.is_separator(self.at) {
            let line = self.line_end(self.at);
            let start = self.at + SEPARATOR.len();
            let rest = self.text[start..line].trim_end();
            self.at = line;
            self.end = line;
            // kubectl stops here.
            let is_comment = rest.starts_with([' ', '\t']) && rest.trim_start().starts_with('#');
            if !rest.is_empty() && !is_comment {
                let message = "\"---\" must stand alone on its line: kubectl lets nothing but a \
                     comment follow";
                return Some(Mistake {
                    span: start..start + rest.len(),
                    message: message.to_owned(),
                });
            }
            return None;
        }
        let mut end = self.at;
        while end < self.stop && !self.is_separator(end) {
            end = self.line_end(end);
        }
        self.end = end;
        None
    }

    fn is_separator(&self, at: usize) -> bool {
        self.text[at..].starts_with(SEPARATOR)
    }

    /// The first byte of the next line.
    fn line_end(&self, at: usize) -> usize {
        self.text[at..].find('\n').map_or(self.text.len(), |it| at + it + 1)
    }
}

/// The end of the first of several JSON documents without a separator.
fn json_end(part: &str) -> Option<usize> {
    let start = part.len() - part.trim_start().len();
    if !part[start..].starts_with('{') {
        return None;
    }
    let mut documents = serde_json::Deserializer::from_str(part).into_iter::<IgnoredAny>();
    documents.next()?.ok()?;
    let end = documents.byte_offset();
    part[end..].trim_start().starts_with('{').then_some(end)
}
