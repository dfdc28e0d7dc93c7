//! Which calls profiles denied in containers, by the audit records of the nodes.

use std::{cmp::Reverse, collections::BTreeMap};

use serde::Serialize;

use crate::denials::{Denials, DeniedCall};

/// How many calls of one namespace are kept.
const MOST: usize = 100;

/// What is reported of the nodes whose audit records are read.
#[derive(Debug, Default)]
pub(super) struct Denied {
    totals: DenialTotals,
    by_namespace: BTreeMap<String, Vec<SeenDenial>>,
}

/// The calls on all nodes that report them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DenialTotals {
    pub nodes: usize,
    pub denied: u64,
    pub logged: u64,
    /// Whether there may have been more.
    pub is_lower_bound: bool,
}

/// A call that was denied, or logged, and where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SeenDenial {
    pub node: String,
    #[serde(flatten)]
    pub call: DeniedCall,
}

impl Denied {
    /// Takes what is reported of the node of that name.
    pub(super) fn take(&mut self, node: &str, denials: Denials) {
        self.totals.nodes += 1;
        self.totals.is_lower_bound |= denials.is_lower_bound();
        for call in denials.calls {
            let of_kind = &mut self.totals;
            let of_kind =
                if call.was_stopped() { &mut of_kind.denied } else { &mut of_kind.logged };
            *of_kind = of_kind.saturating_add(call.count);
            let all = self.by_namespace.entry(call.place.namespace.clone()).or_default();
            all.push(SeenDenial { node: node.to_owned(), call });
            if all.len() > 2 * MOST {
                self.totals.is_lower_bound = true;
                cut(all);
            }
        }
    }

    /// The totals; `None` if no node reports denials.
    pub(super) fn totals(&self) -> Option<DenialTotals> {
        (self.totals.nodes > 0).then_some(self.totals)
    }

    /// The calls of a namespace, the latest first. Its pods may be gone.
    pub(super) fn in_namespace(&self, name: &str) -> Vec<SeenDenial> {
        let mut all = self.by_namespace.get(name).cloned().unwrap_or_default();
        cut(&mut all);
        all
    }
}

fn cut(all: &mut Vec<SeenDenial>) {
    all.sort_by_key(|it| Reverse(it.call.last));
    all.truncate(MOST);
}
