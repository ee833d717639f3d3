//! A door to a server: clients keep its address over restarts, and things go wrong in it.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// What goes wrong on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// Who connects is hung up on.
    HungUp,
    /// Another server answers in its place, with this text.
    Answered(&'static str),
    /// So many bytes of an answer get through, then the connection is cut; the server has done its work.
    CutAfter(usize),
    /// Answers take so much longer.
    Slow(Duration),
}

/// How long a request may pause before all of it is there, where it is not the server that reads it.
const PAUSE: Duration = Duration::from_millis(200);

/// A port of its own, behind which there is a server or none.
#[derive(Debug)]
pub struct Proxy {
    address: String,
    inside: Arc<Mutex<Inside>>,
}

#[derive(Debug, Default)]
struct Inside {
    target: Option<String>,
    trouble: Option<Trouble>,
    /// Connections from clients.
    open: Vec<TcpStream>,
}

impl Proxy {
    /// Opens one with nothing behind it: who connects is hung up on.
    ///
    /// # Panics
    /// When no port is free.
    #[must_use]
    pub fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let inside: Arc<Mutex<Inside>> = Arc::default();
        let of_acceptor = Arc::clone(&inside);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (target, trouble) = {
                    let mut inside = of_acceptor.lock().expect("the inside");
                    inside.open.extend(client.try_clone());
                    (inside.target.clone(), inside.trouble)
                };
                match trouble {
                    Some(Trouble::HungUp) => drop(client.shutdown(Shutdown::Both)),
                    Some(Trouble::Answered(text)) => drop(thread::spawn(move || answer(client, text))),
                    trouble => {
                        let server = target.and_then(|target| TcpStream::connect(target).ok());
                        match server {
                            Some(server) => join(&client, &server, trouble),
                            None => drop(client.shutdown(Shutdown::Both)),
                        }
                    }
                }
            }
        });
        Self { address, inside }
    }

    /// Where clients connect to, `host:port`.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Leads new connections to `host:port`.
    ///
    /// # Panics
    /// When a thread of it has panicked.
    pub fn lead_to(&self, target: &str) {
        self.inside.lock().expect("the inside").target = Some(target.to_owned());
    }

    /// Makes `trouble`, or ends it; connections from before are cut.
    ///
    /// # Panics
    /// When a thread of it has panicked.
    pub fn make(&self, trouble: Option<Trouble>) {
        let mut inside = self.inside.lock().expect("the inside");
        inside.trouble = trouble;
        for connection in inside.open.drain(..) {
            // It may be closed already.
            let _ = connection.shutdown(Shutdown::Both);
        }
    }
}

/// Answers whatever comes.
fn answer(mut client: TcpStream, text: &str) {
    let _ = client.set_read_timeout(Some(PAUSE));
    let mut buffer = [0; 16 * 1024];
    while client.read(&mut buffer).is_ok_and(|length| length > 0) {}
    let _ = client.write_all(text.as_bytes());
    let _ = client.shutdown(Shutdown::Both);
}

/// Copies both ways, until either side ends.
fn join(client: &TcpStream, server: &TcpStream, trouble: Option<Trouble>) {
    let streams = || io::Result::Ok((client.try_clone()?, server.try_clone()?));
    let (Ok((client, server)), Ok((client_again, server_again))) = (streams(), streams()) else {
        return;
    };
    thread::spawn(move || copy(client, server, None));
    thread::spawn(move || copy(server_again, client_again, trouble));
}

fn copy(mut from: TcpStream, mut to: TcpStream, trouble: Option<Trouble>) {
    // A connection that breaks has ended.
    let _ = match trouble {
        Some(Trouble::CutAfter(bytes)) => cut(&mut from, &mut to, bytes),
        Some(Trouble::Slow(delay)) => slow(&mut from, &mut to, delay),
        _ => io::copy(&mut from, &mut to).map(drop),
    };
    let _ = to.shutdown(Shutdown::Both);
    let _ = from.shutdown(Shutdown::Both);
}

fn cut(from: &mut TcpStream, to: &mut TcpStream, bytes: usize) -> io::Result<()> {
    let mut buffer = [0; 16 * 1024];
    let length = from.read(&mut buffer)?;
    to.write_all(buffer.get(..length.min(bytes)).unwrap_or_default())
}

fn slow(from: &mut TcpStream, to: &mut TcpStream, delay: Duration) -> io::Result<()> {
    let mut buffer = [0; 16 * 1024];
    loop {
        let length = from.read(&mut buffer)?;
        if length == 0 {
            return Ok(());
        }
        thread::sleep(delay);
        to.write_all(buffer.get(..length).unwrap_or_default())?;
    }
}
