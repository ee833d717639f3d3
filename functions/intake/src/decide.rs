//! Decides what becomes of each event. No I/O: everything it needs was gathered.

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;

use eventstar_event::json::{MAX_VALUES, Size, quote};
use eventstar_event::time::{Millis, to_iso};
use eventstar_event::{Document, Envelope, JsonError, MAX_EVENT_BYTES};
use eventstar_http_api::Principal;
use eventstar_log::LogName;
use eventstar_ports::Platform;
use eventstar_stream_config::Stream;
use eventstar_validation::{AjvError, MAX_ERRORS, Schema};
use serde_json::Value;

use crate::admit::{Admitted, Destination, Rules, Target, admit};
use crate::answer::{Failure, Outcome};
use crate::enrollments;
use crate::gather::{Gathered, Targets, missing};
use crate::ids::delivery_id;
use crate::limits::{MAX_FILLED_BYTES, MAX_REQUEST_ERRORS, MAX_WAITING_BYTES};
use crate::plan::PlanCache;
use crate::said::Said;

/// Who sent the request, and what it says of all its events.
#[derive(Debug, Clone)]
pub(crate) struct Sender<'r> {
    pub(crate) principal: Principal,
    pub(crate) said: Said<'r>,
}

impl Sender<'_> {
    /// The same, to be used after the request.
    pub(crate) fn into_owned(self) -> Sender<'static> {
        Sender {
            principal: self.principal,
            said: self.said.into_owned(),
        }
    }
}

/// An event as received.
pub(crate) enum Received<'a> {
    /// An event that can be judged: read, its schema and stream named.
    Event(Event<'a>),
    /// One that cannot; `raw` is repeated in the answer.
    Refused { raw: &'a str, failure: Failure },
}

/// An event that can be judged.
pub(crate) struct Event<'a> {
    raw: &'a str,
    /// `None` where it is read again when its turn comes: the events of a request must not all be in memory as values.
    document: Option<Document<'a>>,
    /// The place of its target.
    target: usize,
}

/// What is to be done with an event.
pub(crate) enum Decided<'a> {
    /// Append or send it.
    Accept {
        log: LogName,
        envelope: Envelope,
        stream: Rc<Stream>,
    },
    /// Nothing: the answer tells why.
    Refuse(Outcome<'a>),
}

/// Reads each event's text, and what schemas and streams they name.
pub(crate) fn receive<'a>(
    events: &[&'a str],
    said: &Said<'_>,
    max_bytes: usize,
) -> (Vec<Received<'a>>, Targets) {
    let mut targets = Targets::default();
    let mut waiting = 0;
    let received = events
        .iter()
        .map(|raw| match receive_one(raw, said, max_bytes, &mut targets) {
            Ok(mut event) => {
                waiting += event.document.as_ref().map_or(0, Document::memory);
                if waiting > MAX_WAITING_BYTES {
                    waiting -= event.document.take().as_ref().map_or(0, Document::memory);
                }
                Received::Event(event)
            }
            Err(failure) => Received::Refused { raw, failure },
        })
        .collect();
    (received, targets)
}

fn receive_one<'a>(
    raw: &'a str,
    said: &Said<'_>,
    max_bytes: usize,
    targets: &mut Targets,
) -> Result<Event<'a>, Failure> {
    check_size(raw, max_bytes)?;
    let document = read(raw, said)?;
    Ok(Event {
        raw,
        target: targets.place(&document)?,
        document: Some(document),
    })
}

/// Refuses an event that is too large to be read, before anything of its size is made.
pub(crate) fn check_size(raw: &str, max_bytes: usize) -> Result<(), Failure> {
    // A value has at least two bytes.
    if raw.len() <= max_bytes.min(2 * MAX_VALUES) {
        return Ok(());
    }
    let Size { bytes, values } = Size::of_text(raw.as_bytes());
    let checked = [("bytes", bytes, max_bytes), ("values", values, MAX_VALUES)];
    match checked.into_iter().find(|(_, size, limit)| size > limit) {
        Some((unit, size, limit)) => Err(Failure::TooLarge { size, unit, limit }),
        None => Ok(()),
    }
}

/// The event as sent, with the schema URI and the stream that the query names.
fn read<'a>(raw: &'a str, said: &Said<'_>) -> Result<Document<'a>, Failure> {
    let mut document = Document::parse(raw).map_err(|error| match error {
        // EventGate's words for an element that is no object.
        JsonError::NotEvents => missing("$schema"),
        error => Failure::json(&error),
    })?;
    said.name(&mut document);
    Ok(document)
}

/// What is the same for all events of a request, looked up and written once.
struct Common<'c, P> {
    platform: &'c P,
    said: &'c Said<'c>,
    now: Millis,
    /// The receive time in ISO 8601, as JSON text.
    quoted: String,
    /// The number of errors that may still be reported.
    errors: Cell<usize>,
    /// Bytes of refused events that may still be repeated with their defaults.
    filled_left: Cell<usize>,
}

impl<P> Common<'_, P> {
    /// Validates an event. Where the request has had its share of errors, the first one alone is told.
    fn validate(&self, schema: &Schema, value: &Value) -> Result<(), Vec<AjvError>> {
        let left = self.errors.get();
        let judged = schema.validate_telling(value, left.clamp(1, MAX_ERRORS));
        let told = judged.as_ref().err().map_or(0, Vec::len);
        self.errors.set(left.saturating_sub(told));
        judged
    }
}

