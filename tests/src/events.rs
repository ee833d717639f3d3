//! Events to post, and streams of one's own to post them to.
//!
//! Every stream that matches `/^job\.run\..+/` is configured by the examples and is a log of its own, so a test that
//! makes up a name has a stream that nobody else writes to.

use crate::random::fresh_uuid;

/// A stream that nobody else writes to.
#[derive(Debug, Clone)]
pub struct PrivateStream {
    /// Its name.
    pub name: String,
}

impl PrivateStream {
    /// A new one; `label` is for people who look at the log.
    #[must_use]
    pub fn new(label: &str) -> Self {
        let unique = fresh_uuid().replace('-', "");
        Self {
            name: format!("job.run.{label}_{unique}"),
        }
    }

    /// The path that reads it from now on.
    #[must_use]
    pub fn live(&self) -> String {
        format!("/v2/stream/{}", self.name)
    }

    /// The path that reads it from its beginning.
    #[must_use]
    pub fn from_the_beginning(&self) -> String {
        format!("/v2/stream/{}?since=2020-01-01T00:00:00Z", self.name)
    }

    /// A valid event with this id and nothing left for the platform to fill in.
    #[must_use]
    pub fn event(&self, id: &str) -> String {
        self.event_with(id, "")
    }

    /// The same with more members at its end: `,"name":value…`.
    #[must_use]
    pub fn event_with(&self, id: &str, members: &str) -> String {
        job_event(&self.name, id, members)
    }

    /// An event of `bytes` bytes.
    #[must_use]
    pub fn event_of_size(&self, id: &str, bytes: usize) -> String {
        let empty = self.event_with(id, r#","filler":"""#);
        let filler = "x".repeat(bytes.checked_sub(empty.len()).expect("room for the event itself"));
        self.event_with(id, &format!(r#","filler":"{filler}""#))
    }
}

/// A complete event of schema `/job/run/1.0.0`.
#[must_use]
pub fn job_event(stream: &str, id: &str, members: &str) -> String {
    format!(
        concat!(
            r#"{{"$schema":"/job/run/1.0.0","#,
            r#""meta":{{"stream":"{}","id":"{}","dt":"2026-01-01T00:00:00Z","request_id":"r-1"}},"#,
            r#""dt":"2026-01-01T00:00:00Z","job":"test","attempt":1{}}}"#
        ),
        stream, id, members
    )
}

/// A complete event of schema `/test/event/1.0.0` whose `test` member is the JSON text `test`.
#[must_use]
pub fn test_event(id: &str, test: &str) -> String {
    format!(
        concat!(
            r#"{{"$schema":"/test/event/1.0.0","#,
            r#""meta":{{"stream":"test.event","id":"{}","dt":"2026-01-01T00:00:00Z","request_id":"r-1"}},"#,
            r#""dt":"2026-01-01T00:00:00Z","test":{}}}"#
        ),
        id, test
    )
}

/// A complete event of schema `/shop/order/1.0.0`.
#[must_use]
pub fn order_event(stream: &str, id: &str, order_id: &str) -> String {
    format!(
        concat!(
            r#"{{"$schema":"/shop/order/1.0.0","#,
            r#""meta":{{"stream":"{}","id":"{}","dt":"2026-01-01T00:00:00Z","request_id":"r-1"}},"#,
            r#""dt":"2026-01-01T00:00:00Z","order":{{"order_id":"{}","state":"placed"}}}}"#
        ),
        stream, id, order_id
    )
}

/// A complete event of schema `/web/page_view/1.0.0`.
#[must_use]
pub fn page_view_event(id: &str) -> String {
    format!(
        concat!(
            r#"{{"$schema":"/web/page_view/1.0.0","#,
            r#""meta":{{"stream":"web.page_view","id":"{}","dt":"2026-01-01T00:00:00Z","request_id":"r-1"}},"#,
            r#""dt":"2026-01-01T00:00:00Z","page":{{"path":"/teapots"}}}}"#
        ),
        id
    )
}

/// A body with several events.
#[must_use]
pub fn array(events: &[String]) -> String {
    format!("[{}]", events.join(","))
}
