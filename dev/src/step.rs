//! Progress on standard error: one line for each step, with its time.
//!
//! Standard output stays free for what a command was asked to print.

use std::io::{self, Write as _};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// The step whose line still lacks its end. Steps can run side by side; a line has one owner.
static OPEN_LINE: Mutex<Option<String>> = Mutex::new(None);

/// Runs one step and prints its line: the name while it runs, its time when it ends.
pub(crate) fn run<T>(name: &str, work: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<T> {
    run_noted(name, || Ok((work()?, None)))
}

/// Like [`run`], for work that can say something better than its time, as `cached`.
pub(crate) fn run_noted<T>(
    name: &str,
    work: impl FnOnce() -> anyhow::Result<(T, Option<String>)>,
) -> anyhow::Result<T> {
    open(name);
    let started = Instant::now();
    let result = work();
    match &result {
        Ok((_, Some(note))) => close(name, note),
        Ok((_, None)) => close(name, &spell(started.elapsed())),
        Err(_) => close(name, &format!("failed after {}", spell(started.elapsed()))),
    }
    result.map(|(value, _)| value)
}

/// Does both at once, and fails with the error of the first if both fail.
pub(crate) fn side_by_side<A: Send, B>(
    one: impl FnOnce() -> anyhow::Result<A> + Send,
    other: impl FnOnce() -> anyhow::Result<B>,
) -> anyhow::Result<(A, B)> {
    thread::scope(|scope| {
        let one = scope.spawn(one);
        let other = other();
        let one = one.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        Ok((one?, other?))
    })
}

/// Prints the line of a step that had nothing to do.
pub(crate) fn cached(name: &str) {
    close(name, "cached");
}

/// Prints a sentence on a line of its own.
pub(crate) fn say(text: &str) {
    write(|open_line| format!("{}{text}\n", end_of(open_line)));
}

/// Begins the line of a step.
fn open(name: &str) {
    write(|open_line| {
        let end = end_of(open_line);
        *open_line = Some(name.to_owned());
        format!("{end}  {name} … ")
    });
}

/// Ends the line of a step, or writes the whole of it where another has written since.
fn close(name: &str, note: &str) {
    write(|open_line| match open_line.take() {
        Some(open) if open == name => format!("{note}\n"),
        mut other => format!("{}  {name} … {note}\n", end_of(&mut other)),
    });
}

/// What must be written before a new line can begin.
fn end_of(open_line: &mut Option<String>) -> &'static str {
    if open_line.take().is_some() { "\n" } else { "" }
}

/// A duration as a person reads it: `0.4s`, `17s`, `4m31s`.
pub(crate) fn spell(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..10 => format!("{:.1}s", duration.as_secs_f64()),
        10..60 => format!("{seconds}s"),
        _ => format!("{}m{:02}s", seconds / 60, seconds % 60),
    }
}

/// A lost line of progress is no reason to stop the work it speaks of.
fn write(text: impl FnOnce(&mut Option<String>) -> String) {
    let mut open_line = OPEN_LINE.lock().unwrap_or_else(PoisonError::into_inner);
    let text = text(&mut open_line);
    let mut stderr = io::stderr().lock();
    let _ = stderr.write_all(text.as_bytes()).and_then(|()| stderr.flush());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_spelled_for_people() {
        assert_eq!(spell(Duration::from_millis(420)), "0.4s");
        assert_eq!(spell(Duration::from_millis(17_900)), "17s");
        assert_eq!(spell(Duration::from_secs(271)), "4m31s");
    }
}
