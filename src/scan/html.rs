//! The overview as one page that loads nothing.
//!
//! What the cluster says is data: it stands in the page as JSON without any character that HTML
//! gives a meaning, and the script makes text of it. The policy of the page permits only this
//! script and this style.

use std::{
    collections::BTreeMap,
    fmt::{self, Write},
};

use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine, prelude::BASE64_STANDARD};
use serde::Serialize;

use super::Overview;
use crate::policy::RULES;

const PAGE: &str = include_str!("page/page.html");
const STYLE: &str = include_str!("page/page.css");
const SCRIPT: &str = include_str!("page/page.js");

#[derive(Serialize)]
struct Data<'a> {
    overview: &'a Overview,
    /// The pages of the rules.
    pages: BTreeMap<&'static str, &'static str>,
}

/// The whole page.
///
/// # Errors
/// Never: it is written to a string.
pub fn html(overview: &Overview) -> Result<String, fmt::Error> {
    let pages = RULES.iter().map(|it| (it.id, it.page)).collect();
    let data = serde_json::to_string(&Data { overview, pages }).map_err(|_| fmt::Error)?;
    let mut page = String::with_capacity(data.len() + PAGE.len() + STYLE.len() + SCRIPT.len());
    let mut parts = PAGE.split('@');
    page.push_str(parts.next().unwrap_or_default());
    while let (Some(name), Some(text)) = (parts.next(), parts.next()) {
        match name {
            "SCRIPT_HASH" => page.push_str(&source_of(SCRIPT)),
            "STYLE_HASH" => page.push_str(&source_of(STYLE)),
            "STYLE" => page.push_str(STYLE),
            "SCRIPT" => page.push_str(SCRIPT),
            _ => escaped(&data, &mut page)?,
        }
        page.push_str(text);
    }
    Ok(page)
}

/// The text as a source of a Content-Security-Policy.
fn source_of(text: &str) -> String {
    format!("sha256-{}", BASE64_STANDARD.encode(digest(&SHA256, text.as_bytes())))
}

/// JSON in which no string can end the element that it stands in.
fn escaped(json: &str, page: &mut String) -> fmt::Result {
    for it in json.chars() {
        match it {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => write!(page, "\\u{:04x}", u32::from(it))?,
            it => page.push(it),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_cannot_end_its_element_and_stays_the_same_data() {
        let text = "</script><script>alert(1)</script><!-- & \u{2028}";
        let mut found = String::new();
        escaped(&serde_json::to_string(text).unwrap(), &mut found).unwrap();
        assert!(!found.contains(['<', '>', '&', '\u{2028}']), "{found}");
        assert_eq!(serde_json::from_str::<String>(&found).unwrap(), text);
    }

    /// The policy of the page has no hash for anything else, and neither text ends its element.
    #[test]
    fn the_script_and_the_style_do_not_end_their_elements() {
        assert!(!SCRIPT.contains("</") && !SCRIPT.contains("<!--") && !STYLE.contains("</"));
        assert!(!SCRIPT.contains("innerHTML") && !SCRIPT.contains("://"));
        assert!(!PAGE.contains("://"));
    }
}
