//! The data of a frame: the event with where it was read from.

use eventstar_event::Document;
use eventstar_event::json::quote;
use eventstar_log::LogName;

/// Adds `meta.topic`, `meta.partition`, `meta.offset` and, where there is one, `meta.key` to an event's text, after the
/// members that `meta` has (`lib/eventstreams-util.js:17-31`).
pub(crate) fn with_position(event: &str, log: &LogName, offset: u64, key: Option<&str>) -> String {
    // What the log holds was read before: it is an object.
    let Ok(mut document) = Document::parse(event) else {
        return event.to_owned();
    };
    let members = [
        ("topic", Some(quote(log.topic.as_str()))),
        ("partition", Some(log.partition.to_string())),
        ("offset", Some(offset.to_string())),
        ("key", key.map(str::to_owned)),
    ];
    for (name, value) in members {
        if let Some(value) = value {
            document.set(&["meta", name], &value);
        }
    }
    document.into_string()
}

#[cfg(test)]
mod tests {
    use eventstar_event::Topic;

    use super::*;

    #[test]
    fn the_position_is_added_to_meta_as_the_original_does() {
        let log = LogName {
            topic: Topic::parse("eqiad.a").unwrap(),
            partition: 2,
            epoch: 0,
        };
        for (event, key, expected) in [
            (
                r#"{"meta":{"stream":"a"},"n":1.0}"#,
                None,
                r#"{"meta":{"stream":"a","topic":"eqiad.a","partition":2,"offset":7},"n":1.0}"#,
            ),
            (
                r#"{"n":1}"#,
                Some(r#"{"w":"en"}"#),
                r#"{"n":1,"meta":{"topic":"eqiad.a","partition":2,"offset":7,"key":{"w":"en"}}}"#,
            ),
            (
                r#"{"meta":{"offset":"mine","stream":"a"}}"#,
                None,
                r#"{"meta":{"offset":7,"stream":"a","topic":"eqiad.a","partition":2}}"#,
            ),
        ] {
            assert_eq!(with_position(event, &log, 7, key), expected);
        }
    }
}
