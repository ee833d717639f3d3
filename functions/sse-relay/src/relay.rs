//! One connection: follows its logs and writes frames.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use eventstar_log::{Chunk, Frame, LogName, Start};
use eventstar_ports::{ByteStream, Level, Platform, PortError, StreamLog};
use eventstar_sse::{COMMENT, OPENED};
use futures_util::future::{Either, join_all, select};
use futures_util::stream::{LocalBoxStream, SelectAll};
use futures_util::{FutureExt, StreamExt};

use crate::Isolate;
use crate::end::{self, End, Limits};
use crate::metrics::Connected;
use crate::place::{self, Place};
use crate::redact::RedactedPages;
use crate::select::Selected;

/// How often a connection without events gets a comment.
pub(crate) const HEARTBEAT: Duration = Duration::from_secs(15);

/// How long to wait before a log that went away is followed again.
const FOLLOW_AGAIN: Duration = Duration::from_secs(1);

/// How often in a row a log is followed again before the connection ends; the client then resumes by its id.
const MAX_FOLLOWS: u32 = 5;

/// How events are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Sse,
    Ndjson,
}

type Tagged = (usize, Option<Result<Frame, PortError>>);

struct Connection<P> {
    platform: P,
    isolate: Rc<Isolate>,
    pages: Rc<RedactedPages>,
    format: Format,
    places: Vec<Place>,
    frames: SelectAll<LocalBoxStream<'static, Tagged>>,
    /// Frames that came before every log was opened.
    held: VecDeque<Tagged>,
    /// Texts of `gap` events that are due.
    gaps: VecDeque<String>,
    heartbeat: Pin<Box<dyn Future<Output = ()>>>,
    /// Whether nothing was sent since the last heartbeat.
    quiet: bool,
    limits: Limits,
    connected: Connected,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Unopened,
    Open,
    Ended,
}

/// The bytes of one connection. It is dropped when the client goes.
pub(crate) fn relay<P: Platform>(
    platform: P,
    isolate: &Rc<Isolate>,
    pages: Rc<RedactedPages>,
    selected: Vec<Selected>,
    format: Format,
) -> ByteStream {
    let places: Vec<Place> = selected
        .into_iter()
        .map(|selected| Place::new(selected.log, selected.stream, selected.start))
        .collect();
    let connection = Connection {
        isolate: Rc::clone(isolate),
        pages,
        format,
        frames: SelectAll::new(),
        held: VecDeque::new(),
        gaps: VecDeque::new(),
        heartbeat: Box::pin(platform.sleep(HEARTBEAT)),
        quiet: true,
        limits: Limits::of(&platform),
        connected: isolate.metrics.connected(&places),
        state: State::Unopened,
        places,
        platform,
    };
    futures_util::stream::unfold(connection, |mut connection| async move {
        let piece = connection.next_piece().await?;
        connection.limits.sent(connection.platform.now());
        Some((piece, connection))
    })
    .boxed_local()
}

/// The frames of a log, tagged; `None` tells that the log's owner went.
fn follow<P: Platform>(
    platform: &P,
    index: usize,
    log: &LogName,
    start: Start,
    wait: Duration,
) -> LocalBoxStream<'static, Tagged> {
    let (later, log) = (platform.clone(), log.clone());
    let frames = async move {
        if !wait.is_zero() {
            later.sleep(wait).await;
        }
        later.stream_log().follow(&log, start)
    };
    let ended = futures_util::stream::once(async move { (index, None) });
    frames
        .flatten_stream()
        .map(move |frame| (index, Some(frame)))
        .chain(ended)
        .boxed_local()
}

impl<P: Platform> Connection<P> {
    /// The next bytes to send, or `None` when the connection has ended.
    async fn next_piece(&mut self) -> Option<Bytes> {
        match self.state {
            State::Unopened => {
                // The first bytes come once every log is open: no event posted after them is missed.
                self.open().await;
                self.state = State::Open;
                return Some(self.either(OPENED, "\n"));
            }
            State::Open => {}
            State::Ended => return None,
        }
        loop {
            if let Some(gap) = self.gaps.pop_front() {
                return Some(self.frame("gap", &gap));
            }
            if let Some(end) = self.limits.reached(self.platform.now()) {
                return self.end(end);
            }
            let tagged = match self.held.pop_front() {
                Some(tagged) => tagged,
                None => match select(self.frames.next(), &mut self.heartbeat).await {
                    Either::Left((Some(tagged), _)) => tagged,
                    Either::Left((None, _)) => return self.end(End::Unavailable),
                    Either::Right(_) => match self.beat() {
                        Some(piece) => return Some(piece),
                        None => continue,
                    },
                },
            };
            match self.take(tagged) {
                Ok(Some(piece)) => {
                    self.quiet = false;
                    return Some(piece);
                }
                Ok(None) => {}
                Err(end) => return self.end(end),
            }
        }
    }

    /// A comment, when nothing was sent since the last time.
    fn beat(&mut self) -> Option<Bytes> {
        self.heartbeat = Box::pin(self.platform.sleep(HEARTBEAT));
        self.isolate.metrics.report(&self.platform);
        std::mem::replace(&mut self.quiet, true).then(|| self.either(COMMENT, "\n"))
    }

