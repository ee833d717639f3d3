//! The load generator: a thread a connection, each sending one request at a time.

use std::io::Write as _;
use std::net::{Ipv4Addr, TcpStream};
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail};

use super::figures::Figures;
use super::http::Answers;
use super::pack::{Member, Pack};

/// A server that needs longer for one request hangs.
const TIMEOUT: Duration = Duration::from_secs(30);

/// When requests are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pace {
    /// Each connection sends the next request when it has the answer to the one before.
    AnswerByAnswer,
    /// Evenly, this many a second over all connections, however long the answers take.
    EverySecond(u32),
}

/// Requests to send to one server.
#[derive(Debug)]
pub(super) struct Load<'a> {
    pub(super) port: u16,
    /// Their texts, sent in turn.
    pub(super) requests: &'a [Vec<u8>],
    pub(super) connections: usize,
    pub(super) pace: Pace,
}

/// What the connections of a run share.
struct Run<'a> {
    load: &'a Load<'a>,
    duration: Duration,
    sent: AtomicUsize,
    ready: Barrier,
}

impl Load<'_> {
    /// Sends for as long; an answer other than 201 is an error.
    pub(super) fn run(&self, duration: Duration) -> Result<Figures> {
        let mut streams = Vec::new();
        for _ in 0..self.connections {
            let stream = connect(self.port)?;
            streams.push((stream.try_clone()?, Answers::new(stream)));
        }
        let run = Run {
            load: self,
            duration,
            sent: AtomicUsize::new(0),
            ready: Barrier::new(streams.len()),
        };
        let pack = Pack::new(streams.len());
        let results: Vec<Result<Connection>> = thread::scope(|scope| {
            let run = &run;
            let threads: Vec<_> = streams
                .into_iter()
                .zip(pack.members())
                .map(|((stream, answers), member)| {
                    scope.spawn(move || run.connection(stream, answers, &member))
                })
                .collect();
            threads
                .into_iter()
                .map(|thread| {
                    thread
                        .join()
                        .unwrap_or_else(|_| Err(anyhow!("the load generator has a mistake")))
                })
                .collect()
        });
        let mut latencies = Vec::new();
        // The last request of a schedule is due, and perhaps answered, before its end.
        let mut elapsed = duration;
        for result in results {
            let connection = result?;
            elapsed = elapsed.max(connection.elapsed);
            latencies.extend(connection.latencies);
        }
        Ok(Figures::of(latencies, elapsed))
    }
}

/// What one connection saw.
struct Connection {
    latencies: Vec<Duration>,
    elapsed: Duration,
}

impl Run<'_> {
    fn connection(
        &self,
        mut stream: TcpStream,
        mut answers: Answers<TcpStream>,
        member: &Member,
    ) -> Result<Connection> {
        let mut latencies = Vec::new();
        self.ready.wait();
        let start = Instant::now();
        let end = start + self.duration;
        loop {
            if self.load.pace == Pace::AnswerByAnswer {
                member.wait();
            }
            let number = self.sent.fetch_add(1, Ordering::Relaxed);
            let now = Instant::now();
            // A latency counts from when the request was due. A server that stalls delays the requests behind the one
            // it stalled in, and those must not look fast.
            let due = match self.load.pace {
                Pace::AnswerByAnswer => now,
                Pace::EverySecond(rate) => start + due_after(number, rate),
            };
            // A server that cannot keep the rate is left behind schedule no longer than the schedule lasts.
            if due >= end || now >= end + self.duration {
                break;
            }
            thread::sleep(due.saturating_duration_since(now));
            let request = number.checked_rem(self.load.requests.len());
            let request = request
                .and_then(|turn| self.load.requests.get(turn))
                .context("nothing to send")?;
            stream
                .write_all(request)
                .context("the server closed a connection")?;
            let (status, body) = answers.next().context("no answer")?;
            if status != 201 {
                bail!("answered {status}: {}", String::from_utf8_lossy(body));
            }
            latencies.push(due.elapsed());
            member.answered();
        }
        let elapsed = start.elapsed();
        Ok(Connection { latencies, elapsed })
    }
}

pub(super) fn connect(port: u16) -> Result<TcpStream> {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).context("the server does not listen")?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    Ok(stream)
}

/// When a request is due, counted from the start.
pub(super) fn due_after(number: usize, rate: u32) -> Duration {
    Duration::from_secs_f64(number as f64 / f64::from(rate))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    /// A server that answers each request with `answer` after `delays`, in turn, and then at once.
    fn serve(answer: &'static str, delays: Vec<Duration>) -> u16 {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut requests = Answers::new(stream.try_clone().unwrap());
            let mut delays = delays.into_iter();
            // A request ends like an answer does; the one sent here has a number where an answer has its status.
            while requests.next().is_ok() {
                thread::sleep(delays.next().unwrap_or_default());
                stream.write_all(answer.as_bytes()).unwrap();
            }
        });
        port
    }

    const CREATED: &str = "HTTP/1.1 201 Created\r\ncontent-length: 0\r\n\r\n";

    fn requests() -> Vec<Vec<u8>> {
        vec![b"POST 1 HTTP/1.1\r\ncontent-length: 0\r\n\r\n".to_vec()]
    }

    #[test]
    fn a_stall_delays_the_requests_that_were_due_meanwhile() {
        let requests = requests();
        let load = Load {
            port: serve(CREATED, vec![Duration::from_millis(300)]),
            requests: &requests,
            connections: 1,
            pace: Pace::EverySecond(100),
        };
        let figures = load.run(Duration::from_millis(400)).unwrap();
        // Of 40 requests, 30 were due while the server stalled: the median of the delays is far from nothing.
        assert!((50.0..300.0).contains(&figures.p50), "{figures:?}");
        assert!((60.0..=101.0).contains(&figures.per_second), "{figures:?}");
    }

    #[test]
    fn without_a_rate_requests_follow_answers() {
        let requests = requests();
        let load = Load {
            port: serve(CREATED, vec![Duration::from_millis(5); 10_000]),
            requests: &requests,
            connections: 1,
            pace: Pace::AnswerByAnswer,
        };
        let figures = load.run(Duration::from_millis(200)).unwrap();
        assert!(figures.per_second <= 200.0 && figures.p50 >= 5.0, "{figures:?}");
    }

    #[test]
    fn an_answer_other_than_201_is_no_measurement() {
        let requests = requests();
        let load = Load {
            port: serve(
                "HTTP/1.1 400 Bad Request\r\ncontent-length: 3\r\n\r\nwhy",
                Vec::new(),
            ),
            requests: &requests,
            connections: 1,
            pace: Pace::AnswerByAnswer,
        };
        let error = load.run(Duration::from_millis(100)).unwrap_err().to_string();
        assert_eq!(error, "answered 400: why");
    }

    #[test]
    fn requests_are_due_evenly() {
        assert_eq!(due_after(0, 1000), Duration::ZERO);
        assert_eq!(due_after(1500, 1000), Duration::from_millis(1500));
    }
}
