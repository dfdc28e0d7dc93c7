//! The forms of a report, and where it goes.

use std::{fmt, path::PathBuf, str::FromStr};

/// A form in which a report is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Human,
    Json,
    Sarif,
    Junit,
    Github,
    Gitlab,
}

/// Where a report is written to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    Stdout,
    File(PathBuf),
}

/// The forms in which a command writes.
pub trait Forms: Copy + 'static {
    const ALL: &'static [Self];
    /// One of them with a file, for messages.
    const EXAMPLE: &'static str;

    fn as_str(self) -> &'static str;
}

/// A form and its destination, written as `FORMAT` or `FORMAT=FILE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output<F = Form> {
    pub form: F,
    pub destination: Destination,
}

impl Forms for Form {
    const ALL: &'static [Self] =
        &[Self::Human, Self::Json, Self::Sarif, Self::Junit, Self::Github, Self::Gitlab];
    const EXAMPLE: &'static str = "sarif=report.sarif";

    fn as_str(self) -> &'static str {
        match self {
            Self::Human => "human",
            Self::Json => "json",
            Self::Sarif => "sarif",
            Self::Junit => "junit",
            Self::Github => "github",
            Self::Gitlab => "gitlab",
        }
    }
}

impl<F: Forms> fmt::Display for Output<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.form.as_str(), self.destination)
    }
}

impl<F: Forms> FromStr for Output<F> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (form, destination) = Destination::split(text)?;
        let Some(known) = F::ALL.iter().find(|it| it.as_str() == form) else {
            let known: Vec<_> = F::ALL.iter().map(|it| it.as_str()).collect();
            return Err(format!("{form:?} is not a format, only {}", known.join(", ")));
        };
        Ok(Self { form: *known, destination })
    }
}

impl<F: Forms> Output<F> {
    /// Checks that at most one report goes to standard output, and none to the file of another.
    ///
    /// # Errors
    /// Which two collide.
    pub fn check(all: &[Self]) -> Result<(), String> {
        let destinations: Vec<_> = all.iter().map(|it| &it.destination).collect();
        Destination::check(&destinations, F::EXAMPLE)
    }
}

impl Destination {
    /// Splits `FORMAT` or `FORMAT=FILE`.
    fn split(text: &str) -> Result<(&str, Self), String> {
        match text.split_once('=') {
            None => Ok((text, Self::Stdout)),
            Some((form, "")) => Err(format!("a file must follow \"{form}=\"")),
            Some((form, path)) => Ok((form, Self::File(PathBuf::from(path)))),
        }
    }

    /// Checks that no two are the same; `example` names a form with a file.
    fn check(all: &[&Self], example: &str) -> Result<(), String> {
        for (at, it) in all.iter().enumerate() {
            if all[..at].contains(it) {
                return Err(match it {
                    Self::Stdout => format!(
                        "only one format can be written to standard output: give the others a \
                         file, such as {example}"
                    ),
                    Self::File(path) => {
                        let path = path.to_string_lossy();
                        format!("two formats cannot be written to one file, {path:?}")
                    }
                });
            }
        }
        Ok(())
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stdout => Ok(()),
            Self::File(path) => write!(f, "={}", path.display()),
        }
    }
}
