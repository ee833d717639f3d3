//! One connection: follows its logs and writes frames.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use eventstar_event::time::Millis;
use eventstar_log::{Chunk, Frame, LogName, Start};
use eventstar_ports::{ByteStream, Level, Platform, PortError, StreamLog};
use eventstar_sse::{COMMENT, OPENED, Position, message_frame};
use futures_util::future::{Either, join_all, select};
use futures_util::stream::{LocalBoxStream, SelectAll};
use futures_util::{FutureExt, StreamExt};

use crate::data::with_position;
use crate::select::Selected;

/// How often a connection without events gets a comment.
const HEARTBEAT: Duration = Duration::from_secs(15);

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

/// Where the connection stands in one log.
struct Place {
    log: LogName,
    start: Start,
    fallback: Option<Millis>,
    /// The offset of the next event to send; unknown until the log was opened.
    next: Option<u64>,
    /// The `timestamp` of the id's entry.
    timestamp: Option<Millis>,
    /// Follows in a row that brought nothing.
    failures: u32,
}

type Tagged = (usize, Option<Result<Frame, PortError>>);

struct Connection<P> {
    platform: P,
    format: Format,
    places: Vec<Place>,
    frames: SelectAll<LocalBoxStream<'static, Tagged>>,
    /// Frames that came before every log was opened.
    held: VecDeque<Tagged>,
    heartbeat: Pin<Box<dyn Future<Output = ()>>>,
    opened: bool,
    ended: bool,
}

