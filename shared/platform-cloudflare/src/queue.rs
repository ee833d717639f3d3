//! The queue: sending to it, and consuming what it delivers.

use bytes::Bytes;
use eventstar_delivery::{Attempt, Delivered, retry_after};
use eventstar_ports::{Diagnostics, Ids, Level, PortError, PortErrorKind, Queue};
use worker::js_sys::futures::JsFuture;
use worker::js_sys::{Array, Reflect, Uint8Array};
use worker::wasm_bindgen::{JsCast, JsValue};
use worker::{Context, Env, worker_sys};

use crate::body::object_with;
use crate::js::{Message, MessageBatch, QueueBinding};
use crate::scope::Scope;
use crate::{Cloudflare, Host, error};

/// Messages a batch may hold (Cloudflare Queues limits).
const MAX_BATCH_MESSAGES: usize = 100;
/// Bytes a batch may hold: 256 KB.
const MAX_BATCH_BYTES: usize = 256_000;
/// Bytes a message may have: 128 KB.
const MAX_MESSAGE_BYTES: usize = 128_000;
/// What the platform adds to a message and counts.
const MESSAGE_OVERHEAD: usize = 100;
/// How the names of dead-letter queues end.
const DEAD_LETTERS: &str = "dead-letters";

/// Sends to the `EVENTS` queue.
#[derive(Debug, Clone)]
pub struct EventQueue(pub(crate) Scope);

impl Queue for EventQueue {
    async fn send(&self, messages: Vec<Bytes>) -> Result<(), PortError> {
        let batches = pack(messages)?;
        let queue = Reflect::get(self.0.env(), &"EVENTS".into())
            .ok()
            .filter(|queue| queue.is_object());
        let queue: QueueBinding = queue
            .ok_or_else(|| error::binding("queue", &worker::Error::BindingError("EVENTS".to_owned())))?
            .unchecked_into();
        for batch in batches {
            let messages: Array = batch
                .iter()
                .map(|message| {
                    let body = Uint8Array::from(&**message);
                    object_with(&[("body", body.into()), ("contentType", "bytes".into())])
                })
                .collect();
            self.0.count_subrequest();
            let sent = queue.send_batch(&messages).map_err(refused)?;
            JsFuture::from(sent).await.map_err(refused)?;
        }
        Ok(())
    }
}

fn refused(thrown: JsValue) -> PortError {
    let detail = error::text(thrown);
    let kind = if ["too large", "too big", "413"]
        .iter()
        .any(|words| detail.contains(words))
    {
        PortErrorKind::Rejected
    } else if ["Too Many Requests", "overloaded", "429"]
        .iter()
        .any(|words| detail.contains(words))
    {
        PortErrorKind::Unavailable
    } else {
        PortErrorKind::Timeout
    };
    PortError::new(kind, "queue", detail)
}

/// Messages in batches as large as the platform takes, in order.
fn pack(messages: Vec<Bytes>) -> Result<Vec<Vec<Bytes>>, PortError> {
    let mut batches: Vec<Vec<Bytes>> = Vec::new();
    let mut size = 0;
    for message in messages {
        let bytes = message.len() + MESSAGE_OVERHEAD;
        if bytes > MAX_MESSAGE_BYTES {
            let detail = format!("a message of {} bytes is over the limit of 128 KB", message.len());
            return Err(PortError::new(PortErrorKind::Rejected, "queue", detail));
        }
        match batches.last_mut() {
            Some(batch) if batch.len() < MAX_BATCH_MESSAGES && size + bytes <= MAX_BATCH_BYTES => {
                batch.push(message);
                size += bytes;
            }
            _ => {
                batches.push(vec![message]);
                size = bytes;
            }
        }
    }
    Ok(batches)
}

/// Gives the messages of a batch to `consumer` and tells the queue what became of each. `consumer` is told whether
/// they come from a dead-letter queue.
///
/// It stands in an exported function of its own: `#[event(queue)]` hides a message's attempts, and turns an error into a
/// panic, which would reset every request of the isolate.
pub async fn consume(
    batch: MessageBatch,
    env: Env,
    context: worker_sys::Context,
    consumer: impl AsyncFnOnce(&Cloudflare, Vec<Attempt>, bool) -> Vec<Delivered>,
) {
    let platform = Cloudflare::new(env, Host::request(Context::new(context)));
    let messages: Vec<Message> = batch.messages().iter().map(JsCast::unchecked_into).collect();
    let attempts = messages.iter().map(|message| Attempt {
        message: bytes_of(&message.body()),
        number: message.attempts().into(),
    });
    let delivered = consumer(
        &platform,
        attempts.collect(),
        batch.queue().ends_with(DEAD_LETTERS),
    )
    .await;
    let mut delivered = delivered.into_iter();
    for message in &messages {
        // A message without an outcome was not delivered.
        let told = match delivered.next().unwrap_or(Delivered::Retry) {
            // What is dead was stored as such: redelivering it would store it again.
            Delivered::Done | Delivered::Dead(_) => message.ack(),
            Delivered::Retry => {
                let wait = retry_after(message.attempts().into(), platform.random());
                // Whole seconds, and never at once.
                let delay = wait.as_secs_f64().ceil();
                message.retry(&object_with(&[("delaySeconds", delay.into())]))
            }
        };
        if let Err(thrown) = told {
            platform.log(Level::Error, &format!("queue: {}", error::text(thrown)));
        }
    }
}

fn bytes_of(body: &JsValue) -> Bytes {
    match body.as_string() {
        Some(text) => text.into(),
        None => Uint8Array::new(body).to_vec().into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(messages: &[usize]) -> Vec<Vec<usize>> {
        let messages = messages
            .iter()
            .map(|size| Bytes::from(vec![b'x'; *size]))
            .collect();
        pack(messages)
            .unwrap()
            .iter()
            .map(|batch| batch.iter().map(Bytes::len).collect())
            .collect()
    }

    #[test]
    fn batches_hold_at_most_a_hundred_messages() {
        let lengths = |count| sizes(&vec![1; count]).iter().map(Vec::len).collect::<Vec<_>>();
        assert_eq!(lengths(0), [0; 0]);
        assert_eq!(lengths(100), [100]);
        assert_eq!(lengths(101), [100, 1]);
    }

    #[test]
    fn batches_hold_at_most_256_kilobytes() {
        let largest = MAX_MESSAGE_BYTES - MESSAGE_OVERHEAD;
        assert_eq!(sizes(&[largest, largest, 1]), [vec![largest, largest], vec![1]]);
    }

    #[test]
    fn a_message_over_the_limit_is_refused_before_anything_is_sent() {
        let message = Bytes::from(vec![b'x'; MAX_MESSAGE_BYTES - MESSAGE_OVERHEAD + 1]);
        assert_eq!(pack(vec![message]).unwrap_err().kind, PortErrorKind::Rejected);
    }
}
