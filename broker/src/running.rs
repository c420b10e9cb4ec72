//! The process that runs now, if one does: the JVM, or `StorageTool`. Shared, so that it can be
//! stopped also by what is left of the agent after a panic.

use std::sync::{Arc, Mutex, PoisonError};

use rustix::process::Signal;

use crate::process::Process;

/// A place for at most one process.
#[derive(Clone, Debug, Default)]
pub(crate) struct Running(Arc<Mutex<Option<Process>>>);

impl Running {
    /// A process has been started.
    pub(crate) fn set(&self, process: Process) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(process);
    }

    /// It is gone.
    pub(crate) fn clear(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// The process.
    pub(crate) fn get(&self) -> Option<Process> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Sends it a signal, if there is one.
    pub(crate) fn signal(&self, signal: Signal) {
        if let Some(process) = self.get() {
            process.signal(signal);
        }
    }
}
