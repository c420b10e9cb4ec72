//! Progress on standard error: one line for each step, with its time.
//!
//! Standard output stays free for what a command was asked to print.

use std::io::{self, Write as _};
use std::time::{Duration, Instant};

/// Runs one step and prints its line: the name while it runs, its time when it ends.
pub(crate) fn run<T>(name: &str, work: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<T> {
    run_noted(name, || Ok((work()?, None)))
}

/// Like [`run`], for work that can say something better than its time, as `cached`.
pub(crate) fn run_noted<T>(
    name: &str,
    work: impl FnOnce() -> anyhow::Result<(T, Option<String>)>,
) -> anyhow::Result<T> {
    write(&format!("  {name} … "));
    let started = Instant::now();
    let result = work();
    match &result {
        Ok((_, Some(note))) => write(&format!("{note}\n")),
        Ok((_, None)) => write(&format!("{}\n", spell(started.elapsed()))),
        Err(_) => write(&format!("failed after {}\n", spell(started.elapsed()))),
    }
    result.map(|(value, _)| value)
}

/// Prints the line of a step that had nothing to do.
pub(crate) fn cached(name: &str) {
    write(&format!("  {name} … cached\n"));
}

/// Prints a sentence on a line of its own.
pub(crate) fn say(text: &str) {
    write(&format!("{text}\n"));
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
fn write(text: &str) {
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
