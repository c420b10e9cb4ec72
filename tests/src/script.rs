//! Scripts that read as documentation: commands to a model world, each with what it answers
//! beneath.
//!
//! A line that begins with `#` is a comment and one that begins with `> ` a command. All other
//! lines are answers, which are written by the test itself when `OTTLA_GENERATE` is set.

use std::path::Path;

use anyhow::{Context, Result};

mod command;
mod settle;
mod versions;

use command::Stage;
pub use settle::live;
use versions::Versions;

/// Runs a script and returns it with the answers of today.
///
/// # Errors
/// A command that is not understood, a broken law, or a world that does not settle.
pub fn run(script: &str, root: &Path) -> Result<String> {
    let mut stage = Stage::new(root);
    let mut versions = Versions::default();
    let mut text = String::new();
    let mut before = Line::None;
    for (number, line) in script.lines().enumerate() {
        if line.starts_with('#') {
            if matches!(before, Line::Command | Line::Answered) {
                text.push('\n');
            }
            text.push_str(&format!("{line}\n"));
            before = Line::Comment;
        } else if let Some(command) = line.strip_prefix("> ") {
            let answer = stage
                .command(command)
                .with_context(|| format!("line {}: {command}", number + 1))?;
            let answer = versions.count(&answer);
            if matches!(before, Line::Answered) {
                text.push('\n');
            }
            text.push_str(&format!("> {command}\n{answer}"));
            before = if answer.is_empty() { Line::Command } else { Line::Answered };
        }
    }
    Ok(text)
}

enum Line {
    None,
    Comment,
    Command,
    Answered,
}
