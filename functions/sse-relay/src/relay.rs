//! One connection: follows its logs and writes frames.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use eventstar_event::time::Millis;
use eventstar_log::{Chunk, Frame, Gap, LogName, Start};
use eventstar_ports::{ByteStream, Level, Platform, PortError, StreamLog};
use eventstar_sse::{COMMENT, OPENED, id_frame, write_event};
use futures_util::future::{Either, join_all, select};
use futures_util::stream::{LocalBoxStream, SelectAll};
use futures_util::{FutureExt, StreamExt};

use crate::bounds::Progress;
use crate::end::{self, End, Limits};
use crate::metrics::Connected;
use crate::place::{self, Place};
use crate::redact::RedactedPages;
use crate::select::Selection;
use crate::slot::HeldSlot;
use crate::wanted::Wanted;
use crate::{Isolate, compress};

/// How often a connection without events gets a comment.
pub(crate) const HEARTBEAT: Duration = Duration::from_secs(15);

/// How long to wait before a log that went away is followed again.
const FOLLOW_AGAIN: Duration = Duration::from_secs(1);

/// How often in a row a log is followed again before the connection ends; the client then resumes by its id.
const MAX_FOLLOWS: u32 = 5;

/// After how many events that were passed over an id tells where the connection stands, so that a client that resumes
/// does not have them looked at again.
const PASSED_OVER: u32 = 1000;

/// A piece is sent when it has this many bytes, though more events be at hand.
const MAX_PIECE_BYTES: usize = 64 * 1024;

/// How events are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Sse,
    Ndjson,
}

/// The form of an answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Form {
    pub(crate) format: Format,
    /// Whether it is compressed with gzip.
    pub(crate) is_compressed: bool,
}

type Tagged = (usize, Option<Result<Frame, PortError>>);

