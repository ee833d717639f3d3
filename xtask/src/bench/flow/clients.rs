//! The SSE clients: one thread that reads whichever connection has something, so that they take little of the machine.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::os::fd::AsFd as _;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::body::Body;
use super::{Arrival, micros};
use crate::bench::load::connect;

/// Within this all connections must be open.
const OPEN_TIMEOUT: Duration = Duration::from_secs(60);

/// Bytes read at once.
const BUFFER: usize = 256 * 1024;

/// Connections that read one stream.
pub(in crate::bench) struct Clients {
    open: Vec<Client>,
    buffer: Vec<u8>,
}

struct Client {
    stream: TcpStream,
    body: Body,
}

impl Clients {
    /// Connects, and waits until every stream is open: no event posted after that is missed.
    pub(in crate::bench) fn connect(port: u16, path: &str, count: usize) -> Result<Self> {
        let request =
            format!("GET {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\naccept: text/event-stream\r\n\r\n");
        let mut open = Vec::new();
        for _ in 0..count {
            let mut stream = connect(port)?;
            stream.write_all(request.as_bytes())?;
            stream.set_nonblocking(true)?;
            open.push(Client {
                stream,
                body: Body::new(),
            });
        }
        let mut clients = Self {
            open,
            buffer: vec![0; BUFFER],
        };
        let until = Instant::now() + OPEN_TIMEOUT;
        while clients.open.iter().any(|client| !client.body.opened) {
            ensure!(Instant::now() < until, "not all of {count} streams open");
            clients.read_ready(until, &mut |_| {})?;
        }
        ensure!(
            clients.open.len() == count,
            "the server closed connections at once"
        );
        Ok(clients)
    }

    /// Reads until `until`, or until `expected` events that were due at `from` or later have come.
    pub(super) fn receive(&mut self, from: u64, expected: usize, until: Instant) -> Result<Vec<Arrival>> {
        let mut arrivals = Vec::with_capacity(expected);
        while arrivals.len() < expected && Instant::now() < until {
            let mut dues = Vec::new();
            self.read_ready(until, &mut |due| dues.push(due))?;
            let at = micros();
            // Those of before are late ones of the rate before.
            let dues = dues.into_iter().filter(|due| *due >= from);
            arrivals.extend(dues.map(|due| Arrival { due, at }));
        }
        Ok(arrivals)
    }

    /// How many the server has not sent away.
    pub(in crate::bench) fn open(&self) -> usize {
        self.open.len()
    }

    /// Waits for something to read, and reads it.
    fn read_ready(&mut self, until: Instant, event: &mut impl FnMut(u64)) -> Result<()> {
        let ready = self.ready(until)?;
        let buffer = &mut self.buffer;
        let mut ready = ready.into_iter();
        let mut problem = None;
        self.open.retain_mut(|client| {
            if !ready.next().unwrap_or_default() || problem.is_some() {
                return true;
            }
            match client.read(buffer, event) {
                Ok(goes_on) => goes_on,
                Err(error) => {
                    problem = Some(error);
                    true
                }
            }
        });
        problem.map_or(Ok(()), Err)
    }

    /// Which connections have something to read.
    fn ready(&self, until: Instant) -> Result<Vec<bool>> {
        let left = until.saturating_duration_since(Instant::now());
        let timeout = PollTimeout::try_from(left.min(Duration::from_secs(1)))?;
        let mut polled: Vec<PollFd> = self
            .open
            .iter()
            .map(|client| PollFd::new(client.stream.as_fd(), PollFlags::POLLIN))
            .collect();
        match poll(&mut polled, timeout) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(error).context("connections cannot be waited for"),
        }
        Ok(polled.iter().map(|each| each.any().unwrap_or_default()).collect())
    }
}

impl Client {
    /// Reads once; whether the connection goes on.
    fn read(&mut self, buffer: &mut [u8], event: &mut impl FnMut(u64)) -> Result<bool> {
        match self.stream.read(buffer) {
            Ok(0) => Ok(false),
            Ok(size) => {
                self.body.push(buffer.get(..size).unwrap_or_default(), event)?;
                Ok(true)
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => Ok(true),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => Ok(false),
            Err(error) => Err(error).context("a connection cannot be read"),
        }
    }
}
