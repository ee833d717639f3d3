//! The text of frames. Source: KafkaSSE, `lib/SSEResponse.js`.

use memchr::memchr2_iter;

/// The first bytes of an answer.
pub const OPENED: &str = ":ok\n\n";

/// A comment: a heartbeat that clients ignore.
pub const COMMENT: &str = ":\n\n";

/// Writes the frame of an event of type `event`, in the original's field order: `event`, `id`, `data`. `id` writes the id, which is
/// one line. Each line of `data` becomes a `data:` line, and empty ones are left out, as the original does.
pub fn write_event(out: &mut String, event: &str, id: impl FnOnce(&mut String), data: &str) {
    out.push_str("event: ");
    out.push_str(event);
    out.push_str("\nid: ");
    id(out);
    out.push('\n');
    let mut start = 0;
    for end in memchr2_iter(b'\r', b'\n', data.as_bytes()).chain([data.len()]) {
        if let Some(line) = data.get(start..end).filter(|line| !line.is_empty()) {
            out.push_str("data: ");
            out.push_str(line);
            out.push('\n');
        }
        start = end + 1;
    }
    out.push('\n');
}

/// A block that only sets the last event id: without data, nothing is dispatched. Source: the HTML standard, "dispatch
/// the event", steps 1 and 2.
#[must_use]
pub fn id_frame(id: &str) -> String {
    format!("id: {id}\n\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_has_the_fields_of_the_original_in_order_and_a_line_for_each_of_its_data() {
        for (event, id, data, expected) in [
            ("message", "[1]", "{}", "event: message\nid: [1]\ndata: {}\n\n"),
            (
                "message",
                r#"[{"topic":"é"}]"#,
                r#"{"a":"é\n "}"#,
                "event: message\nid: [{\"topic\":\"é\"}]\ndata: {\"a\":\"é\\n \"}\n\n",
            ),
            (
                "error",
                "[]",
                "a\nb",
                "event: error\nid: []\ndata: a\ndata: b\n\n",
            ),
            (
                "error",
                "[]",
                "a\r\nb",
                "event: error\nid: []\ndata: a\ndata: b\n\n",
            ),
            (
                "error",
                "[]",
                "a\rb",
                "event: error\nid: []\ndata: a\ndata: b\n\n",
            ),
            (
                "error",
                "[]",
                "a\r\n\nb",
                "event: error\nid: []\ndata: a\ndata: b\n\n",
            ),
            ("error", "[]", "\na\n", "event: error\nid: []\ndata: a\n\n"),
            ("gap", "[]", " a: b ", "event: gap\nid: []\ndata:  a: b \n\n"),
            // No other character ends a line.
            (
                "gap",
                "[]",
                "a\u{2028}b\u{85}c",
                "event: gap\nid: []\ndata: a\u{2028}b\u{85}c\n\n",
            ),
            ("end", "", "{}", "event: end\nid: \ndata: {}\n\n"),
            ("end", "[]", "", "event: end\nid: []\n\n"),
        ] {
            let mut out = ":before\n\n".to_owned();
            write_event(&mut out, event, |out| out.push_str(id), data);
            assert_eq!(out, format!(":before\n\n{expected}"), "{data:?}");
        }
    }

    #[test]
    fn a_frame_of_an_id_alone_has_no_data() {
        assert_eq!(id_frame("[1]"), "id: [1]\n\n");
    }
}
