//! The ladder for people.

use std::{cmp::Reverse, fmt::Write as _};

use super::{DeniedCalls, Ladder, Next, Step};
use crate::{api::EvidenceFinding, report::counted, scan::Safety};

const INFALLIBLE: &str = "a string takes everything";

/// How many findings of a namespace are shown.
const MOST_SHOWN: usize = 10;

/// The ladder in lines, namespace by namespace.
pub fn text(ladder: &Ladder) -> String {
    let mut text = String::new();
    for it in &ladder.namespaces {
        namespace(&mut text, it);
    }
    text
}

fn namespace(text: &mut String, it: &Step) {
    let Step { name, policy, mode, since, pods, last, findings, unfiltered, denied_calls, next } =
        it;
    let since = since.map(|it| format!(", observed since {it:.0}")).unwrap_or_default();
    writeln!(text, "{name}: mode {mode} under policy {policy:?}{since}").expect(INFALLIBLE);
    if let Some(last) = last {
        let pods = counted(*pods, "pod");
        writeln!(text, "  {pods} denied, or would have been, the last one at {last:.0}")
            .expect(INFALLIBLE);
    }
    let mut latest: Vec<_> = findings.iter().collect();
    latest.sort_by_key(|it| Reverse(it.last.0));
    for it in latest.iter().take(MOST_SHOWN) {
        let EvidenceFinding { rule, owner, field, message, count, last, .. } = it;
        let (kind, owner, last) = (owner.kind.to_lowercase(), &owner.name, last.0);
        let times = counted(*count, "time");
        writeln!(
            text,
            "  {kind} {owner:?}: {field}: {message} [{rule}], {times}, last at {last:.0}"
        )
        .expect(INFALLIBLE);
    }
    if findings.len() > MOST_SHOWN {
        let more = counted(findings.len() - MOST_SHOWN, "more finding");
        writeln!(text, "  and {more}").expect(INFALLIBLE);
    }
    if *unfiltered > 0 {
        let containers = counted(*unfiltered, "container");
        writeln!(text, "  by the kernel, without a filter now: {containers}").expect(INFALLIBLE);
    }
    if let Some(DeniedCalls { calls, last }) = denied_calls {
        let calls = counted(*calls, "call");
        writeln!(
            text,
            "  by audit records, denied by profiles: {calls}, the last one at {last:.0}"
        )
        .expect(INFALLIBLE);
    }
    for Next { mode, safe, reasons, command } in next {
        let safe = match safe {
            Safety::Yes => "safe",
            Safety::No => "not safe",
            Safety::Unknown => "unknown",
        };
        let reasons = reasons.join("; ");
        let colon = if reasons.is_empty() { "" } else { ": " };
        writeln!(text, "  {mode}: {safe}{colon}{reasons}").expect(INFALLIBLE);
        if let Some(command) = command {
            writeln!(text, "    {command}").expect(INFALLIBLE);
        }
    }
    text.push('\n');
}
