//! The forms of an overview, and where they go.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
};

use anyhow::Context;

use crate::{
    report::{Destination, Forms, Output},
    scan::{Overview, html, reports, text},
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Text,
    Json,
    Html,
    Openreports,
}

impl Forms for Form {
    const ALL: &'static [Self] = &[Self::Text, Self::Json, Self::Html, Self::Openreports];
    const EXAMPLE: &'static str = "json=scan.json";

    fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Json => "json",
            Self::Html => "html",
            Self::Openreports => "openreports",
        }
    }
}

/// Writes an overview in its form to its destination.
pub(super) fn write(
    Output { form, destination }: &Output<Form>,
    overview: &Overview,
) -> anyhow::Result<()> {
    match destination {
        Destination::Stdout => {
            to(*form, &mut io::stdout().lock(), overview).context("cannot write to standard output")
        }
        Destination::File(path) => {
            let file = File::create(path).map_err(anyhow::Error::from);
            let written = file.and_then(|it| to(*form, &mut BufWriter::new(it), overview));
            written.with_context(|| format!("cannot write {:?}", path.display().to_string()))
        }
    }
}

fn to(form: Form, out: &mut dyn Write, overview: &Overview) -> anyhow::Result<()> {
    match form {
        Form::Text => out.write_all(text(overview).as_bytes())?,
        Form::Openreports => serde_json::to_writer_pretty(&mut *out, &reports(overview))?,
        Form::Html => out.write_all(html(overview)?.as_bytes())?,
        Form::Json => {
            serde_json::to_writer_pretty(&mut *out, overview)?;
            out.write_all(b"\n")?;
        }
    }
    Ok(out.flush()?)
}
