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

/// A form and its destination, written as `FORMAT` or `FORMAT=FILE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    pub form: Form,
    pub destination: Destination,
}

impl Form {
    pub const ALL: [Self; 6] =
        [Self::Human, Self::Json, Self::Sarif, Self::Junit, Self::Github, Self::Gitlab];

    pub fn as_str(self) -> &'static str {
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

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.form.as_str())?;
        match &self.destination {
            Destination::Stdout => Ok(()),
            Destination::File(path) => write!(f, "={}", path.display()),
        }
    }
}

impl FromStr for Output {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (form, path) = match text.split_once('=') {
            Some((form, path)) => (form, Some(path)),
            None => (text, None),
        };
        let known = Form::ALL.map(Form::as_str);
        let Some(form) = Form::ALL.into_iter().find(|it| it.as_str() == form) else {
            return Err(format!("{form:?} is not a format, only {}", known.join(", ")));
        };
        let destination = match path {
            None => Destination::Stdout,
            Some("") => return Err(format!("a file must follow \"{}=\"", form.as_str())),
            Some(path) => Destination::File(PathBuf::from(path)),
        };
        Ok(Self { form, destination })
    }
}

impl Output {
    /// Checks that at most one report goes to standard output, and none to the file of another.
    ///
    /// # Errors
    /// Which two collide.
    pub fn check(all: &[Self]) -> Result<(), String> {
        for (at, it) in all.iter().enumerate() {
            if all[..at].iter().any(|other| other.destination == it.destination) {
                return Err(match &it.destination {
                    Destination::Stdout => "only one format can be written to standard output: \
                         give the others a file, such as sarif=report.sarif"
                        .to_owned(),
                    Destination::File(path) => {
                        format!(
                            "two formats cannot be written to one file, {:?}",
                            path.to_string_lossy()
                        )
                    }
                });
            }
        }
        Ok(())
    }
}