/// The bytes of one connection. It ends when a log cannot be followed any more; it is dropped when the client goes.
pub(crate) fn relay<P: Platform>(platform: P, selected: Vec<Selected>, format: Format) -> ByteStream {
    let places = selected
        .into_iter()
        .map(|Selected { log, start, fallback }| {
            let timestamp = match start {
                Start::Timestamp(time) => Some(time),
                _ => fallback,
            };
            Place {
                log,
                start,
                fallback,
                next: None,
                timestamp,
                failures: 0,
            }
        })
        .collect();
    let heartbeat = Box::pin(platform.sleep(HEARTBEAT));
    let connection = Connection {
        platform,
        format,
        places,
        frames: SelectAll::new(),
        held: VecDeque::new(),
        heartbeat,
        opened: false,
        ended: false,
    };
    futures_util::stream::unfold(connection, |mut connection| async move {
        let piece = connection.next_piece().await?;
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
    /// The next bytes to send, or `None` when the connection ends.
    async fn next_piece(&mut self) -> Option<Bytes> {
        if !self.opened {
            // The first bytes come once every log is open: no event posted after them is missed.
            self.open().await;
            self.opened = true;
            return Some(match self.format {
                Format::Sse => Bytes::from_static(OPENED.as_bytes()),
                Format::Ndjson => Bytes::from_static(b"\n"),
            });
        }
        loop {
            if self.ended {
                return None;
            }
            let tagged = match self.held.pop_front() {
                Some(tagged) => tagged,
                None => match select(self.frames.next(), &mut self.heartbeat).await {
                    Either::Left((Some(tagged), _)) => tagged,
                    Either::Left((None, _)) => return None,
                    Either::Right(_) => {
                        self.heartbeat = Box::pin(self.platform.sleep(HEARTBEAT));
                        return Some(self.heartbeat_piece());
                    }
                },
            };
            if let Some(piece) = self.take(tagged) {
                return Some(piece);
            }
        }
    }

    fn heartbeat_piece(&self) -> Bytes {
        match self.format {
            Format::Sse => Bytes::from_static(COMMENT.as_bytes()),
            Format::Ndjson => Bytes::from_static(b"\n"),
        }
    }

    /// Opens all logs before the first event is sent: its id must say where each of them stands.
    async fn open(&mut self) {
        let firsts = self.places.iter().enumerate().map(|(index, place)| {
            let mut frames = follow(&self.platform, index, &place.log, place.start, Duration::ZERO);
            async move {
                let first = frames.next().await;
                (frames, first)
            }
        });
        for (frames, first) in join_all(firsts).await {
            self.frames.push(frames);
            // What a log sends after it is opened waits in its stream; the first frame is handled like any other.
            self.held.extend(first);
        }
    }

    /// Handles one frame; events become bytes to send.
    fn take(&mut self, (index, frame): Tagged) -> Option<Bytes> {
        match frame {
            Some(Ok(Frame::Heartbeat)) => None,
            Some(Ok(Frame::Opened {
                start, head, last, ..
            })) => {
                self.place_opened(index, start, head, last);
                None
            }
            Some(Ok(Frame::Chunk(chunk))) => self.encode(index, &chunk),
            Some(Err(error)) => {
                self.platform
                    .log(Level::Warn, &format!("a log is followed again: {error}"));
                None
            }
            None => {
                self.follow_again(index);
                None
            }
        }
    }

    fn place_opened(&mut self, index: usize, start: u64, head: u64, last: Millis) {
        let Some(place) = self.places.get_mut(index) else {
            return;
        };
        if place.next.is_some() {
            return;
        }
        if let (Start::Offset(asked), Some(time)) = (place.start, place.fallback)
            && asked > head
        {
            // An offset past the head is another log's: the timestamp of the same id tells where to go on.
            place.start = Start::Timestamp(time);
            place.fallback = None;
            let frames = follow(&self.platform, index, &place.log, place.start, Duration::ZERO);
            self.frames.push(frames);
            return;
        }
        place.next = Some(start);
        if start == head && place.timestamp.is_none_or(|time| time <= last) {
            place.timestamp = Some(last + 1);
        }
    }

    fn follow_again(&mut self, index: usize) {
        let Some(place) = self.places.get_mut(index) else {
            return;
        };
        place.failures += 1;
        if place.failures > MAX_FOLLOWS {
            self.platform.log(
                Level::Error,
                &format!("{} cannot be followed: the connection ends", place.log),
            );
            self.ended = true;
            return;
        }
        let start = place.next.map_or(place.start, Start::Offset);
        let frames = follow(&self.platform, index, &place.log, start, FOLLOW_AGAIN);
        self.frames.push(frames);
    }

    /// Writes the events of a chunk that were not sent yet.
    fn encode(&mut self, index: usize, chunk: &Chunk) -> Option<Bytes> {
        let next = self.places.get(index)?.next?;
        let events = match chunk.events() {
            Ok(events) => events,
            Err(error) => {
                self.platform.log(
                    Level::Error,
                    &format!("a chunk cannot be read and is skipped: {error}"),
                );
                self.places.get_mut(index)?.next = Some(chunk.next());
                return None;
            }
        };
        let mut out = String::with_capacity(chunk.lines.len() * 2);
        for event in events.into_iter().filter(|event| event.offset >= next) {
            let place = self.places.get_mut(index)?;
            place.next = Some(event.offset + 1);
            place.timestamp = Some(event.timestamp + 1);
            place.failures = 0;
            let data = with_position(
                &event.envelope.event,
                &place.log,
                event.offset,
                event.envelope.key.as_deref(),
            );
            match self.format {
                Format::Sse => out.push_str(&message_frame(&self.id(), &data)),
                Format::Ndjson => {
                    out.push_str(&data);
                    out.push('\n');
                }
            }
        }
        (!out.is_empty()).then(|| Bytes::from(out))
    }

    /// The id: where to go on in every log of the request.
    fn id(&self) -> String {
        let positions: Vec<Position> = self
            .places
            .iter()
            .map(|place| Position {
                topic: place.log.topic.to_string(),
                partition: place.log.partition,
                offset: Some(place.next.and_then(|next| i64::try_from(next).ok()).unwrap_or(-1)),
                timestamp: place.timestamp,
            })
            .collect();
        serde_json::json!(positions).to_string()
    }
}
