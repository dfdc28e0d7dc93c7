//! The curve over the number of policies, as SVG.

use std::fmt::Write;

use crate::{policies::Point, turns::Figure};

// Where the plot is within the picture.
const LEFT: f64 = 60.0;
const TOP: f64 = 46.0;
const WIDTH: f64 = 560.0;
const HEIGHT: f64 = 220.0;

/// Which figure of a point.
type Series = fn(&Point) -> Figure;

/// What each adds to a create, with the range over the tenths of a run; the numbers of policies are on
/// a logarithmic axis.
#[expect(clippy::cast_precision_loss, reason = "a hundred policies")]
pub(crate) fn svg(points: &[Point]) -> String {
    let figures = points.iter().flat_map(|it| [it.ours, it.peer]);
    let top = figures.map(|it| it.highest).fold(0.5, f64::max).ceil();
    let last = points.last().map_or(10, |it| it.policies.max(10)) as f64;
    let x = |policies: usize| LEFT + WIDTH * (policies as f64).ln() / last.ln();
    let y = |milliseconds: f64| TOP + HEIGHT * (1.0 - milliseconds / top);
    let mut svg = String::from(HEAD);
    let mut add = |line: String| writeln!(svg, "{line}").expect("a string takes everything");
    for step in 0..=4 {
        let (value, right) = (top * f64::from(step) / 4.0, LEFT + WIDTH);
        let at = y(value);
        add(format!(
            r##"<path d="M{LEFT} {at:.1}H{right}" stroke="#d0d7de"/><text x="52" y="{:.1}" text-anchor="end">{value:.1}</text>"##,
            at + 4.0
        ));
    }
    for it in points {
        let (at, below) = (x(it.policies), TOP + HEIGHT + 20.0);
        let policies = it.policies;
        add(format!(r#"<text x="{at:.1}" y="{below}" text-anchor="middle">{policies}</text>"#));
    }
    // Beside each other, or one would hide the other.
    let series: [(&str, f64, Series); 2] =
        [("#57606a", -3.0, |it| it.peer), ("#0969da", 3.0, |it| it.ours)];
    for (colour, shift, of) in series {
        let places: Vec<_> = points.iter().map(|it| (x(it.policies) + shift, of(it))).collect();
        let line = places.iter().map(|(x, it)| format!("{x:.1},{:.1}", y(it.of_all)));
        let line = line.collect::<Vec<_>>().join(" ");
        add(format!(
            r#"<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>"#
        ));
        for (x, Figure { of_all, lowest, highest }) in &places {
            let [middle, lowest, highest] = [of_all, lowest, highest].map(|it| y(*it));
            add(format!(
                r#"<path d="M{x:.1} {lowest:.1}V{highest:.1}" stroke="{colour}"/><circle cx="{x:.1}" cy="{middle:.1}" r="3.5" fill="{colour}"/>"#
            ));
        }
    }
    svg + "</svg>\n"
}

const HEAD: &str = r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 660 310" font-family="Helvetica, Arial, sans-serif" font-size="12" role="img">
<title>What governing a bare pod adds to its creation, by the number of policies in use</title>
<rect width="660" height="310" fill="#ffffff"/>
<text x="60" y="20" font-weight="bold" font-size="13">ms that are added to a create, by the number of policies in use</text>
<text x="60" y="36" fill="#0969da">callgate in process</text><text x="190" y="36" fill="#57606a">policies of the API server (JSONPatch), which are always two</text>
<text x="340" y="304" text-anchor="middle">policies in use</text>
"##;
