//! Receives records, and finds the containers of their processes.

use std::{collections::BTreeMap, io, sync::Mutex};

use super::{
    lock, look,
    probe::Probe,
    socket::{Received, Socket},
};
use crate::{
    denials::{Message, Processes, Record, Tally},
    profile::Architecture,
};

/// In bytes. The kernel's own limit for a record is 8,970 (`MAX_AUDIT_MESSAGE_LENGTH`).
const LONGEST: usize = 9216;

/// The most records that are received before their processes are looked at. In a burst the room of
/// the socket is short, and the processes of a burst are few.
const MOST: usize = 1000;

/// What was heard so far.
pub(super) struct Heard {
    pub(super) processes: Processes,
    pub(super) tally: Tally,
}

impl Heard {
    pub(super) fn new(native: Option<Architecture>, since: i64) -> Self {
        Self { processes: Processes::default(), tally: Tally::new(native, since) }
    }
}

/// Receives records until the socket fails; returns why.
pub(super) fn listen(socket: &Socket, heard: &Mutex<Heard>, probe: &Probe) -> io::Error {
    let mut buffer = vec![0; LONGEST];
    loop {
        let (mut records, mut malformed, mut lost) = (Vec::new(), 0, 0);
        loop {
            let is_first = records.is_empty() && malformed == 0 && lost == 0;
            match socket.receive(&mut buffer, is_first) {
                Ok(Received::Message(bytes)) => match Message::read(bytes) {
                    Message::Call(it) => records.push(it),
                    Message::Malformed => malformed += 1,
                    Message::Other => {}
                },
                Ok(Received::Lost) => lost += 1,
                Ok(Received::Nothing) => break,
                Err(error) => return error,
            }
            if records.len() >= MOST {
                break;
            }
        }
        records.retain(|it| !probe.is_of(it));
        take(&records, heard);
        let mut heard = lock(heard);
        heard.tally.malformed(malformed);
        heard.tally.lost(lost);
    }
}

fn take(records: &[Record], heard: &Mutex<Heard>) {
    let mut by_process = BTreeMap::new();
    // Before anything waits for the lock: a process may end at any moment.
    for record in records {
        by_process.entry(record.process).or_insert_with_key(|it| look::one(*it));
    }
    let mut heard = lock(heard);
    let Heard { processes, tally } = &mut *heard;
    let containers: BTreeMap<_, _> =
        by_process.into_iter().map(|(pid, now)| (pid, processes.containers_of(pid, now))).collect();
    for record in records {
        tally.note(record, containers.get(&record.process).cloned().flatten());
    }
}
