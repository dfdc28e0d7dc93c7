//! Answers which documents callgate reads in YAML, one text a line, for `TestYAMLIsReadAsKubectlReadsIt`.

use std::io::{self, BufRead, Write};

use callgate::yaml;
use serde::Serialize;
use serde_json::value::RawValue;

#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum Answer {
    Value(Box<RawValue>),
    Mistake(String),
}

fn main() -> io::Result<()> {
    let mut out = io::stdout().lock();
    for line in io::stdin().lock().lines() {
        let text: String = serde_json::from_str(&line?).expect("it is a text");
        let answers = yaml::documents(&text).map(|it| match it {
            Ok(it) => Answer::Value(RawValue::from_string(it.json(it.root())).expect("it is JSON")),
            Err(it) => Answer::Mistake(it.message),
        });
        let answers = answers.collect::<Vec<_>>();
        writeln!(out, "{}", serde_json::to_string(&answers).expect("it is JSON"))?;
        out.flush()?;
    }
    Ok(())
}
