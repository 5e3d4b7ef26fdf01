//! `hermes replay --html`: a page that shows a trace on a timeline, beside the same as text.
//!
//! One file without a network: style, script and data are in it.

use std::io;

use super::story::Story;
use crate::output;

const PAGE: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

pub(super) fn print(story: &Story) -> io::Result<()> {
    // In a script `</` would end it; JSON allows to escape the slash.
    let data = serde_json::to_string(story)?.replace("</", "<\\/").replace("<!--", "<\\u0021--");
    let mut page = PAGE;
    for (mark, content) in [("/*STYLE*/", STYLE), ("/*DATA*/", &data), ("/*SCRIPT*/", SCRIPT)] {
        let (before, after) = page.split_once(mark).unwrap_or((page, ""));
        output::text(before)?;
        output::text(content)?;
        page = after;
    }
    output::line(page.trim_end())
}
