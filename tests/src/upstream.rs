//! A server of schemas that tests start, stop and break.

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// What is answered at a path.
#[derive(Debug, Clone)]
pub enum Reply {
    /// A whole answer: its status, a header line or none, its body.
    Whole(u16, &'static str, Vec<u8>),
    /// The same once [`Upstream::release`] was called.
    Held(Vec<u8>),
    /// The head and the first half of the body, and then nothing more.
    Half(Vec<u8>),
}

#[derive(Debug, Default)]
struct State {
    replies: HashMap<String, Reply>,
    asked: Vec<String>,
    is_released: bool,
    is_over: bool,
}

type Shared = Arc<(Mutex<State>, Condvar)>;

/// A server on a loopback port of its own.
#[derive(Debug)]
pub struct Upstream {
    origin: String,
    shared: Shared,
    acceptor: Option<JoinHandle<()>>,
}

/// Longer than anything here may take.
const PATIENCE: Duration = Duration::from_secs(60);

impl Upstream {
    /// Starts one that has nothing.
    ///
    /// # Panics
    /// When no port is free.
    #[must_use]
    pub fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        let origin = format!("http://{}", listener.local_addr().expect("an address"));
        let shared = Shared::default();
        let of_acceptor = Arc::clone(&shared);
        let acceptor = thread::spawn(move || accept(&listener, &of_acceptor));
        Self {
            origin,
            shared,
            acceptor: Some(acceptor),
        }
    }

    /// Its scheme, host and port.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Sets what is answered at `path`; elsewhere it is 404.
    pub fn reply(&self, path: &str, reply: Reply) {
        self.state(|state| state.replies.insert(path.to_owned(), reply));
    }

    /// Answers `text` at `path`.
    pub fn give(&self, path: &str, text: &str) {
        self.reply(path, Reply::Whole(200, "content-type: text/plain", text.into()));
    }

    /// The paths that were asked for since this was last called.
    #[must_use]
    pub fn take_asked(&self) -> Vec<String> {
        self.state(|state| std::mem::take(&mut state.asked))
    }

    /// Waits until `path` is asked for.
    ///
    /// # Panics
    /// When it never is.
    #[track_caller]
    pub fn wait_until_asked(&self, path: &str) {
        let (state, changed) = &*self.shared;
        let waiting = changed.wait_timeout_while(state.lock().expect("the state"), PATIENCE, |state| {
            !state.asked.iter().any(|asked| asked == path)
        });
        assert!(
            !waiting.expect("the state").1.timed_out(),
            "nobody asked for {path}"
        );
    }

    /// Answers what was held.
    pub fn release(&self) {
        self.state(|state| state.is_released = true);
    }

    /// Stops: from now on nothing listens there.
    pub fn stop(mut self) {
        self.end();
    }

    fn state<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let (state, changed) = &*self.shared;
        let done = change(&mut state.lock().expect("the state"));
        changed.notify_all();
        done
    }

    fn end(&mut self) {
        self.state(|state| state.is_over = true);
        // Wakes the acceptor.
        let _ = TcpStream::connect(self.origin.trim_start_matches("http://"));
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.end();
    }
}

fn accept(listener: &TcpListener, shared: &Shared) {
    let mut connections = Vec::new();
    for stream in listener.incoming().flatten() {
        if shared.0.lock().expect("the state").is_over {
            break;
        }
        let shared = Arc::clone(shared);
        connections.push(thread::spawn(move || {
            // A client may break off whenever it likes.
            let _ = answer(stream, &shared);
        }));
    }
    for connection in connections {
        let _ = connection.join();
    }
}

/// Answers one request, and closes the connection.
fn answer(stream: TcpStream, shared: &Shared) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut lines = BufReader::new(&stream).lines();
    let first = lines.next().unwrap_or_else(|| Ok(String::new()))?;
    let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
    // The head's end; a GET has no body.
    for line in &mut lines {
        if line?.is_empty() {
            break;
        }
    }
    let (state, changed) = &**shared;
    let reply = {
        let mut state = state.lock().expect("the state");
        state.asked.push(path.clone());
        changed.notify_all();
        state.replies.get(&path).cloned()
    };
    let wait_until = |over: fn(&State) -> bool| {
        let state = state.lock().expect("the state");
        let _ = changed.wait_timeout_while(state, PATIENCE, |state| !over(state));
    };
    match reply {
        None => write(&stream, 404, "content-type: text/html", b"<h1>404 Not Found</h1>"),
        Some(Reply::Whole(status, header, body)) => write(&stream, status, header, &body),
        Some(Reply::Held(body)) => {
            wait_until(|state| state.is_released || state.is_over);
            write(&stream, 200, "content-type: text/plain", &body)
        }
        Some(Reply::Half(body)) => {
            write!(
                &stream,
                "HTTP/1.1 200 x\r\ncontent-length: {}\r\n\r\n",
                body.len()
            )?;
            (&stream).write_all(&body[..body.len() / 2])?;
            wait_until(|state| state.is_over);
            Ok(())
        }
    }
}

fn write(mut stream: &TcpStream, status: u16, header: &str, body: &[u8]) -> io::Result<()> {
    write!(
        stream,
        "HTTP/1.1 {status} x\r\nconnection: close\r\n{header}\r\ncontent-length: {}\r\n\r\n",
        body.len()
    )?;
    stream.write_all(body)
}