struct Connection<P: Platform> {
    platform: P,
    isolate: Rc<Isolate>,
    pages: Rc<RedactedPages>,
    wanted: Wanted,
    progress: Progress,
    format: Format,
    places: Vec<Place>,
    /// How many events were passed over since the last id.
    passed_over: u32,
    frames: SelectAll<LocalBoxStream<'static, Tagged>>,
    /// Frames that came before every log was opened.
    held: VecDeque<Tagged>,
    /// Texts of `gap` events that are due.
    gaps: VecDeque<String>,
    /// Why the connection ends, once what was read is sent.
    due: Option<End>,
    heartbeat: Pin<Box<dyn Future<Output = ()>>>,
    /// Whether nothing was sent since the last heartbeat.
    quiet: bool,
    limits: Limits,
    connected: Connected<P>,
    slot: Option<HeldSlot<P>>,
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
    selection: Selection,
    wanted: Wanted,
    slot: Option<HeldSlot<P>>,
    form: Form,
) -> ByteStream {
    let places: Vec<Place> = selection
        .logs
        .into_iter()
        .map(|selected| Place::new(selected, selection.is_partial))
        .collect();
    let gaps: VecDeque<String> = selection.gone.iter().map(place::gone).collect();
    gaps.iter().for_each(|_| isolate.metrics.gap());
    let progress = Progress::new(wanted.bounds, places.len());
    let wait = progress.wait(platform.now(), HEARTBEAT);
    let connection = Connection {
        isolate: Rc::clone(isolate),
        pages,
        wanted,
        progress,
        format: form.format,
        passed_over: 0,
        frames: SelectAll::new(),
        held: VecDeque::new(),
        gaps,
        due: None,
        heartbeat: Box::pin(platform.sleep(wait)),
        quiet: true,
        limits: Limits::of(&platform, form.is_compressed),
        connected: Connected::new(&platform, isolate, &places),
        slot,
        state: State::Unopened,
        places,
        platform,
    };
    let pieces = futures_util::stream::unfold(connection, |mut connection| async move {
        let piece = connection.next_piece().await?;
        connection.limits.sent(connection.platform.now(), piece.len());
        Some((piece, connection))
    })
    .boxed_local();
    if form.is_compressed {
        compress::gzip(pieces)
    } else {
        pieces
    }
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
            let reached = self.limits.reached(self.platform.now());
            if let Some(end) = self.due.or(self.progress.end()).or(reached) {
                return self.end(end);
            }
            if self.slot.as_mut().is_some_and(|slot| !slot.keep()) {
                return self.end(End::TooMany);
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
            let piece = self.take_all(tagged);
            if !piece.is_empty() {
                self.quiet = false;
                return Some(Bytes::from(piece));
            }
        }
    }

    /// Handles a frame, and those that are here already: a piece costs the platform the same whatever it holds.
    fn take_all(&mut self, first: Tagged) -> String {
        let mut piece = String::new();
        let mut next = Some(first);
        while let Some(tagged) = next {
            self.due = self.take(tagged, &mut piece).err();
            let is_full = piece.len() >= MAX_PIECE_BYTES || !self.gaps.is_empty();
            let is_over = self.due.is_some() || self.progress.end().is_some();
            next = if is_full || is_over { None } else { self.at_hand() };
        }
        piece
    }

    /// The next frame, if it is here already.
    fn at_hand(&mut self) -> Option<Tagged> {
        let held = self.held.pop_front();
        held.or_else(|| self.frames.next().now_or_never().flatten())
    }

    /// What is said when nothing was sent since the last time: a comment, or an id that tells of events passed over.
    fn beat(&mut self) -> Option<Bytes> {
        self.find_heads();
        let wait = self.progress.wait(self.platform.now(), HEARTBEAT);
        self.heartbeat = Box::pin(self.platform.sleep(wait));
        self.isolate.metrics.report(&self.platform);
        let quiet = std::mem::replace(&mut self.quiet, true);
        match self.format {
            Format::Sse if self.passed_over > 0 => Some(Bytes::from(self.id_alone())),
            _ => quiet.then(|| self.either(COMMENT, "\n")),
        }
    }

    /// Once `until` has come, follows each log again from where it was read to: what it says first is its head now.
    fn find_heads(&mut self) {
        for index in self.progress.unfinished(self.platform.now()) {
            if let Some(place) = self.places.get(index) {
                self.limits.followed();
                let frames = follow(&self.platform, index, &place.log, place.start(), Duration::ZERO);
                self.frames.push(frames);
            }
        }
    }

    /// Says why the connection ends, and from where the client can go on.
    fn end(&mut self, end: End) -> Option<Bytes> {
        self.state = State::Ended;
        self.connected.ended(end);
        self.isolate.metrics.report(&self.platform);
        if let Some((event, data)) = end.event() {
            // NDJSON has no types of events: an end that was asked for needs no word there.
            let told = event == "error" || self.format == Format::Sse;
            return told.then(|| self.frame(event, &data));
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
                Some((
                    index,
                    Some(Ok(Frame::Opened {
                        start,
                        head,
                        last,
                        gap,
                        ..
                    })),
                )) => self.place_opened(index, start, head, last, gap),
                // What a log sends after it is opened waits in its stream; another first frame is handled like any other.
                other => self.held.extend(other),
            }
        }
    }

    /// Handles one frame; events are written to `out`.
    fn take(&mut self, (index, frame): Tagged, out: &mut String) -> Result<(), End> {
        match frame {
            Some(Ok(Frame::Heartbeat)) => {}
            Some(Ok(Frame::Opened {
                start,
                head,
                last,
                gap,
                ..
            })) => self.place_opened(index, start, head, last, gap),
            Some(Ok(Frame::Chunk(chunk))) => {
                // Places are made for all logs, and stay.
                let _ = self.encode(index, &chunk, out);
            }
            Some(Err(error)) => {
                self.platform
                    .log(Level::Warn, &format!("a log is followed again: {error}"));
            }
            None => self.follow_again(index)?,
        }
        Ok(())
    }

    fn place_opened(&mut self, index: usize, start: u64, head: u64, last: Millis, gap: Option<Gap>) {
        let Some(place) = self.places.get_mut(index) else {
            return;
        };
        if let Some(text) = place.opened(start, head, last, gap) {
            self.isolate.metrics.gap();
            self.gaps.push_back(text);
        }
        let next = place.next.unwrap_or(start);
        self.progress.opened(index, next, head, self.platform.now());
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

    /// Writes the events of a chunk that were not sent yet; `None` where the place of its log is not known.
    fn encode(&mut self, index: usize, chunk: &Chunk, out: &mut String) -> Option<()> {
        if self.progress.is_done(index) {
            return Some(());
        }
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
                self.progress.read(index, chunk.next());
                return Some(());
            }
        };
        out.reserve(chunk.lines.len() + chunk.lines.len() / 2);
        if chunk.base > next {
            let gap = place.fell_behind(chunk.base, chunk.first);
            self.isolate.metrics.gap();
            self.write(out, "gap", &gap);
        }
        if events.is_empty() {
            self.places.get_mut(index)?.pass_to(chunk.next());
            self.progress.read(index, chunk.next());
            self.passed_over += 1;
            return Some(());
        }
        let (mut sent, mut withheld) = (0, 0);
        for event in events.iter().filter(|event| event.offset >= next) {
            if self.progress.end().is_some() || self.progress.is_past(index, event.timestamp) {
                break;
            }
            self.places.get_mut(index)?.read(event.offset, event.timestamp);
            self.progress.read(index, event.offset + 1);
            self.passed_over += 1;
            let Some(text) = &event.data else {
                withheld += 1;
                continue;
            };
            if let Some(data) = self.wanted.of_event(text) {
                self.write(out, "message", &data);
                self.passed_over = 0;
                self.progress.count_sent();
                sent += 1;
            }
        }
        if self.passed_over >= PASSED_OVER && self.format == Format::Sse {
            out.push_str(&self.id_alone());
        }
        let lag = self.platform.now().saturating_sub(chunk.last);
        let place = self.places.get(index)?;
        let lag = place.is_live(chunk).then_some(lag);
        self.isolate.metrics.relayed(&place.stream, sent, withheld, lag);
        self.isolate.metrics.report(&self.platform);
        Some(())
    }

    /// The id without an event: clients keep it, and are told nothing.
    fn id_alone(&mut self) -> String {
        self.passed_over = 0;
        let mut id = String::new();
        place::id(&self.places, &mut id);
        id_frame(&id)
    }

    /// Writes an event of type `event`; `data` is one line.
    fn write(&self, out: &mut String, event: &str, data: &str) {
        if self.format == Format::Sse {
            write_event(out, event, |out| place::id(&self.places, out), data);
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
