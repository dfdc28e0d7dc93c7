//! Places in files, with the lines around them.

use std::{
    ops::Range,
    sync::{Arc, OnceLock},
};

use crate::position::Position;

/// A file whose text is at hand.
#[derive(Debug)]
pub struct Source<'a> {
    name: Arc<str>,
    text: &'a [u8],
    /// Where each line begins; most files have no finding that asks for it.
    lines: OnceLock<Vec<usize>>,
}

/// A part of a file, and a copy of the lines that show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    file: Arc<str>,
    start: Position,
    end: Position,
    pub(super) excerpt: Option<Excerpt>,
}

/// Lines of a file with marked parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Excerpt {
    pub(super) text: String,
    pub(super) first_line: usize,
    /// Whether the beginning of the line of the finding is left out.
    pub(super) is_cut: bool,
    /// The first one is what the finding is about.
    pub(super) marks: Vec<Mark>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) span: Range<usize>,
    pub(super) label: String,
}

/// How far from the finding a line with another mark may be.
const FARTHEST: usize = 60;
/// More bytes than these before or behind a mark are not shown: JSON may have one line only.
const MOST_BYTES: usize = 160;

impl<'a> Source<'a> {
    pub fn new(name: impl Into<Arc<str>>, text: &'a [u8]) -> Self {
        Self { name: name.into(), text, lines: OnceLock::new() }
    }

    fn lines(&self) -> &[usize] {
        self.lines.get_or_init(|| {
            let breaks = self.text.iter().enumerate().filter(|(_, it)| **it == b'\n');
            [0].into_iter().chain(breaks.map(|(at, _)| at + 1)).collect()
        })
    }

    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    pub fn text(&self) -> &'a [u8] {
        self.text
    }

    /// The line of a byte, counted from 0.
    fn line_of(&self, offset: usize) -> usize {
        self.lines().partition_point(|it| *it <= offset) - 1
    }

    /// The bytes of a line, without what ends it.
    fn line(&self, line: usize) -> Range<usize> {
        let start = self.lines()[line];
        let end = self.lines().get(line + 1).map_or(self.text.len(), |it| it - 1);
        let has_return = end > start && self.text[end - 1] == b'\r';
        start..if has_return { end - 1 } else { end }
    }

    /// The position of a byte.
    pub fn position(&self, offset: usize) -> Position {
        let offset = offset.min(self.text.len());
        let line = self.line_of(offset);
        let before = String::from_utf8_lossy(&self.text[self.lines()[line]..offset]);
        Position { line: line + 1, column: before.chars().count() + 1 }
    }

    /// The place of some bytes.
    pub fn place(&self, span: Range<usize>) -> Place {
        self.place_with(span, "", &[])
    }

    /// The place of some bytes with a label, and with other parts of the file, such as the name of
    /// the container; those that are too far away are left out.
    pub fn place_with(
        &self,
        span: Range<usize>,
        label: &str,
        others: &[(Range<usize>, String)],
    ) -> Place {
        let span = self.within(span);
        let (start, end) = (self.position(span.start), self.position(span.end));
        let line = self.line_of(span.start);
        // Of a long part its first line is shown.
        let end_of_line = self.line(line).end.max(span.start);
        let shown = span.start..span.end.min(end_of_line);
        let mut marks = vec![(line, shown, label.to_owned())];
        for (it, label) in others {
            let it = self.within(it.clone());
            let at = self.line_of(it.start);
            let shown = it.start..it.end.min(self.line(at).end.max(it.start));
            let is_near = at != line && at.abs_diff(line) <= FARTHEST;
            if is_near && self.line(at).len() <= MOST_BYTES {
                marks.push((at, shown, label.clone()));
            }
        }
        let excerpt = Some(self.excerpt(line, &marks));
        Place { file: Arc::clone(&self.name), start, end, excerpt }
    }

    fn within(&self, span: Range<usize>) -> Range<usize> {
        let end = span.end.min(self.text.len());
        span.start.min(end)..end
    }

    fn excerpt(&self, line: usize, marks: &[(usize, Range<usize>, String)]) -> Excerpt {
        let first = marks.iter().map(|it| it.0).min().unwrap_or(line);
        let last = marks.iter().map(|it| it.0).max().unwrap_or(line);
        let mut text = String::new();
        let mut placed = vec![None; marks.len()];
        let is_cut = marks[0].1.start - self.line(line).start > MOST_BYTES;
        for at in first..=last {
            let bytes = self.line(at);
            // The marks of one line, which do not overlap, in their order.
            let here = marks.iter().position(|it| it.0 == at);
            if let Some(which) = here {
                let mark = &marks[which].1;
                let from = mark.start.saturating_sub(MOST_BYTES).max(bytes.start);
                let to = mark.end.min(mark.start + MOST_BYTES);
                let rest = to.saturating_add(MOST_BYTES).min(bytes.end).max(to);
                if from > bytes.start {
                    text.push('…');
                }
                push(&mut text, &self.text[from..mark.start]);
                let start = text.len();
                push(&mut text, &self.text[mark.start..to]);
                placed[which] = Some(start..text.len());
                push(&mut text, &self.text[to..rest]);
                if rest < bytes.end {
                    text.push('…');
                }
            } else {
                let to = bytes.end.min(bytes.start + MOST_BYTES);
                push(&mut text, &self.text[bytes.start..to]);
            }
            text.push('\n');
        }
        let marks = marks.iter().zip(placed);
        let marks = marks
            .filter_map(|((_, _, label), span)| Some(Mark { span: span?, label: label.clone() }));
        Excerpt { text, first_line: first + 1, is_cut, marks: marks.collect() }
    }
}

/// Appends bytes as text; a line may have been cut within a character.
fn push(text: &mut String, bytes: &[u8]) {
    text.push_str(&String::from_utf8_lossy(bytes));
}

impl Place {
    /// A whole file.
    pub fn of_file(file: impl Into<Arc<str>>) -> Self {
        let start = Position { line: 1, column: 1 };
        Self { file: file.into(), start, end: start, excerpt: None }
    }

    pub fn file(&self) -> &Arc<str> {
        &self.file
    }

    pub fn start(&self) -> Position {
        self.start
    }

    pub fn end(&self) -> Position {
        self.end
    }
}
