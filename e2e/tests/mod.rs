//! Tests that need a real API server.

mod accepted;
mod agents;
mod annotations;
mod ca;
mod callers;
mod clocks;
mod compiled;
mod conditions;
mod debug;
mod events;
mod every_table;
mod fights;
mod in_a_cluster;
mod in_process;
mod ladder;
mod neighbours;
mod newer;
mod old_pods;
mod on_nodes;
mod outage;
mod placement;
mod pods;
mod profiles;
mod readme;
mod replay;
mod rights;
mod scan;
mod static_admission;
mod storms;
mod strangers;
mod templates;
mod tokens;
mod unwritable;
mod watches;
mod wrap;
mod writers;

use crate::trial::Entry;

pub(crate) fn all() -> Vec<Entry> {
    [
        placement::trials(),
        pods::trials(),
        profiles::trials(),
        on_nodes::trials(),
        debug::trials(),
        old_pods::trials(),
        annotations::trials(),
        templates::trials(),
        neighbours::trials(),
        newer::trials(),
        outage::trials(),
        in_a_cluster::trials(),
        rights::trials(),
        scan::trials(),
        replay::trials(),
        strangers::trials(),
        events::trials(),
        accepted::trials(),
        conditions::trials(),
        ca::trials(),
        watches::trials(),
        agents::trials(),
        tokens::trials(),
        storms::trials(),
        unwritable::trials(),
        fights::trials(),
        callers::trials(),
        clocks::trials(),
        compiled::trials(),
        compiled::backstop::trials(),
        static_admission::trials(),
        in_process::trials(),
        in_process::removed::trials(),
        in_process::rights::trials(),
        ladder::trials(),
        wrap::trials(),
        readme::trials(),
        writers::trials(),
        every_table::trials(),
    ]
    .concat()
}