/// Decides for each event, in order.
pub(crate) fn decide<'a, P: Platform>(
    platform: &P,
    plans: &PlanCache,
    sender: &Sender<'_>,
    gathered: &Gathered,
    targets: &Targets,
    received: Vec<Received<'a>>,
) -> Vec<Decided<'a>> {
    let rules = Rules {
        topic_prefix: platform.get("TOPIC_PREFIX"),
        event_service: platform.get("EVENT_SERVICE"),
    };
    let targets: Vec<Target> = targets
        .named()
        .map(|named| admit(platform, plans, &sender.principal, &rules, gathered, named))
        .collect();
    let now = platform.now();
    let common = Common {
        platform,
        said: &sender.said,
        now,
        quoted: quote(&to_iso(now)),
        errors: Cell::new(MAX_REQUEST_ERRORS),
        filled_left: Cell::new(MAX_FILLED_BYTES),
    };
    received
        .into_iter()
        .map(|received| match received {
            // What is no JSON object is repeated as it came; it was accepted as JSON before.
            Received::Refused { raw, failure } => Decided::Refuse(Outcome::failed(raw, failure)),
            Received::Event(event) => decide_one(&common, &targets, event),
        })
        .collect()
}

fn decide_one<'a, P: Platform>(common: &Common<'_, P>, targets: &[Target], event: Event<'a>) -> Decided<'a> {
    let Event {
        raw,
        document,
        target,
    } = event;
    let refuse = |event: Cow<'a, str>, failure, stream| {
        Decided::Refuse(Outcome {
            stream,
            ..Outcome::failed(event, failure)
        })
    };
    let document = match document.map_or_else(|| read(raw, common.said), Ok) {
        Ok(document) => document,
        Err(failure) => return refuse(raw.into(), failure, None),
    };
    let Some(target) = targets.get(target) else {
        return refuse(document.into_text(), missing("$schema"), None);
    };
    let admitted = match &target.verdict {
        Ok(admitted) => admitted,
        Err(failure) => {
            return refuse(document.into_text(), failure.clone(), target.stream.clone());
        }
    };
    match judge(common, admitted, document) {
        Ok(decided) => decided,
        Err(failure) => refuse(
            with_defaults(raw, common, &admitted.schema),
            failure,
            target.stream.clone(),
        ),
    }
}

/// The event an answer repeats: as sent, with the schema's defaults, as EventGate's is; without them once there was a lot.
fn with_defaults<'a, P>(raw: &'a str, common: &Common<'_, P>, schema: &Schema) -> Cow<'a, str> {
    let Ok(mut document) = read(raw, common.said) else {
        return raw.into();
    };
    let left = common.filled_left.get();
    if raw.len() <= left {
        // Where that was too much, the event is refused for it; what was filled in is there.
        let _partly = schema.fill_defaults(&mut document);
    }
    let text = document.into_text();
    if let Cow::Owned(text) = &text {
        common.filled_left.set(left.saturating_sub(text.len()));
    }
    text
}

fn judge<P: Platform>(
    common: &Common<'_, P>,
    admitted: &Admitted,
    mut event: Document<'_>,
) -> Result<Decided<'static>, Failure> {
    let Admitted {
        schema,
        plan,
        destination,
    } = admitted;
    let stream = destination.as_ref().map(|destination| destination.name.as_str());
    let id = delivery_id(common.platform, common.now, stream, &event);
    plan.fill(&mut event, common.platform, common.said, &common.quoted);
    if destination
        .as_ref()
        .is_some_and(|destination| destination.config.edge_uniques)
    {
        enrollments::hoist(schema, common.said, &mut event)?;
    }
    schema.fill_defaults(&mut event).map_err(Failure::Invalid)?;
    if event.is_overfull() {
        return Err(Failure::client(
            "too_many_defaults",
            format!(
                "the schema's defaults would add more than {MAX_EVENT_BYTES} bytes to the event: send fewer items, or the members themselves"
            ),
        ));
    }
    plan.parsed(&event, |value| common.validate(schema, value))
        .map_err(Failure::Invalid)?;
    let Some(destination) = destination else {
        return Err(missing("meta.stream"));
    };
    // A `meta.dt` that was sent has been validated as sent; what is stored is the receive time (T376026).
    if event
        .get(&["meta", "dt"])
        .is_some_and(|dt| dt.text() != common.quoted)
    {
        event.set(&["meta", "dt"], &common.quoted);
    }
    let Destination { name, config, topic } = destination;
    let topic = topic.clone()?;
    let key = config
        .message_key(&event)
        .map_err(|missing| Failure::client("missing_key_field", missing.to_string()))?;
    Ok(Decided::Accept {
        log: LogName {
            topic,
            partition: config.partition(key.as_deref(), &event),
            epoch: config.log_epoch,
        },
        envelope: Envelope {
            id,
            dt: common.now,
            stream: name.clone(),
            key,
            headers: BTreeMap::new(),
            event: event.into_string(),
        },
        stream: Rc::clone(config),
    })
}
