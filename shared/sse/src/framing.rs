//! The text of frames. Source: KafkaSSE, `lib/SSEResponse.js`.

/// The first bytes of an answer.
pub const OPENED: &str = ":ok\n\n";

/// A comment: a heartbeat that clients ignore.
pub const COMMENT: &str = ":\n\n";

/// The frame of an event of type `message`, in the original's field order: `event`, `id`, `data`.
#[must_use]
pub fn message_frame(id: &str, data: &str) -> String {
    event_frame("message", id, data)
}

/// The frame of an event of type `event`. Line breaks in `data` become several `data:` lines.
#[must_use]
pub fn event_frame(event: &str, id: &str, data: &str) -> String {
    let mut frame = String::with_capacity(data.len() + id.len() + 40);
    frame.push_str("event: ");
    frame.push_str(event);
    frame.push_str("\nid: ");
    frame.push_str(id);
    frame.push('\n');
    for line in data.split(['\r', '\n']).filter(|line| !line.is_empty()) {
        frame.push_str("data: ");
        frame.push_str(line);
        frame.push('\n');
    }
    frame.push('\n');
    frame
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
    fn frames_have_the_fields_of_the_original_in_order() {
        assert_eq!(
            message_frame("[1]", "{}"),
            "event: message\nid: [1]\ndata: {}\n\n"
        );
        assert_eq!(
            event_frame("error", "[]", "a\r\n\nb"),
            "event: error\nid: []\ndata: a\ndata: b\n\n"
        );
    }

    #[test]
    fn a_frame_of_an_id_alone_has_no_data() {
        assert_eq!(id_frame("[1]"), "id: [1]\n\n");
    }
}
