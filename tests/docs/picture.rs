//! Draws a sequence diagram as SVG: columns, and arrows between them.

use std::fs;

use crate::assert_current;

const COLUMN: usize = 212;
const ROW: usize = 40;
const HEAD: usize = 84;
const BOX: usize = 172;
/// Of a letter, the widest of the usual fonts takes 7 on average.
const LONGEST: usize = (COLUMN - 16) / 7;

#[test]
fn the_picture_is_generated_from_its_source() {
    let source = fs::read_to_string("docs/pictures/life-of-a-pod.txt").expect("it is there");
    assert_current("docs/pictures/life-of-a-pod.svg", &svg(&source));
}

/// A column: its name in the source, its title and its subtitle.
struct Lane<'a> {
    name: &'a str,
    title: &'a str,
    subtitle: &'a str,
}

enum Step<'a> {
    Section(&'a str),
    Arrow { from: usize, to: usize, text: &'a str },
    Note { at: usize, text: &'a str },
}

fn svg(source: &str) -> String {
    let (lanes, steps) = read(source);
    let (width, height) = (lanes.len() * COLUMN, HEAD + steps.len() * ROW + 20);
    let described: Vec<_> = lanes.iter().map(|it| it.title).collect();
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
         font-family=\"Helvetica, Arial, sans-serif\" font-size=\"13\" role=\"img\">\n\
         <title>The life of a pod, between {}</title>\n\
         <defs><marker id=\"head\" viewBox=\"0 0 8 8\" refX=\"8\" refY=\"4\" markerWidth=\"8\" \
         markerHeight=\"8\" orient=\"auto\"><path d=\"M0 0 8 4 0 8z\" fill=\"#24292f\"/></marker></defs>\n\
         <rect width=\"{width}\" height=\"{height}\" fill=\"#ffffff\"/>\n",
        described.join(", ")
    );
    for (at, lane) in lanes.iter().enumerate() {
        svg += &column(centre(at), height, lane);
    }
    for (at, step) in steps.iter().enumerate() {
        svg += &row(HEAD + at * ROW + ROW / 2 + 6, width, step);
    }
    svg + "</svg>\n"
}

fn read(source: &str) -> (Vec<Lane<'_>>, Vec<Step<'_>>) {
    let (mut lanes, mut steps) = (Vec::new(), Vec::new());
    for line in source.lines().filter(|it| !it.is_empty() && !it.starts_with('#')) {
        if let Some(title) = line.strip_prefix("== ") {
            steps.push(Step::Section(title));
            continue;
        }
        let (start, text) = line.split_once(": ").expect("a line has a colon");
        if let Some(name) = start.strip_prefix("lane ") {
            let (title, subtitle) = text.split_once(" / ").expect("a column has a subtitle");
            lanes.push(Lane { name, title, subtitle });
            continue;
        }
        let lane = |name: &str| {
            let at = lanes.iter().position(|it| it.name == name);
            at.unwrap_or_else(|| panic!("there is no column {name:?}"))
        };
        assert!(text.len() <= LONGEST, "{text:?} does not fit between two columns");
        steps.push(match start.split_once(" -> ") {
            Some((from, to)) => Step::Arrow { from: lane(from), to: lane(to), text },
            None => Step::Note { at: lane(start), text },
        });
    }
    (lanes, steps)
}

fn centre(lane: usize) -> usize {
    lane * COLUMN + COLUMN / 2
}

/// callgate's own parts are coloured.
fn fill(title: &str) -> &'static str {
    if title.starts_with("callgate") { "#cde5ff" } else { "#eef0f2" }
}

fn column(x: usize, height: usize, Lane { title, subtitle, .. }: &Lane<'_>) -> String {
    let (left, end) = (x - BOX / 2, height - 12);
    format!(
        "<line x1=\"{x}\" y1=\"64\" x2=\"{x}\" y2=\"{end}\" stroke=\"#afb8c1\" stroke-dasharray=\"4 4\"/>\n\
         <rect x=\"{left}\" y=\"12\" width=\"{BOX}\" height=\"52\" rx=\"6\" fill=\"{}\" stroke=\"#57606a\"/>\n\
         {}{}",
        fill(title),
        label(x, 34, &format!("font-weight=\"bold\" font-size=\"15\" {INK}"), title),
        label(x, 53, &format!("font-size=\"12\" {INK}"), subtitle),
    )
}

const INK: &str = "fill=\"#24292f\"";

fn row(y: usize, width: usize, step: &Step<'_>) -> String {
    match *step {
        Step::Section(text) => format!(
            "<rect x=\"8\" y=\"{}\" width=\"{}\" height=\"24\" fill=\"#f6f8fa\" stroke=\"#d0d7de\"/>\n{}",
            y - 15,
            width - 16,
            label(width / 2, y + 2, &format!("font-weight=\"bold\" {INK}"), text)
        ),
        Step::Arrow { from, to, text } => {
            let (from, to) = (centre(from), centre(to));
            let end = if from < to { to - 2 } else { to + 2 };
            format!(
                "<line x1=\"{from}\" y1=\"{y}\" x2=\"{end}\" y2=\"{y}\" stroke=\"#24292f\" \
                 stroke-width=\"1.4\" marker-end=\"url(#head)\"/>\n{}",
                label(usize::midpoint(from, to), y - 6, HALO, text)
            )
        }
        Step::Note { at, text } => {
            let (x, wide) = (centre(at), COLUMN - 8);
            format!(
                "<rect x=\"{}\" y=\"{}\" width=\"{wide}\" height=\"26\" rx=\"4\" fill=\"#fff8c5\" stroke=\"#d4a72c\"/>\n{}",
                x - wide / 2,
                y - 18,
                label(x, y, INK, text)
            )
        }
    }
}

/// Text that crosses a column stays readable.
const HALO: &str = "fill=\"#24292f\" stroke=\"#ffffff\" stroke-width=\"4\" paint-order=\"stroke\"";

fn label(x: usize, y: usize, style: &str, text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    format!("<text x=\"{x}\" y=\"{y}\" text-anchor=\"middle\" {style}>{text}</text>\n")
}
