//! A progress bar on a terminal, and a line a step elsewhere.

use std::io::{self, IsTerminal as _, Write};

/// How many characters the bar has.
const WIDTH: usize = 30;

/// Progress of one task.
pub(crate) struct Progress<'l> {
    log: &'l mut dyn Write,
    is_terminal: bool,
    task: String,
    /// Whether the line on the terminal has not ended.
    is_open: bool,
}

impl<'l> Progress<'l> {
    /// Progress that is shown on `log`, which stands for standard error.
    pub(crate) fn new(log: &'l mut dyn Write, task: &str) -> Self {
        Self {
            log,
            is_terminal: io::stderr().is_terminal(),
            task: task.to_owned(),
            is_open: false,
        }
    }

    /// Shows that so many events are done, where nobody knows of how many.
    pub(crate) fn count(&mut self, done: usize) {
        let _ = if self.is_terminal {
            self.is_open = true;
            write!(self.log, "\r{}: {done} events", self.task).and_then(|()| self.log.flush())
        } else {
            writeln!(self.log, "{}: {done} events", self.task)
        };
    }

    /// Ends the line that counts.
    pub(crate) fn end(&mut self) {
        if std::mem::take(&mut self.is_open) {
            let _ = writeln!(self.log);
        }
    }

    /// Shows that `done` of `total` are done. That it cannot be shown is no reason to stop.
    pub(crate) fn show(&mut self, done: usize, total: usize) {
        let line = bar(&self.task, done, total);
        let _ = match (self.is_terminal, done == total) {
            (true, false) => write!(self.log, "\r{line}").and_then(|()| self.log.flush()),
            (true, true) => writeln!(self.log, "\r{line}"),
            (false, _) => writeln!(self.log, "{}: {done} of {total}", self.task),
        };
    }
}

/// What else is to be said stands on lines of its own.
impl Write for Progress<'_> {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        self.end();
        self.log.write(text)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.log.flush()
    }
}

fn bar(task: &str, done: usize, total: usize) -> String {
    let filled = (done * WIDTH).checked_div(total).unwrap_or(WIDTH).min(WIDTH);
    format!(
        "{task} [{}{}] {done}/{total}",
        "#".repeat(filled),
        " ".repeat(WIDTH - filled)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_fills_as_far_as_is_done() {
        assert_eq!(bar("x", 0, 2), format!("x [{}] 0/2", " ".repeat(30)));
        assert_eq!(
            bar("x", 1, 2),
            format!("x [{}{}] 1/2", "#".repeat(15), " ".repeat(15))
        );
        assert_eq!(bar("x", 2, 2), format!("x [{}] 2/2", "#".repeat(30)));
        assert_eq!(bar("x", 0, 0), format!("x [{}] 0/0", "#".repeat(30)));
    }
}
