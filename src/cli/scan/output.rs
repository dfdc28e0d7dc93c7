//! The forms of an overview, and where they go.

use std::{
    fmt,
    fs::File,
    io::{self, BufWriter, Write},
    str::FromStr,
};

use anyhow::Context;

use crate::{
    report::Destination,
    scan::{Overview, html, reports, text},
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Text,
    Json,
    Html,
    Openreports,
}

/// A form and its destination, written as `FORMAT` or `FORMAT=FILE`.
#[derive(Clone, Debug)]
pub(super) struct Output {
    form: Form,
    destination: Destination,
}

impl Form {
    const ALL: [Self; 4] = [Self::Text, Self::Json, Self::Html, Self::Openreports];

    fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Json => "json",
            Self::Html => "html",
            Self::Openreports => "openreports",
        }
    }
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.form.as_str(), self.destination)
    }
}

impl FromStr for Output {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (form, destination) = Destination::split(text)?;
        let known = Form::ALL.map(Form::as_str);
        let Some(form) = Form::ALL.into_iter().find(|it| it.as_str() == form) else {
            return Err(format!("{form:?} is not a format, only {}", known.join(", ")));
        };
        Ok(Self { form, destination })
    }
}

impl Output {
    pub(super) fn check(all: &[Self]) -> Result<(), String> {
        let destinations: Vec<_> = all.iter().map(|it| &it.destination).collect();
        Destination::check(&destinations, "json=scan.json")
    }

    pub(super) fn write(&self, overview: &Overview) -> anyhow::Result<()> {
        match &self.destination {
            Destination::Stdout => self
                .to(&mut io::stdout().lock(), overview)
                .context("cannot write to standard output"),
            Destination::File(path) => {
                let file = File::create(path).map_err(anyhow::Error::from);
                let written = file.and_then(|it| self.to(&mut BufWriter::new(it), overview));
                written.with_context(|| format!("cannot write {:?}", path.display().to_string()))
            }
        }
    }

    fn to(&self, out: &mut dyn Write, overview: &Overview) -> anyhow::Result<()> {
        match self.form {
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
}
