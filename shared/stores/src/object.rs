//! The objects that own a log or the registry on Workers: one I/O context for all of a log's readers, so that an append
//! reaches them without polling.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use eventstar_event::Envelope;
use eventstar_event::time::Millis;
use eventstar_log::{Chunk, Frame, LogName, Retention, Start};
use eventstar_ports::{Body, KeyValueWrite, Platform, PortError, RegistryError, RegistryRequest, Sql, Timer};
use futures_channel::mpsc;
use futures_util::future::{Either, LocalBoxFuture, select};
use futures_util::{FutureExt, StreamExt};
use http::{Response, StatusCode};
use serde::Serialize;

use crate::object_api::{AppendAnswer, parse_retention, parse_start};
use crate::poll::READ_BYTES;
use crate::{HEARTBEAT, SqlLog, UpstreamRegistry};

/// Chunks a slow follower may lag behind in memory before it reads from the log again. The chunks are shared.
const FOLLOWER_QUEUE: usize = 256;

/// With fewer followers each gets what comes at once.
const FEW_FOLLOWERS: u32 = 16;

/// How long is gathered for each follower, and at most: 200 followers get 20 pieces a second.
const GATHERING_PER_FOLLOWER: Duration = Duration::from_micros(250);
const LONGEST_GATHERING: Duration = Duration::from_millis(100);

/// The owner of one log.
pub struct LogObject<S, T> {
    log: SqlLog<S>,
    timer: T,
    followers: RefCell<BTreeMap<u64, mpsc::Sender<Chunk>>>,
    subscribed: Cell<u64>,
    /// When to look for expired events next, where that has changed.
    alarm: Cell<Option<Millis>>,
}

impl<S: Sql + Clone + 'static, T: Timer + Clone + 'static> LogObject<S, T> {
    /// The owner of the log in `sql`; a retry is recognised for `retry_window`.
    pub fn new(sql: S, timer: T, retry_window: Millis) -> Rc<Self> {
        Rc::new(Self {
            log: SqlLog::owned(sql).with_retry_window(retry_window),
            timer,
            followers: RefCell::default(),
            subscribed: Cell::default(),
            alarm: Cell::default(),
        })
    }

    /// Answers a request of [`crate::object_api`].
    pub async fn handle(self: &Rc<Self>, request: http::Request<Bytes>, now: Millis) -> Response<Body> {
        let path = request.uri().path().trim_start_matches('/');
        let query = request.uri().query().unwrap_or_default();
        let (name, action) = path.rsplit_once('/').unwrap_or((path, ""));
        let Some(name) = LogName::parse(name) else {
            return text(StatusCode::NOT_FOUND, format!("no log is called '{name}'"));
        };
        match action {
            "append" => match parse_retention(query) {
                Ok(retention) => self.append(&name, request.body(), retention, now).await,
                Err(message) => text(StatusCode::BAD_REQUEST, message),
            },
            "follow" => match query.strip_prefix("start=").and_then(parse_start) {
                Some(start) => Response::new(Body::Stream(self.follow(name, start).boxed_local())),
                None => text(StatusCode::BAD_REQUEST, format!("'{query}' is no start")),
            },
            _ => text(StatusCode::NOT_FOUND, format!("a log cannot '{action}'")),
        }
    }

    /// How many readers follow.
    #[must_use]
    pub fn followers(&self) -> usize {
        self.followers.borrow().len()
    }

    /// Drops what has expired, for a log that went quiet.
    ///
    /// # Errors
    /// The database's: the platform rings again.
    pub async fn ring(&self, now: Millis) -> Result<(), PortError> {
        self.log.sweep(now).await?;
        self.alarm.set(self.log.next_sweep(now).await?);
        Ok(())
    }

    /// When to be called at [`LogObject::ring`], if that has changed since this was last asked.
    pub fn take_alarm(&self) -> Option<Millis> {
        self.alarm.take()
    }

