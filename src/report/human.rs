//! Findings for people, as compilers print them.

use annotate_snippets::{
    AnnotationKind, Group, Level, Origin, Renderer, Snippet, normalize_untrusted_str as plain,
};

use super::{Diagnostic, Report, Severity, place::Excerpt};
use crate::position::Position;

/// How text for people looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Look {
    /// Whether colours are wanted, which only a terminal shows.
    pub is_coloured: bool,
}

pub(super) fn text(report: &Report<'_>, look: Look) -> String {
    let mut text = String::new();
    let mut is_note = true;
    for (_, it) in report.found().filter(|(_, it)| it.suppressed.is_none()) {
        let was_note = std::mem::replace(&mut is_note, it.severity == Severity::Note);
        let is_apart = !(was_note && is_note);
        if is_apart && !text.is_empty() {
            text.push('\n');
        }
        text.push_str(&render(it, look));
    }
    text
}

pub(super) fn render(found: &Diagnostic, look: Look) -> String {
    if found.severity == Severity::Note {
        return note(found);
    }
    let is_error = found.severity == Severity::Error;
    let level = if is_error { Level::ERROR } else { Level::WARNING };
    let file = plain(found.place.file());
    let title = level.primary_title(found.message.as_str()).id(found.topic.id);
    let mut group = match &found.place.excerpt {
        Some(it) => title.element(snippet(it).path(file)),
        None => title.element(Origin::path(file)),
    };
    group = messages(group, &found.notes, &Level::NOTE);
    group = messages(group, &found.help, &Level::HELP);
    let renderer =
        if look.is_coloured { Renderer::styled().hyperlink(false) } else { Renderer::plain() };
    let mut text = renderer.render(&[group]);
    if let Some(it) = found.place.excerpt.as_ref().filter(|it| it.is_cut) {
        text = text.replacen(&cut_position(it, found), &position(found), 1);
    }
    text.push('\n');
    text
}

/// In one line: nothing has to be done.
fn note(found: &Diagnostic) -> String {
    let help: String = found.help.iter().flat_map(|it| ["; ", it]).collect();
    let Diagnostic { topic, message, .. } = found;
    let text = format!("{}{}: note: {message}{help}", found.place.file(), position(found));
    format!("{} [{}]\n", plain(&text), topic.id)
}

fn position(found: &Diagnostic) -> String {
    let Position { line, column } = found.place.start();
    format!(":{line}:{column}")
}

/// The position that the renderer counts in a line whose beginning is left out.
fn cut_position(excerpt: &Excerpt, found: &Diagnostic) -> String {
    let before = &excerpt.text[..excerpt.marks.first().map_or(0, |it| it.span.start)];
    let column = before.chars().rev().take_while(|it| *it != '\n').count() + 1;
    format!(":{}:{column}", found.place.start().line)
}

fn messages<'a>(group: Group<'a>, texts: &[String], level: &Level<'a>) -> Group<'a> {
    texts.iter().fold(group, |group, it| group.element(level.clone().message(plain(it))))
}

fn snippet(excerpt: &Excerpt) -> Snippet<'_, annotate_snippets::Annotation<'_>> {
    let marks = excerpt.marks.iter().enumerate().map(|(at, mark)| {
        let kind = if at == 0 { AnnotationKind::Primary } else { AnnotationKind::Context };
        let annotation = kind.span(mark.span.clone());
        if mark.label.is_empty() { annotation } else { annotation.label(plain(&mark.label)) }
    });
    Snippet::source(excerpt.text.as_str()).line_start(excerpt.first_line).annotations(marks)
}
