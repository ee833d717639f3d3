//! What an interrupted command says: where to go on.

use std::process;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context as _, Result};

/// The exit code after Ctrl-C, as shells have it: 128 and the number of the signal.
const INTERRUPTED: i32 = 130;

static GO_ON: Mutex<Option<String>> = Mutex::new(None);

/// From now on an interruption says `text`.
pub(crate) fn says(text: String) {
    *GO_ON.lock().unwrap_or_else(PoisonError::into_inner) = Some(text);
}

/// Ends the process at Ctrl-C, SIGTERM or SIGHUP, and says where to go on.
pub(crate) fn install() -> Result<()> {
    ctrlc::set_handler(|| {
        let text = GO_ON.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(text) = text.as_deref() {
            eprintln!("{text}");
        }
        process::exit(INTERRUPTED);
    })
    .context("signals cannot be handled")
}
