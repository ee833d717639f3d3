//! A door to a server that may be another one tomorrow: clients keep its address over restarts.

use std::io;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// A port of its own, behind which there is a server or none.
#[derive(Debug)]
pub struct Proxy {
    address: String,
    target: Arc<Mutex<Option<String>>>,
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
        let target: Arc<Mutex<Option<String>>> = Arc::default();
        let of_acceptor = Arc::clone(&target);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let target = of_acceptor.lock().expect("the target").clone();
                let server = target.and_then(|target| TcpStream::connect(target).ok());
                if let Some(server) = server {
                    join(&client, &server);
                }
            }
        });
        Self { address, target }
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
        *self.target.lock().expect("the target") = Some(target.to_owned());
    }
}

/// Copies both ways, until either side ends.
fn join(client: &TcpStream, server: &TcpStream) {
    let streams = || io::Result::Ok((client.try_clone()?, server.try_clone()?));
    let (Ok((client, server)), Ok((client_again, server_again))) = (streams(), streams()) else {
        return;
    };
    thread::spawn(move || copy(client, server));
    thread::spawn(move || copy(server_again, client_again));
}

fn copy(mut from: TcpStream, mut to: TcpStream) {
    // A connection that breaks has ended.
    let _ = io::copy(&mut from, &mut to);
    let _ = to.shutdown(Shutdown::Both);
    let _ = from.shutdown(Shutdown::Both);
}
