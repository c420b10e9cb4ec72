//! A process's output: passed on line by line beside the agent's own lines, and its end kept for
//! error messages. Plain threads do it, so a slow reader of the pod's log slows the process, as it
//! would without an agent, and never the agent.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::mpsc;

/// How many lines are kept.
const KEPT_LINES: usize = 5;

/// The last lines of a process.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tail(Arc<Mutex<VecDeque<String>>>);

impl Tail {
    fn push(&self, line: &[u8]) {
        let line = String::from_utf8_lossy(line).trim_end().to_owned();
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() == KEPT_LINES {
            lines.pop_front();
        }
        lines.push_back(line);
    }

    /// All of them, in one line.
    pub(crate) fn text(&self) -> String {
        let lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lines.iter().cloned().collect::<Vec<_>>().join(" | ")
    }
}

/// Passes everything from this end of a pipe on to standard output, until it is closed; then
/// `open` is dropped.
pub(crate) fn forward(pipe: OwnedFd, tail: Tail, open: mpsc::Sender<()>) -> io::Result<()> {
    std::thread::Builder::new().name("output".to_owned()).spawn(move || {
        let mut reader = BufReader::new(File::from(pipe));
        let mut line = Vec::new();
        while reader.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
            tail.push(&line);
            let mut stdout = io::stdout().lock();
            let _reader_gone = stdout.write_all(&line).and_then(|()| stdout.flush());
            line.clear();
        }
        drop(open);
    })?;
    Ok(())
}
