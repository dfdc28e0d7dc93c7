//! Works on files by all processors: on several small ones at once, and on pieces of a large one.

use std::{num::NonZero, ops::Range};

use super::{files::Input, pool};
use crate::{report::Source, yaml};

/// What is worked on at once.
pub(super) enum Piece<'a> {
    /// Whole documents of a text.
    Text { source: &'a Source<'a>, text: &'a str, cut: Range<usize> },
    /// A file that is no text.
    Bytes { source: &'a Source<'a> },
}

impl Piece<'_> {
    /// Whether it is the last one of its file.
    pub(super) fn is_last(&self) -> bool {
        match self {
            Self::Text { text, cut, .. } => cut.end == text.len(),
            Self::Bytes { .. } => true,
        }
    }
}

/// The size of a piece of a large file, in bytes.
const SIZE: usize = 128 * 1024;

/// Works on all files; the results are passed on in the order of the files, and of the pieces of
/// each.
pub(super) fn each<R: Send>(
    inputs: &[Input],
    threads: Option<NonZero<usize>>,
    work: impl Fn(&Piece<'_>) -> R + Sync,
    mut take: impl FnMut(anyhow::Result<R>),
) {
    for together in inputs.chunk_by(|a, b| !a.is_large() && !b.is_large()) {
        match together {
            [large] if large.is_large() => match large.read() {
                Ok(content) => {
                    let source = Source::new(large.name.as_str(), &content);
                    let pieces = pieces(&source);
                    pool::map_by(threads, &pieces, &work).into_iter().map(Ok).for_each(&mut take);
                }
                Err(why) => take(Err(why)),
            },
            small => {
                let read = |it: &Input| {
                    let content = it.read()?;
                    let source = Source::new(it.name.as_str(), &content);
                    Ok(work(&whole(&source)))
                };
                pool::map_by(threads, small, read).into_iter().for_each(&mut take);
            }
        }
    }
}

fn pieces<'a>(source: &'a Source<'a>) -> Vec<Piece<'a>> {
    match whole(source) {
        Piece::Text { source, text, .. } => {
            let cuts = yaml::cuts(text, SIZE).into_iter();
            cuts.map(|cut| Piece::Text { source, text, cut }).collect()
        }
        bytes @ Piece::Bytes { .. } => vec![bytes],
    }
}

fn whole<'a>(source: &'a Source<'a>) -> Piece<'a> {
    match std::str::from_utf8(source.text()) {
        Ok(text) => Piece::Text { source, text, cut: 0..text.len() },
        Err(_) => Piece::Bytes { source },
    }
}
