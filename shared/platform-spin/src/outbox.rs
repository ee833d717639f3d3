//! The queue: an outbox table, drained in the background by whoever put something in or comes by later; who comes by also
//! drops expired events of logs that went quiet.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use eventstar_delivery::{Attempt, Delivered, deliver, retry_after};
use eventstar_event::time::Millis;
use eventstar_ports::{Background, Clock, Diagnostics, Drained, Ids, Level, PortError, Queue};
use eventstar_stores::{SqlLog, SqlOutbox, drain_in_rounds};
use spin_sdk::time::sleep;

use crate::settings::Settings;
use crate::{Spin, SpinSql, now};

/// How many messages are delivered at a time: they are in memory together, 127 kB each at most.
const BATCH: usize = 50;

/// How often a passing request looks for what a crash or a failure left behind, in milliseconds.
const LOOK_EVERY_MS: Millis = 1000;

/// How often a passing request looks for logs whose events have expired, in milliseconds.
const SWEEP_EVERY_MS: Millis = 60_000;

/// How long a drain waits for more messages: fewer transactions and requests to Kafka, and of many instances one takes all.
const GATHERING: Duration = Duration::from_millis(200);

thread_local! {
    static DRAINING: Cell<bool> = const { Cell::new(false) };
    static AGAIN: Cell<bool> = const { Cell::new(false) };
    static LOOKED: Cell<Millis> = const { Cell::new(0) };
    static SWEPT: Cell<Millis> = const { Cell::new(0) };
}

/// The outbox as a queue.
#[derive(Debug, Clone)]
pub struct SpinQueue {
    pub(crate) settings: Rc<Settings>,
}

impl Queue for SpinQueue {
    async fn send(&self, messages: Vec<Bytes>) -> Result<(), PortError> {
        SqlOutbox::new(SpinSql).put(messages).await?;
        drain_in_background(&Spin::with(Rc::clone(&self.settings)));
        Ok(())
    }

    async fn drain(&self) -> Result<Option<Drained>, PortError> {
        let (_, delivered) = drain(&Spin::with(Rc::clone(&self.settings)), BATCH).await?;
        let waiting = SqlOutbox::new(SpinSql).len().await?;
        Ok(Some(Drained { delivered, waiting }))
    }
}

/// Looks in the background for messages that were left behind, at most once a second and instance, and for events that
/// have expired, at most once a minute and instance.
pub fn drain_soon(platform: &Spin) {
    let now = platform.now();
    if now.saturating_sub(LOOKED.get()) >= LOOK_EVERY_MS {
        LOOKED.set(now);
        drain_in_background(platform);
    }
    if now.saturating_sub(SWEPT.get()) >= SWEEP_EVERY_MS {
        SWEPT.set(now);
        let work = platform.clone();
        platform.spawn(async move {
            if let Err(error) = SqlLog::new(SpinSql).sweep(now).await {
                work.log(Level::Error, &format!("expired events were not dropped: {error}"));
            }
        });
    }
}

/// One drain an instance: if one is at work, it makes another round. Only a flag is shared, never a waker.
fn drain_in_background(platform: &Spin) {
    AGAIN.set(true);
    if DRAINING.get() {
        return;
    }
    let turn = Turn::take();
    let work = platform.clone();
    platform.spawn(async move {
        let _turn = turn;
        drain_in_rounds(
            || AGAIN.replace(false),
            async || sleep(GATHERING).await,
            async || match drain(&work, BATCH).await {
                Ok((taken, _)) => taken == BATCH,
                Err(error) => {
                    work.log(Level::Error, &format!("the outbox was not drained: {error}"));
                    false
                }
            },
        )
        .await;
    });
}

/// Holds the flag for as long as a drain works, however it ends.
struct Turn;

impl Turn {
    fn take() -> Self {
        DRAINING.set(true);
        Self
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        DRAINING.set(false);
    }
}

/// Delivers up to `limit` messages of the outbox; returns how many it took, and how many of them are dealt with.
///
/// # Errors
/// When the outbox cannot be read or written. What was taken comes back when its lease ends, and delivery ids keep it
/// from being stored twice.
pub async fn drain(platform: &Spin, limit: usize) -> Result<(usize, usize), PortError> {
    let outbox = SqlOutbox::new(SpinSql);
    let taken = outbox.take(limit, now()).await?;
    if taken.is_empty() {
        return Ok((0, 0));
    }
    let attempts = taken.iter().map(|message| Attempt {
        message: message.message.clone(),
        number: message.attempts + 1,
    });
    let outcomes = deliver(platform, attempts.collect()).await;
    let mut done = Vec::new();
    for (message, outcome) in taken.iter().zip(outcomes) {
        match outcome {
            Delivered::Done | Delivered::Dead(_) => done.push(message.id),
            Delivered::Retry => {
                let wait = retry_after(message.attempts + 1, platform.random());
                let wait = Millis::try_from(wait.as_millis()).unwrap_or(Millis::MAX);
                outbox.retry_later(message.id, now() + wait).await?;
            }
        }
    }
    outbox.done(&done).await?;
    Ok((taken.len(), done.len()))
}
