//! The files that commands read; `-` is standard input.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

pub(super) fn is_standard_input(path: &Path) -> bool {
    path == Path::new("-")
}

/// The name in messages.
pub(super) fn shown(path: &Path) -> String {
    if is_standard_input(path) { "stdin".to_owned() } else { path.display().to_string() }
}

/// The content; `None` if it has more than `most` bytes.
pub(super) fn read(path: &Path, most: u64) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    if is_standard_input(path) {
        io::stdin().take(most + 1).read_to_end(&mut bytes)?;
    } else {
        let file = File::open(path)?;
        let size = file.metadata().map_or(0, |it| it.len()).min(most);
        bytes.reserve_exact(usize::try_from(size).unwrap_or_default() + 1);
        file.take(most + 1).read_to_end(&mut bytes)?;
    }
    Ok(Some(bytes).filter(|it| it.len() as u64 <= most))
}