    /// Says why the connection ends, and from where the client can go on.
    fn end(&mut self, end: End) -> Option<Bytes> {
        self.state = State::Ended;
        self.connected.ended(end);
        self.isolate.metrics.report(&self.platform);
        if let Some(error) = end.error() {
            return Some(self.frame("error", &error));
        }
        let [random, ..] = self.platform.random();
        let mut piece = "id: ".to_owned();
        place::id(&self.places, &mut piece);
        piece.push_str(&format!("\nretry: {}\n\n", end::retry_millis(random)));
        (self.format == Format::Sse).then(|| Bytes::from(piece))
    }

    /// Opens all logs before the first event is sent: its id must say where each of them stands.
    async fn open(&mut self) {
        let firsts = self.places.iter().enumerate().map(|(index, place)| {
            let mut frames = follow(&self.platform, index, &place.log, place.start(), Duration::ZERO);
            async move {
                let first = frames.next().await;
                (frames, first)
            }
        });
        for (frames, first) in join_all(firsts).await {
            self.frames.push(frames);
            self.limits.followed();
            match first {
                Some((index, Some(Ok(frame @ Frame::Opened { .. })))) => self.place_opened(index, &frame),
                // What a log sends after it is opened waits in its stream; another first frame is handled like any other.
                other => self.held.extend(other),
            }
        }
    }

    /// Handles one frame; events become bytes to send.
    fn take(&mut self, (index, frame): Tagged) -> Result<Option<Bytes>, End> {
        match frame {
            Some(Ok(Frame::Heartbeat)) => {}
            Some(Ok(frame @ Frame::Opened { .. })) => self.place_opened(index, &frame),
            Some(Ok(Frame::Chunk(chunk))) => return Ok(self.encode(index, &chunk)),
            Some(Err(error)) => {
                self.platform
                    .log(Level::Warn, &format!("a log is followed again: {error}"));
            }
            None => self.follow_again(index)?,
        }
        Ok(None)
    }

    fn place_opened(&mut self, index: usize, frame: &Frame) {
        let Frame::Opened {
            start,
            head,
            last,
            gap,
            ..
        } = *frame
        else {
            return;
        };
        let Some(place) = self.places.get_mut(index) else {
            return;
        };
        if let Some(text) = place.opened(start, head, last, gap) {
            self.isolate.metrics.gap();
            self.gaps.push_back(text);
        }
    }

    fn follow_again(&mut self, index: usize) -> Result<(), End> {
        let Some(place) = self.places.get_mut(index) else {
            return Ok(());
        };
        place.failures += 1;
        if place.failures > MAX_FOLLOWS {
            self.platform.log(
                Level::Error,
                &format!("{} cannot be followed: the connection ends", place.log),
            );
            return Err(End::Unavailable);
        }
        self.limits.followed();
        let frames = follow(&self.platform, index, &place.log, place.start(), FOLLOW_AGAIN);
        self.frames.push(frames);
        Ok(())
    }

    /// Writes the events of a chunk that were not sent yet.
    fn encode(&mut self, index: usize, chunk: &Chunk) -> Option<Bytes> {
        let place = self.places.get_mut(index)?;
        let next = place.next?;
        let events = match self.isolate.chunks.events(&place.log, chunk, &self.pages) {
            Ok(events) => events,
            Err(error) => {
                self.platform.log(
                    Level::Error,
                    &format!(
                        "a chunk of {} cannot be read and is passed over: {error}",
                        place.log
                    ),
                );
                place.skip(chunk.next(), chunk.last);
                return None;
            }
        };
        let mut out = String::with_capacity(chunk.lines.len() + chunk.lines.len() / 2);
        if chunk.base > next {
            let gap = place.fell_behind(chunk.base, chunk.first);
            self.isolate.metrics.gap();
            self.write(&mut out, "gap", &gap);
        }
        let (mut sent, mut withheld) = (0, 0);
        for event in events.iter().filter(|event| event.offset >= next) {
            self.places.get_mut(index)?.read(event.offset, event.timestamp);
            match &event.data {
                Some(data) => {
                    self.write(&mut out, "message", data);
                    sent += 1;
                }
                None => withheld += 1,
            }
        }
        let lag = self.platform.now().saturating_sub(chunk.last);
        self.limits.wrote(sent, out.len());
        let place = self.places.get(index)?;
        let lag = place.is_live(chunk).then_some(lag);
        self.isolate.metrics.relayed(&place.stream, sent, withheld, lag);
        self.isolate.metrics.report(&self.platform);
        (!out.is_empty()).then(|| Bytes::from(out))
    }

    /// Writes an event of type `event`; `data` is one line.
    fn write(&self, out: &mut String, event: &str, data: &str) {
        if self.format == Format::Sse {
            out.push_str("event: ");
            out.push_str(event);
            out.push_str("\nid: ");
            place::id(&self.places, out);
            out.push_str("\ndata: ");
            out.push_str(data);
            out.push_str("\n\n");
        } else {
            out.push_str(data);
            out.push('\n');
        }
    }

    fn frame(&self, event: &str, data: &str) -> Bytes {
        let mut out = String::new();
        self.write(&mut out, event, data);
        Bytes::from(out)
    }

    fn either(&self, sse: &'static str, ndjson: &'static str) -> Bytes {
        Bytes::from_static(match self.format {
            Format::Sse => sse.as_bytes(),
            Format::Ndjson => ndjson.as_bytes(),
        })
    }
}