    async fn append(
        &self,
        name: &LogName,
        lines: &[u8],
        retention: Option<Retention>,
        now: Millis,
    ) -> Response<Body> {
        let batch = match Envelope::read_lines(lines) {
            Ok(batch) => batch,
            Err(error) => return text(StatusCode::BAD_REQUEST, error.to_string()),
        };
        match self.log.append_and_look(name, &batch, retention).await {
            Ok((appended, looked)) => {
                if looked {
                    self.alarm.set(self.log.next_sweep(now).await.ok().flatten());
                }
                if appended.written > 0 && !self.followers.borrow().is_empty() {
                    self.push(name, appended.base).await;
                }
                json(&AppendAnswer {
                    base: appended.base,
                    written: appended.written,
                    duplicates: appended.duplicates,
                })
            }
            Err(error) => text(StatusCode::SERVICE_UNAVAILABLE, error.to_string()),
        }
    }

    /// Hands what was appended at `base` to all followers. One whose queue is full loses the queue, not the events: it
    /// reads on from the log.
    async fn push(&self, name: &LogName, base: u64) {
        let Ok(chunks) = self.log.read(name, base, READ_BYTES).await else {
            self.followers.borrow_mut().clear();
            return;
        };
        self.followers.borrow_mut().retain(|_, follower| {
            chunks
                .iter()
                .all(|chunk| follower.try_send(chunk.clone()).is_ok())
        });
    }

    fn subscribe(self: &Rc<Self>) -> Subscription<S, T> {
        let (sender, chunks) = mpsc::channel(FOLLOWER_QUEUE);
        let id = self.subscribed.get();
        self.subscribed.set(id + 1);
        self.followers.borrow_mut().insert(id, sender);
        Subscription {
            object: Rc::clone(self),
            id,
            chunks,
        }
    }

    /// The frames of one follower, encoded; it ends on a database error.
    fn follow(
        self: &Rc<Self>,
        name: LogName,
        start: Start,
    ) -> impl futures_util::Stream<Item = Bytes> + 'static {
        let object = Rc::clone(self);
        let state = Follower {
            object,
            name,
            next: None,
            start,
            live: None,
            heartbeat: None,
            ready: Vec::new(),
            failed: false,
        };
        futures_util::stream::unfold(state, |mut follower| async move {
            let piece = follower.next_piece().await?;
            Some((piece, follower))
        })
    }

    /// How long a follower gathers what comes before it is sent. A piece costs the platform the same whatever it holds, once for
    /// each follower; so where many follow, they get fewer pieces.
    fn gathering(&self) -> Duration {
        let followers = u32::try_from(self.followers()).unwrap_or(u32::MAX);
        if followers < FEW_FOLLOWERS {
            return Duration::ZERO;
        }
        GATHERING_PER_FOLLOWER
            .saturating_mul(followers)
            .min(LONGEST_GATHERING)
    }
}

/// What is pushed to one follower, until this is dropped: at the end of the follower's stream, which the platform drops
/// when a write to it fails, at the latest that of a heartbeat.
struct Subscription<S, T> {
    object: Rc<LogObject<S, T>>,
    id: u64,
    chunks: mpsc::Receiver<Chunk>,
}

impl<S, T> Drop for Subscription<S, T> {
    fn drop(&mut self) {
        self.object.followers.borrow_mut().remove(&self.id);
    }
}

/// Where one follower stands.
struct Follower<S, T> {
    object: Rc<LogObject<S, T>>,
    name: LogName,
    start: Start,
    next: Option<u64>,
    live: Option<Subscription<S, T>>,
    /// The next one. Kept over chunks: a timer costs more than handing on a chunk.
    heartbeat: Option<LocalBoxFuture<'static, ()>>,
    /// Chunks read from the log and not yet sent, last first.
    ready: Vec<Chunk>,
    failed: bool,
}

impl<S: Sql + Clone + 'static, T: Timer + Clone + 'static> Follower<S, T> {
    /// The next frames, encoded.
    async fn next_piece(&mut self) -> Option<Bytes> {
        let first = self.next_frame().await?;
        let is_live = matches!(first, Frame::Chunk(_)) && self.ready.is_empty();
        let gathering = self.object.gathering();
        if is_live && !gathering.is_zero() {
            self.object.timer.sleep(gathering).await;
        }
        let mut piece = first.encode();
        while piece.len() < READ_BYTES
            && let Some(chunk) = self.at_hand()
        {
            let mut longer = BytesMut::from(piece);
            longer.extend_from_slice(&Frame::Chunk(chunk).encode());
            piece = longer.freeze();
        }
        Some(piece)
    }

