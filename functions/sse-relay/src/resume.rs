//! Where a reader that comes back with an id goes on. No I/O.
//!
//! An id that was written here names all topic-partitions that its reader had: those that are not in it are newer, and are read
//! from their beginning. Other ids may name only some, and then only these are read, as KafkaSSE does (`KafkaSSE.js:404-434`).

use std::collections::{HashMap, HashSet};

use eventstar_event::time::Millis;
use eventstar_log::Start;
use eventstar_sse::{LastEventId, Position};

use crate::refusal::{MAX_LOGS, Refusal};
use crate::select::{Log, Selection};

/// An entry of an id for a topic-partition that is none of the streams' (any more).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Gone {
    pub(crate) topic: String,
    pub(crate) partition: Option<u32>,
    pub(crate) offset: Option<i64>,
    pub(crate) timestamp: Option<Millis>,
}

impl Gone {
    fn new(entry: &LastEventId) -> Self {
        match entry {
            LastEventId::Topic(topic) => Self {
                topic: topic.clone(),
                partition: None,
                offset: None,
                timestamp: None,
            },
            LastEventId::Position(position) => Self {
                topic: position.topic.clone(),
                partition: Some(position.partition),
                offset: position.offset,
                timestamp: position.timestamp,
            },
        }
    }
}

/// The logs to read for the entries of an id; `is_known` tells whether any stream has a topic.
///
/// # Errors
/// [`Refusal::ForeignTopics`] where nothing is left to go on with, or too much is gone.
pub(crate) fn resume(
    logs: &[Log],
    entries: &[LastEventId],
    default: Start,
    is_known: impl Fn(&str) -> bool,
) -> Result<Selection, Refusal> {
    let mut gone = Vec::new();
    let mut by_offset = Vec::new();
    let mut by_time = Vec::new();
    let mut named = HashSet::new();
    let mut streams = HashSet::new();
    for entry in entries {
        let (topic, partition) = match entry {
            LastEventId::Topic(topic) => (topic, None),
            LastEventId::Position(position) => (&position.topic, Some(position.partition)),
        };
        let of_entry = |log: &&Log| {
            log.name.topic.as_str() == topic
                && partition.is_none_or(|partition| log.name.partition == partition)
        };
        let mut is_gone = true;
        for log in logs.iter().filter(of_entry) {
            is_gone = false;
            streams.insert(log.asked);
            if !named.insert(&log.name) {
                continue;
            }
            match start_of(entry, default) {
                start @ (Start::Offset(_) | Start::Position { .. }) => {
                    by_offset.push(log.clone().from(start))
                }
                start => by_time.push(log.clone().from(start)),
            }
        }
        if is_gone {
            gone.push(Gone::new(entry));
        }
    }
    let is_whole = is_whole(entries);
    let are_replaced = is_whole && gone.iter().any(|gone| !is_known(&gone.topic));
    if named.is_empty() && !(are_replaced && gone.iter().all(|gone| !is_known(&gone.topic)))
        || gone.len() > MAX_LOGS
    {
        return Err(foreign(logs, gone));
    }
    if is_whole {
        for log in logs.iter().filter(|log| !named.contains(&log.name)) {
            // A stream of which the id has nothing is new to the reader, unless its topics have taken the place of those gone.
            let is_newer = are_replaced || streams.contains(&log.asked);
            let start = if is_newer { Start::Offset(0) } else { default };
            by_offset.push(log.clone().from(start));
        }
    }
    // As in the original's ids, entries by timestamp come after those with an offset.
    by_offset.append(&mut by_time);
    Ok(Selection {
        is_partial: by_offset.len() < logs.len(),
        logs: by_offset,
        gone,
    })
}

fn foreign(logs: &[Log], gone: Vec<Gone>) -> Refusal {
    let mut available: Vec<String> = logs.iter().map(|log| log.name.topic.to_string()).collect();
    available.dedup();
    Refusal::ForeignTopics {
        topics: gone.into_iter().map(|gone| gone.topic).collect(),
        available,
    }
}

