//! Running other programs, with errors that show what was run and what it said.

use std::env;
use std::ffi::OsString;
use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use anyhow::{Context as _, bail};

/// How much of a failed program's last words an error repeats.
const LAST_LINES: usize = 12;

/// Where the programs of a system are, as `PATH` has it.
pub(crate) const PROGRAM_FOLDERS: &str =
    "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A command made of a program and its arguments. It is looked for, and looks for others, in the
/// folders of the system too: root by a plain `su` has a `PATH` without `/usr/sbin`.
pub(crate) fn command<I, S>(program: impl AsRef<std::ffi::OsStr>, arguments: I) -> Command
where
    I: IntoIterator<Item = S>,
    S: AsRef<std::ffi::OsStr>,
{
    let mut command = Command::new(program);
    command.args(arguments).env("PATH", search_path(env::var_os("PATH")));
    command
}

/// Runs the command to its end and returns what it wrote to standard output.
pub(crate) fn run(command: &mut Command) -> anyhow::Result<String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("could not run `{}`", spell(command)))?;
    judge(command, output)
}

/// Like [`run`], with `input` on the command's standard input.
pub(crate) fn run_with_input(command: &mut Command, input: &[u8]) -> anyhow::Result<String> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("could not run `{}`", spell(command)))?;
    if let Some(mut stdin) = child.stdin.take() {
        // A program that ends early closes the pipe; its exit status tells more than EPIPE.
        let _ = stdin.write_all(input);
    }
    let output = child.wait_with_output()?;
    judge(command, output)
}

/// Whether the command runs and succeeds; what it says is dropped.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Whether a program of this name is on the search path.
pub(crate) fn is_on_path(program: &str) -> bool {
    let path = search_path(env::var_os("PATH"));
    env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

/// The caller's own folders come first.
fn search_path(callers: Option<OsString>) -> OsString {
    let Some(mut path) = callers else { return PROGRAM_FOLDERS.into() };
    path.push(":");
    path.push(PROGRAM_FOLDERS);
    path
}

fn judge(command: &Command, output: Output) -> anyhow::Result<String> {
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = if output.stderr.is_empty() { &output.stdout } else { &output.stderr };
    bail!("`{}` ended with {}\n{}", spell(command), output.status, last_lines(said));
}

/// The command line as a person would type it.
fn spell(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let words: Vec<String> = words.map(|word| quote(&word.to_string_lossy())).collect();
    words.join(" ")
}

fn quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=+./:,@%^".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

fn last_lines(said: &[u8]) -> String {
    let text = String::from_utf8_lossy(said);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LAST_LINES)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_shows_the_command_line_and_the_last_words() {
        let error = run(&mut command("sh", ["-c", "seq 1 40 >&2; exit 3"])).unwrap_err();
        let text = error.to_string();
        assert!(text.starts_with("`sh -c 'seq 1 40 >&2; exit 3'` ended with exit status: 3\n29\n"));
        assert!(text.ends_with("\n40"));
    }

    #[test]
    fn a_missing_program_is_named() {
        let error = run(&mut command("no-such-program", ["-x"])).unwrap_err();
        assert_eq!(error.to_string(), "could not run `no-such-program -x`");
    }

    #[test]
    fn programs_of_the_system_are_found_after_the_callers_own() {
        let path = search_path(Some("/opt/bin:/usr/bin".into()));
        assert_eq!(path, *format!("/opt/bin:/usr/bin:{PROGRAM_FOLDERS}"));
        assert_eq!(search_path(None), PROGRAM_FOLDERS);
        assert!(is_on_path("sh"));
    }

    #[test]
    fn input_reaches_the_program() {
        assert_eq!(run_with_input(&mut command("cat", ["-"]), b"words").unwrap(), "words");
    }
}
