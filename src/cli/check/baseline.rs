//! The file of known findings.

use std::{fs, path::Path};

use anyhow::{Context, anyhow};

use super::files;
use crate::{
    check::Baseline,
    cli::today,
    report::{Checked, counted},
};

/// Suppresses the known findings, or makes all of them known; returns what is to be said of it.
pub(super) fn apply(path: &Path, write: bool, found: &mut [Checked]) -> anyhow::Result<String> {
    let shown = path.display().to_string();
    let known = if write && !path.exists() { Baseline::default() } else { read(path, &shown)? };
    let unused = known.apply(found, today());
    if write {
        let new = known.updated(found, today());
        let text = new.text().map_err(|it| anyhow!("cannot write {shown:?}: {it}"))?;
        fs::write(path, text).with_context(|| format!("cannot write {shown:?}"))?;
        new.apply(found, today());
        return Ok(format!("wrote {shown:?}\n"));
    }
    if unused == 0 {
        return Ok(String::new());
    }
    let findings = counted(unused, "finding");
    Ok(format!("{findings} of {shown:?} no longer found: --write-baseline removes them\n"))
}

fn read(path: &Path, shown: &str) -> anyhow::Result<Baseline> {
    Baseline::read(&files::text(path)?)
        .map_err(|why| anyhow!("cannot read the baseline {shown:?}: {why}"))
}