/// True if an id was written here and is as it was written: it then names every topic-partition of its time.
///
/// It has offset and timestamp in one entry, which KafkaSSE never writes (`KafkaSSE.js:516-525, 657-677`), and of each topic all
/// partitions up to the last, so that an id of which somebody has kept the entries of one partition is another. A reader that
/// began with some topic-partitions only has ids that say so.
fn is_whole(entries: &[LastEventId]) -> bool {
    let mut partitions: HashMap<&str, HashSet<u32>> = HashMap::new();
    let mut is_ours = false;
    for entry in entries {
        let LastEventId::Position(position) = entry else {
            return false;
        };
        if position.partial {
            return false;
        }
        is_ours |= position.timestamp.is_some() && position.offset.is_some_and(|offset| offset >= 0);
        partitions
            .entry(&position.topic)
            .or_default()
            .insert(position.partition);
    }
    let all = |named: &HashSet<u32>| named.iter().all(|partition| (*partition as usize) < named.len());
    is_ours && partitions.values().all(all)
}

/// Where an entry of an id starts; an offset beats a timestamp.
fn start_of(entry: &LastEventId, default: Start) -> Start {
    let LastEventId::Position(Position {
        offset, timestamp, ..
    }) = entry
    else {
        return default;
    };
    match (offset.map(u64::try_from), *timestamp) {
        (Some(Ok(offset)), Some(timestamp)) => Start::Position { offset, timestamp },
        (Some(Ok(offset)), None) => Start::Offset(offset),
        // Kafka's name for the beginning.
        (Some(Err(_)), None) if *offset == Some(-2) => Start::Offset(0),
        // KafkaSSE writes -1 for a partition that it has not seen: the latest.
        (_, None) => default,
        (_, Some(time)) => Start::Timestamp(time),
    }
}

#[cfg(test)]
mod tests {
    use eventstar_event::Topic;
    use eventstar_log::LogName;
    use eventstar_sse::parse_last_event_id;
    use serde_json::{Value, json};

    use super::*;

    /// Logs of two streams: `a` with two topics of two partitions, and `b` with one of one.
    fn logs() -> Vec<Log> {
        let names = [
            ("eqiad.a", 0, 0),
            ("eqiad.a", 1, 0),
            ("codfw.a", 0, 0),
            ("codfw.a", 1, 0),
            ("b", 0, 1),
        ];
        names
            .into_iter()
            .map(|(topic, partition, asked)| Log {
                name: LogName {
                    topic: Topic::parse(topic).unwrap(),
                    partition,
                    epoch: 0,
                },
                stream: topic.to_owned(),
                asked,
            })
            .collect()
    }

    fn both(topic: &str, partition: u32) -> Value {
        json!({"topic": topic, "partition": partition, "offset": 5, "timestamp": 50})
    }

    fn with(mut entry: Value, member: &str, value: Value) -> Value {
        entry[member] = value;
        entry
    }

