//! A port before the REST proxy that counts the produce requests to it.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use anyhow::{Context as _, Result};
use memchr::memmem;

/// How a produce request begins. Keys and values travel in base64, so that no body has this in it.
const PRODUCE: &[u8] = b"POST /topics/";

/// Bytes copied at once.
const BUFFER: usize = 64 * 1024;

/// Leads connections to another port of the loopback interface, until this program ends.
#[derive(Debug)]
pub(super) struct Forwarder {
    pub(super) port: u16,
    requests: Arc<AtomicU64>,
}

impl Forwarder {
    pub(super) fn start(to: u16) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no port is free")?;
        let port = listener.local_addr()?.port();
        let requests: Arc<AtomicU64> = Arc::default();
        let count = Arc::clone(&requests);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                // A connection that fails is one that the proxy has refused.
                let _ = join(client, to, &count);
            }
        });
        Ok(Self { port, requests })
    }

    /// How many produce requests have come.
    pub(super) fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }
}

/// Copies both ways, until either side ends.
fn join(client: TcpStream, to: u16, requests: &Arc<AtomicU64>) -> io::Result<()> {
    let server = TcpStream::connect((Ipv4Addr::LOCALHOST, to))?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (answers, client_again) = (server.try_clone()?, client.try_clone()?);
    let requests = Arc::clone(requests);
    let mut counter = Counter::default();
    thread::spawn(move || {
        copy(client, server, |piece| {
            requests.fetch_add(counter.push(piece), Ordering::Relaxed);
        });
    });
    thread::spawn(move || copy(answers, client_again, |_| {}));
    Ok(())
}

fn copy(mut from: TcpStream, mut to: TcpStream, mut look: impl FnMut(&[u8])) {
    let mut buffer = vec![0; BUFFER];
    while let Ok(size @ 1..) = from.read(&mut buffer) {
        let piece = buffer.get(..size).unwrap_or_default();
        look(piece);
        if to.write_all(piece).is_err() {
            break;
        }
    }
    // Either may be closed already.
    let _ = to.shutdown(Shutdown::Both);
    let _ = from.shutdown(Shutdown::Both);
}

/// Counts produce requests in the pieces of a connection.
#[derive(Default)]
struct Counter {
    /// The end of what came, where a request may begin.
    rest: Vec<u8>,
}

impl Counter {
    /// How many requests have begun with this piece.
    fn push(&mut self, piece: &[u8]) -> u64 {
        self.rest.extend_from_slice(piece);
        let found = memmem::find_iter(&self.rest, PRODUCE).count();
        // Too short to be counted again.
        let kept = self.rest.len().min(PRODUCE.len() - 1);
        self.rest.drain(..self.rest.len() - kept);
        found as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::http::{Answers, post};

    #[test]
    fn requests_are_counted_however_they_are_cut() {
        let text = b"POST /topics/a HTTP/1.1\r\n\r\n{}GET /topics/a HTTP/1.1\r\n\r\nPOST /consumers/a HTTP/1.1\r\n\r\nPOST /topics/b HTTP/1.1\r\n\r\n";
        for size in 1..=text.len() {
            let mut counter = Counter::default();
            let found: u64 = text.chunks(size).map(|piece| counter.push(piece)).sum();
            assert_eq!(found, 2, "pieces of {size}");
        }
    }

    #[test]
    fn requests_and_answers_get_through() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let server = listener.local_addr().unwrap().port();
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut buffer = [0; 1024];
            while stream.read(&mut buffer).unwrap() > 0 {
                stream
                    .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")
                    .unwrap();
            }
        });
        let forwarder = Forwarder::start(server).unwrap();
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, forwarder.port)).unwrap();
        let mut answers = Answers::new(stream.try_clone().unwrap());
        for sent in 1..=3 {
            stream.write_all(&post(server, "/topics/a", "{}")).unwrap();
            assert_eq!(answers.next().unwrap(), (200, b"{}".as_slice()));
            assert_eq!(forwarder.requests(), sent);
        }
    }
}
