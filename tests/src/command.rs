//! The `eventstar` command, run as users run it.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::instance::{Instance, setting};

/// What a command that has ended said.
#[derive(Debug)]
pub struct Said {
    /// Its exit code.
    pub code: Option<i32>,
    /// Its standard output.
    pub out: String,
    /// Its standard error.
    pub log: String,
}

/// A command that runs. Dropping it ends it.
#[derive(Debug)]
pub struct Running {
    child: Child,
    /// Its standard input.
    pub input: Option<ChildStdin>,
    out: Option<BufReader<ChildStdout>>,
    log: Option<ChildStderr>,
}

/// Starts `eventstar` with the tokens of an instance.
///
/// # Panics
/// When it cannot be started.
#[must_use]
#[track_caller]
pub fn start(instance: &Instance, arguments: &[&str]) -> Running {
    let mut child = Command::new(setting("EVENTSTAR_COMMAND"))
        .args(arguments)
        .env("EVENTSTAR_ADMIN_TOKEN", &instance.admin_token)
        .env("EVENTSTAR_PRODUCER_TOKEN", &instance.producer_token)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program EVENTSTAR_COMMAND names");
    Running {
        input: child.stdin.take(),
        out: child.stdout.take().map(BufReader::new),
        log: child.stderr.take(),
        child,
    }
}

/// Runs `eventstar` to its end.
///
/// # Panics
/// When it cannot be run.
#[must_use]
#[track_caller]
pub fn run(instance: &Instance, arguments: &[&str]) -> Said {
    start(instance, arguments).end()
}

impl Running {
    /// Writes to its standard input.
    ///
    /// # Panics
    /// When it does not read.
    pub fn write(&mut self, text: &str) {
        let input = self.input.as_mut().expect("its input is open");
        input.write_all(text.as_bytes()).expect("it reads");
        input.flush().expect("it reads");
    }

    /// The next line of its standard output.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn line(&mut self) -> String {
        let mut line = String::new();
        let out = self.out.as_mut().expect("its output is read");
        out.read_line(&mut line).expect("text");
        assert!(line.ends_with('\n'), "a line, not {line:?}");
        line.trim_end().to_owned()
    }

    /// Goes away as the reader of its output.
    pub fn hang_up(&mut self) {
        self.out = None;
    }

    /// Interrupts it, as Ctrl-C does.
    ///
    /// # Panics
    /// When it has ended already.
    pub fn interrupt(&self) {
        let process = Pid::from_raw(i32::try_from(self.child.id()).expect("a process id"));
        kill(process, Signal::SIGINT).expect("it runs");
    }

    /// Closes its input and waits for its end.
    ///
    /// # Panics
    /// When what it wrote is no text.
    #[must_use]
    pub fn end(mut self) -> Said {
        self.input = None;
        let (mut out, mut log) = (String::new(), String::new());
        std::thread::scope(|scope| {
            if let Some(mut rest) = self.log.take() {
                let log = &mut log;
                scope.spawn(move || rest.read_to_string(log).expect("text"));
            }
            if let Some(mut rest) = self.out.take() {
                rest.read_to_string(&mut out).expect("text");
            }
        });
        let code = self.child.wait().expect("a child").code();
        Said { code, out, log }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It has ended already, unless the test failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
