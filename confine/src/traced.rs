//! Reads the filters of a process, which stops for a moment.

use std::io;

use crate::{
    Instruction,
    kernel::{self, Stopped},
};

/// The filters of the main thread of a process, the oldest first.
///
/// # Errors
/// The kernel shows them only to a process with `CAP_SYS_ADMIN` in the first user namespace that has no
/// filter itself.
pub fn filters(process: u32) -> io::Result<Vec<Vec<Instruction>>> {
    let stopped = Stopped::of(process)?;
    let mut all = Vec::new();
    while let Some(filter) = stopped.filter(all.len())? {
        all.push(filter);
    }
    drop::<Stopped>(stopped);
    Ok(all)
}

impl Stopped {
    /// The filter with this number; `None` if there are fewer.
    fn filter(&self, number: usize) -> io::Result<Option<Vec<Instruction>>> {
        let mut filter = Vec::new();
        let length = match kernel::read_filter(self, number, &mut filter) {
            Err(error) if kernel::gone(&error) => return Ok(None),
            other => other?,
        };
        filter.resize(length, Instruction { code: 0, jt: 0, jf: 0, k: 0 });
        kernel::read_filter(self, number, &mut filter)?;
        Ok(Some(filter))
    }
}
