//! What a scan writes for those who repair what it found.

use std::{
    fs,
    io::{self, Write},
    path::Path,
};

use anyhow::{Context, anyhow, bail};
use jiff::civil::Date;

use crate::{
    cli::today,
    policy::Builtin,
    report::counted,
    scan::{Overview, PatchFile, exempting, patches},
};

/// Writes a patch for each owner, and says which owners have none.
pub(super) fn write_patches(overview: &Overview, folder: &Path) -> anyhow::Result<()> {
    let (files, left) = patches(overview);
    for PatchFile { folder: namespace, name, text } in &files {
        let place = folder.join(namespace);
        let path = place.join(name);
        let written = fs::create_dir_all(&place).and_then(|()| fs::write(&path, text));
        written.with_context(|| format!("cannot write {:?}", path.display().to_string()))?;
    }
    let patches = counted(files.len(), "patch file");
    say(&left, &format!("wrote {patches} to {:?}", folder.display().to_string()));
    Ok(())
}

/// Prints a policy that lets through what runs today.
pub(super) fn print_exemptions(
    overview: &Overview,
    base: &Builtin,
    until: Date,
) -> anyhow::Result<()> {
    if until < today() {
        bail!("--until: {until} is over");
    }
    let (policy, left) = exempting(overview, base, until).map_err(|why| anyhow!(why))?;
    let text = serde_saphyr::to_string(&policy).context("cannot write YAML")?;
    io::stdout().write_all(text.as_bytes()).context("cannot write to standard output")?;
    say(&left, "");
    Ok(())
}

fn say(left: &[String], end: &str) {
    let mut said: Vec<_> = left.iter().map(|it| format!("left out: {it}\n")).collect();
    if !end.is_empty() {
        said.push(format!("{end}\n"));
    }
    // Standard error may be closed.
    let _ = io::stderr().write_all(said.concat().as_bytes());
}