    /// Each log that is read with its start, each that is gone, and whether the reader has only some.
    fn resumed(id: &[Value]) -> Result<(Vec<String>, Vec<String>, bool), Vec<String>> {
        let entries = parse_last_event_id(&json!(id).to_string()).unwrap();
        let is_known = |topic: &str| topic != "old" && topic != "older";
        match resume(&logs(), &entries, Start::Latest, is_known) {
            Ok(selection) => Ok((
                selection
                    .logs
                    .iter()
                    .map(|selected| {
                        let start = match selected.start {
                            Start::Offset(offset) => format!("from {offset}"),
                            Start::Position { offset, timestamp } => format!("at {offset} or {timestamp}"),
                            Start::Timestamp(time) => format!("since {time}"),
                            Start::Latest => "latest".to_owned(),
                        };
                        format!("{}/{} {start}", selected.log.topic, selected.log.partition)
                    })
                    .collect(),
                selection
                    .gone
                    .iter()
                    .map(|gone| match gone.partition {
                        Some(partition) => format!("{}/{partition}", gone.topic),
                        None => gone.topic.clone(),
                    })
                    .collect(),
                selection.is_partial,
            )),
            Err(Refusal::ForeignTopics { topics, .. }) => Err(topics),
            Err(other) => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_id_written_here_has_newer_topic_partitions_read_from_their_beginning() {
        let [eqiad_0, eqiad_1, codfw_0, codfw_1] =
            ["eqiad.a/0", "eqiad.a/1", "codfw.a/0", "codfw.a/1"].map(|log| format!("{log} at 5 or 50"));
        let begins = |log: &str| format!("{log} from 0");
        let latest = |log: &str| format!("{log} latest");
        let b = "b/0 at 5 or 50".to_owned();
        let all = [
            both("eqiad.a", 0),
            both("eqiad.a", 1),
            both("codfw.a", 0),
            both("codfw.a", 1),
            both("b", 0),
        ];
        for (why, id, expected) in [
            (
                "nothing is new",
                all.to_vec(),
                vec![&eqiad_0, &eqiad_1, &codfw_0, &codfw_1, &b],
            ),
            (
                "a had one partition",
                vec![both("eqiad.a", 0), both("codfw.a", 0), both("b", 0)],
                vec![&eqiad_0, &codfw_0, &b, &begins("eqiad.a/1"), &begins("codfw.a/1")],
            ),
            (
                "a had one topic",
                vec![both("eqiad.a", 0), both("eqiad.a", 1), both("b", 0)],
                vec![&eqiad_0, &eqiad_1, &b, &begins("codfw.a/0"), &begins("codfw.a/1")],
            ),
            (
                "the reader asks for b in addition, which is new to it and not newer",
                all[..4].to_vec(),
                vec![&eqiad_0, &eqiad_1, &codfw_0, &codfw_1, &latest("b/0")],
            ),
            (
                "one log was never open, another only just",
                vec![
                    json!({"topic": "eqiad.a", "partition": 0, "offset": -1}),
                    json!({"topic": "codfw.a", "partition": 0, "offset": 0}),
                    both("b", 0),
                ],
                vec![
                    &begins("codfw.a/0"),
                    &b,
                    &begins("eqiad.a/1"),
                    &begins("codfw.a/1"),
                    &latest("eqiad.a/0"),
                ],
            ),
        ] {
            let expected = expected.into_iter().cloned().collect();
            assert_eq!(resumed(&id), Ok((expected, vec![], false)), "{why}");
        }
    }

    #[test]
    fn another_id_has_only_those_read_that_it_names() {
        let by_offset = |topic: &str| json!({"topic": topic, "partition": 0, "offset": 3});
        let by_time = |topic: &str| json!({"topic": topic, "partition": 0, "timestamp": 30});
        for (why, id, expected) in [
            ("an offset alone", vec![by_offset("b")], vec!["b/0 from 3"]),
            ("a timestamp alone", vec![by_time("b")], vec!["b/0 since 30"]),
            (
                "KafkaSSE's, with a partition that it has not seen",
                vec![
                    by_time("eqiad.a"),
                    by_offset("codfw.a"),
                    json!({"topic": "b", "partition": 0, "offset": -1}),
                ],
                vec!["codfw.a/0 from 3", "eqiad.a/0 since 30", "b/0 latest"],
            ),
            (
                "a topic without partitions",
                vec![both("eqiad.a", 0), json!("b")],
                vec!["eqiad.a/0 at 5 or 50", "b/0 latest"],
            ),
            (
                "one partition of an id that was written here",
                vec![both("eqiad.a", 1)],
                vec!["eqiad.a/1 at 5 or 50"],
            ),
            (
                "an id of a reader that has some only",
                vec![with(both("eqiad.a", 0), "partial", json!(true))],
                vec!["eqiad.a/0 at 5 or 50"],
            ),
            (
                "entries that are named twice count once",
                vec![by_offset("b"), by_time("b"), json!("b")],
                vec!["b/0 from 3"],
            ),
        ] {
            let expected = expected.into_iter().map(str::to_owned).collect();
            assert_eq!(resumed(&id), Ok((expected, vec![], true)), "{why}");
        }
    }

    #[test]
    fn an_id_of_another_writer_that_names_all_is_whole_from_then_on() {
        let id = [json!("eqiad.a"), json!("codfw.a"), json!("b")];
        let (logs, gone, is_partial) = resumed(&id).unwrap();
        assert_eq!((logs.len(), gone.len(), is_partial), (5, 0, false));
    }

    #[test]
    fn what_is_gone_is_told_and_the_rest_goes_on() {
        let at = |log: &str| format!("{log} at 5 or 50");
        let begins = |log: &str| format!("{log} from 0");
        let by_offset = |topic: &str| json!({"topic": topic, "partition": 0, "offset": 3});
        let rest = [begins("eqiad.a/1"), begins("codfw.a/0"), begins("codfw.a/1")];
        let [eqiad_1, codfw_0, codfw_1] = &rest;
        for (why, id, expected, gone, is_partial) in [
            (
                "a topic of a has another name now",
                vec![
                    both("eqiad.a", 0),
                    both("eqiad.a", 1),
                    both("old", 0),
                    both("b", 0),
                ],
                vec![&at("eqiad.a/0"), &at("eqiad.a/1"), &at("b/0"), codfw_0, codfw_1],
                vec!["old/0"],
                false,
            ),
            (
                "b has fewer partitions in a new epoch",
                vec![both("b", 0), both("b", 1), both("eqiad.a", 0)],
                vec![&at("b/0"), &at("eqiad.a/0"), eqiad_1, codfw_0, codfw_1],
                vec!["b/1"],
                false,
            ),
            (
                "all topics of a have other names now",
                vec![both("old", 0), both("old", 1), both("b", 0)],
                vec![&at("b/0"), &begins("eqiad.a/0"), eqiad_1, codfw_0, codfw_1],
                vec!["old/0", "old/1"],
                false,
            ),
            (
                "all topics of all streams have other names now",
                vec![both("old", 0), both("older", 0)],
                vec![&begins("eqiad.a/0"), eqiad_1, codfw_0, codfw_1, &begins("b/0")],
                vec!["old/0", "older/0"],
                false,
            ),
            (
                "an id of another writer",
                vec![by_offset("b"), by_offset("old"), json!("older")],
                vec![&"b/0 from 3".to_owned()],
                vec!["old/0", "older"],
                true,
            ),
        ] {
            let expected = expected.into_iter().cloned().collect();
            let gone = gone.into_iter().map(str::to_owned).collect();
            assert_eq!(resumed(&id), Ok((expected, gone, is_partial)), "{why}");
        }
    }

    #[test]
    fn an_id_that_leaves_nothing_to_go_on_with_is_refused() {
        let many: Vec<Value> = (0..=MAX_LOGS)
            .map(|nth| both("old", u32::try_from(nth).unwrap()))
            .collect();
        for (id, topics) in [
            (vec![json!("other")], vec!["other"]),
            (
                vec![json!({"topic": "old", "partition": 0, "offset": 3})],
                vec!["old"],
            ),
            // An id of another stream: the reader has the wrong URL.
            (vec![both("other", 0)], vec!["other"]),
            (vec![both("old", 0), both("other", 0)], vec!["old", "other"]),
            (vec![both("b", 1)], vec!["b"]),
        ] {
            let topics: Vec<String> = topics.into_iter().map(str::to_owned).collect();
            assert_eq!(resumed(&id), Err(topics));
        }
        assert_eq!(resumed(&many).unwrap_err().len(), MAX_LOGS + 1);
    }
}
