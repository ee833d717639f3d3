//! Where a connection stands in one log.

use eventstar_event::json::quote;
use eventstar_event::time::Millis;
use eventstar_log::{Chunk, Gap, GapReason, LogName, Start};
use serde_json::{Map, Value, json};

use crate::resume::Gone;
use crate::select::Selected;

/// A log, and where its next event is.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) log: LogName,
    /// The stream's name in the config, for metrics.
    pub(crate) stream: String,
    asked: Start,
    /// The offset of the next event to send; unknown until the log was opened.
    pub(crate) next: Option<u64>,
    /// The timestamp of the event before that, plus a millisecond.
    timestamp: Option<Millis>,
    /// Follows in a row that brought nothing.
    pub(crate) failures: u32,
    /// Where the log ended when it was opened: what comes later is live.
    head: u64,
    /// Its entry in the ids.
    entry: String,
    /// The length of the part of the entry that stays the same: all but where the log stands.
    fixed: usize,
}

impl Place {
    /// The place of a log; `is_partial` tells that the reader has only some logs of its streams, which the ids then say.
    pub(crate) fn new(selected: Selected, is_partial: bool) -> Self {
        let Selected {
            log,
            stream,
            start: asked,
        } = selected;
        let timestamp = match asked {
            Start::Timestamp(timestamp) | Start::Position { timestamp, .. } => Some(timestamp),
            Start::Offset(_) | Start::Latest => None,
        };
        let entry = format!(
            "{{\"topic\":{},\"partition\":{}{}",
            quote(log.topic.as_str()),
            log.partition,
            if is_partial { ",\"partial\":true" } else { "" }
        );
        let mut place = Self {
            log,
            stream,
            asked,
            next: None,
            timestamp,
            failures: 0,
            head: u64::MAX,
            fixed: entry.len(),
            entry,
        };
        place.write_entry();
        place
    }

    /// Where to follow the log from.
    pub(crate) fn start(&self) -> Start {
        self.next.map_or(self.asked, Start::Offset)
    }

    /// The log was opened: the next event is the one at `start`, `head` is where the next one will be appended, and `last`
    /// is the timestamp of the one before that. Returns the text of a `gap` event where events may be missing.
    pub(crate) fn opened(&mut self, start: u64, head: u64, last: Millis, gap: Option<Gap>) -> Option<String> {
        let from = match (self.next, self.asked) {
            (Some(next), _) => json!({"offset": next, "timestamp": self.timestamp}),
            (None, Start::Offset(offset)) => json!({"offset": offset}),
            (None, Start::Position { offset, timestamp }) => {
                json!({"offset": offset, "timestamp": timestamp})
            }
            (None, Start::Timestamp(timestamp)) => json!({"timestamp": timestamp}),
            (None, Start::Latest) => Value::Null,
        };
        self.head = self.head.min(head);
        // A log that is followed again is at the place where it was left.
        if self.next.is_none() || gap.is_some() {
            self.next = Some(start);
            // The id would lead to the wrong place in a log of which retention drops more.
            if start == head && self.timestamp.is_none_or(|time| time <= last) {
                self.timestamp = Some(last + 1);
            }
            self.write_entry();
        }
        let gap = gap?;
        let to = json!({"offset": start, "timestamp": gap.timestamp});
        Some(self.gap_text(gap.reason, &from, &to))
    }

    /// The chunk that came begins after the next event: what lies between was dropped before it could be sent.
    pub(crate) fn fell_behind(&mut self, base: u64, first: Millis) -> String {
        let from = json!({"offset": self.next, "timestamp": self.timestamp});
        self.next = Some(base);
        let to = json!({"offset": base, "timestamp": first});
        self.gap_text(GapReason::Expired, &from, &to)
    }

    fn gap_text(&self, reason: GapReason, from: &Value, to: &Value) -> String {
        gap_text(
            reason,
            self.log.topic.as_str(),
            Some(self.log.partition),
            from,
            to,
        )
    }

    /// The event at `offset` was read.
    pub(crate) fn read(&mut self, offset: u64, timestamp: Millis) {
        self.next = Some(offset + 1);
        self.timestamp = Some(timestamp + 1);
        self.failures = 0;
        self.write_entry();
    }

    /// The offsets before `next` hold no event, as some in Kafka.
    pub(crate) fn pass_to(&mut self, next: u64) {
        self.next = Some(next);
        self.failures = 0;
        self.write_entry();
    }

    /// Whether `chunk` was appended after the log was opened.
    pub(crate) fn is_live(&self, chunk: &Chunk) -> bool {
        chunk.base >= self.head
    }

    /// Passes over a chunk whose last event is ahead of `next`, at `last`.
    pub(crate) fn skip(&mut self, next: u64, last: Millis) {
        self.next = Some(next);
        self.timestamp = Some(last + 1);
        self.write_entry();
    }

    /// Its entry in the ids: offset and timestamp, of which KafkaSSE's clients take the offset.
    pub(crate) fn entry(&self) -> &str {
        &self.entry
    }

    fn write_entry(&mut self) {
        use std::fmt::Write as _;
        let entry = &mut self.entry;
        entry.truncate(self.fixed);
        let asked = match self.asked {
            Start::Offset(offset) | Start::Position { offset, .. } => Some(offset),
            Start::Timestamp(_) | Start::Latest => None,
        };
        // Writing to a text cannot fail.
        let _ = match self.next.or(asked) {
            Some(next) => write!(entry, ",\"offset\":{next}"),
            None => write!(entry, ",\"offset\":-1"),
        };
        if let Some(timestamp) = self.timestamp {
            let _ = write!(entry, ",\"timestamp\":{timestamp}");
        }
        entry.push('}');
    }
}