    /// The next chunk, if it is here already.
    fn at_hand(&mut self) -> Option<Chunk> {
        let next = self.next?;
        let chunk = match self.ready.pop() {
            Some(chunk) => chunk,
            None => self.pushed(next)?,
        };
        self.next = Some(chunk.next());
        Some(chunk)
    }

    /// The next chunk that was pushed. Where one was missed, the log has it.
    fn pushed(&mut self, next: u64) -> Option<Chunk> {
        loop {
            let chunk = self.live.as_mut()?.chunks.try_recv().ok()?;
            if chunk.base > next {
                self.live = None;
            } else if chunk.next() > next {
                return Some(chunk);
            }
        }
    }

    async fn next_frame(&mut self) -> Option<Frame> {
        let Some(mut next) = self.next else {
            let opened = self.object.log.open(&self.name, self.start).await.ok()?;
            if let Frame::Opened { start, .. } = opened {
                self.next = Some(start);
            }
            return Some(opened);
        };
        loop {
            if self.failed {
                return None;
            }
            if let Some(chunk) = self.ready.pop() {
                self.next = Some(chunk.next());
                return Some(Frame::Chunk(chunk));
            }
            let Some(live) = &mut self.live else {
                // Subscribed before the log is read, so that no append falls between; what then comes twice is skipped.
                self.live = Some(self.object.subscribe());
                self.catch_up(next).await;
                continue;
            };
            let timer = &self.object.timer;
            let heartbeat = self
                .heartbeat
                .get_or_insert_with(|| timer.sleep(HEARTBEAT).boxed_local());
            match select(live.chunks.next(), heartbeat).await {
                Either::Left((Some(chunk), _)) if chunk.next() <= next => {}
                Either::Left((Some(chunk), _)) if chunk.base <= next => {
                    self.next = Some(chunk.next());
                    return Some(Frame::Chunk(chunk));
                }
                // Too slow for the queue, or a chunk was missed: read on from the log.
                Either::Left(_) => self.live = None,
                Either::Right(_) => {
                    self.heartbeat = None;
                    return Some(Frame::Heartbeat);
                }
            }
            next = self.next.unwrap_or(next);
        }
    }

    async fn catch_up(&mut self, next: u64) {
        match self.object.log.read(&self.name, next, READ_BYTES).await {
            Ok(mut chunks) => {
                // More may be left in the log than was read: then the queue must not be waited for.
                if chunks.iter().map(|chunk| chunk.lines.len()).sum::<usize>() >= READ_BYTES {
                    self.live = None;
                }
                chunks.reverse();
                self.ready = chunks;
            }
            Err(_) => self.failed = true,
        }
    }
}

/// Answers the registry's requests.
pub async fn registry_object<S: Sql, K: KeyValueWrite, P: Platform>(
    registry: UpstreamRegistry<'_, S, K, P>,
    request: http::Request<Bytes>,
) -> Response<Body> {
    let answer = match serde_json::from_slice::<RegistryRequest>(request.body()) {
        Ok(question) => registry.ask(question).await,
        Err(error) => Err(RegistryError::Invalid {
            message: format!("not a registry request: {error}"),
        }),
    };
    json(&answer)
}

pub(crate) fn json<T: Serialize>(answer: &T) -> Response<Body> {
    match serde_json::to_vec(answer) {
        Ok(body) => Response::new(Body::from(body)),
        Err(error) => text(
            StatusCode::INTERNAL_SERVER_ERROR,
            PortError::corrupt("log", error.to_string()).to_string(),
        ),
    }
}

pub(crate) fn text(status: StatusCode, message: String) -> Response<Body> {
    let mut response = Response::new(Body::from(message));
    *response.status_mut() = status;
    response
}

#[cfg(test)]
mod tests;