/// The text of a `gap` event for a topic-partition of the reader's id that its streams do not have any more.
pub(crate) fn gone(gone: &Gone) -> String {
    let mut from = Map::new();
    from.extend(gone.offset.map(|offset| ("offset".to_owned(), offset.into())));
    from.extend(gone.timestamp.map(|time| ("timestamp".to_owned(), time.into())));
    let from = Value::Object(from);
    gap_text(GapReason::Gone, &gone.topic, gone.partition, &from, &Value::Null)
}

fn gap_text(reason: GapReason, topic: &str, partition: Option<u32>, from: &Value, to: &Value) -> String {
    let mut gap = json!({
        "type": "gap", "reason": reason, "topic": topic, "partition": partition, "from": from, "to": to,
    });
    // A topic that an id names without a partition has none to tell of.
    if let (None, Some(gap)) = (partition, gap.as_object_mut()) {
        gap.shift_remove("partition");
    }
    gap.to_string()
}

/// The id of a connection: where to go on in every log of the request.
pub(crate) fn id(places: &[Place], out: &mut String) {
    for (nth, place) in places.iter().enumerate() {
        out.push(if nth == 0 { '[' } else { ',' });
        out.push_str(place.entry());
    }
    out.push(']');
}

#[cfg(test)]
mod tests {
    use eventstar_event::Topic;

    use super::*;

    fn selected(asked: Start) -> Selected {
        Selected {
            log: LogName {
                topic: Topic::parse("a").unwrap(),
                partition: 0,
                epoch: 0,
            },
            stream: "a".into(),
            start: asked,
        }
    }

    fn place(asked: Start) -> Place {
        Place::new(selected(asked), false)
    }

    #[test]
    fn a_place_is_known_once_its_log_is_open_and_moves_with_each_event() {
        let mut place = place(Start::Latest);
        assert_eq!(place.entry(), r#"{"topic":"a","partition":0,"offset":-1}"#);
        assert_eq!(place.opened(5, 5, 100, None), None);
        assert_eq!(
            place.entry(),
            r#"{"topic":"a","partition":0,"offset":5,"timestamp":101}"#
        );
        place.read(5, 170);
        assert_eq!(
            place.entry(),
            r#"{"topic":"a","partition":0,"offset":6,"timestamp":171}"#
        );
        assert_eq!(place.start(), Start::Offset(6));
        // Followed again, with an event that came meanwhile.
        assert_eq!(place.opened(6, 7, 180, None), None);
        assert_eq!(place.start(), Start::Offset(6));
    }

    #[test]
    fn a_time_asked_for_is_the_timestamp_of_the_id_until_an_event_is_read() {
        let mut place = place(Start::Timestamp(50));
        place.opened(2, 5, 100, None);
        assert_eq!(
            place.entry(),
            r#"{"topic":"a","partition":0,"offset":2,"timestamp":50}"#
        );
    }

    #[test]
    fn a_gap_says_from_where_to_where() {
        let gap = |reason| {
            Some(Gap {
                reason,
                timestamp: Some(90),
            })
        };
        let mut old = place(Start::Position {
            offset: 3,
            timestamp: 40,
        });
        assert_eq!(
            old.opened(8, 9, 95, gap(GapReason::Expired)).unwrap(),
            r#"{"type":"gap","reason":"expired","topic":"a","partition":0,"from":{"offset":3,"timestamp":40},"to":{"offset":8,"timestamp":90}}"#
        );
        let mut foreign = place(Start::Position {
            offset: 300,
            timestamp: 40,
        });
        assert!(
            foreign
                .opened(8, 9, 95, gap(GapReason::Foreign))
                .unwrap()
                .contains(r#""reason":"foreign""#)
        );
        assert_eq!(
            old.fell_behind(20, 99),
            r#"{"type":"gap","reason":"expired","topic":"a","partition":0,"from":{"offset":8,"timestamp":40},"to":{"offset":20,"timestamp":99}}"#
        );
        assert_eq!(old.start(), Start::Offset(20));
    }

    /// Else a reader whose log could not be opened would go on with the latest.
    #[test]
    fn a_log_that_was_never_open_keeps_where_the_reader_wanted_it() {
        for (asked, entry) in [
            (Start::Latest, r#""offset":-1}"#),
            (Start::Offset(3), r#""offset":3}"#),
            (
                Start::Position {
                    offset: 3,
                    timestamp: 40,
                },
                r#""offset":3,"timestamp":40}"#,
            ),
            (Start::Timestamp(40), r#""offset":-1,"timestamp":40}"#),
        ] {
            let place = place(asked);
            assert_eq!(place.entry(), format!(r#"{{"topic":"a","partition":0,{entry}"#));
        }
    }

    #[test]
    fn ids_of_a_reader_that_has_some_logs_only_say_so() {
        let mut place = Place::new(selected(Start::Offset(3)), true);
        place.opened(3, 5, 100, None);
        place.read(3, 60);
        assert_eq!(
            place.entry(),
            r#"{"topic":"a","partition":0,"partial":true,"offset":4,"timestamp":61}"#
        );
    }

    #[test]
    fn a_gap_says_what_is_gone() {
        let entry = |partition, offset, timestamp| Gone {
            topic: "old".into(),
            partition,
            offset,
            timestamp,
        };
        assert_eq!(
            gone(&entry(Some(2), Some(3), Some(40))),
            r#"{"type":"gap","reason":"gone","topic":"old","partition":2,"from":{"offset":3,"timestamp":40},"to":null}"#
        );
        assert_eq!(
            gone(&entry(None, None, None)),
            r#"{"type":"gap","reason":"gone","topic":"old","from":{},"to":null}"#
        );
    }
}
