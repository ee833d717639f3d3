//! Intake, the relay and the route that appends, as far as the commands see them.

use std::collections::{BTreeMap, VecDeque};

use serde_json::value::RawValue;
use serde_json::{Value, json};

/// What is stored, what is to be answered, and what was asked.
#[derive(Default)]
pub(crate) struct Events {
    /// What the next requests that write are answered instead: a status, or nothing where the answer gets lost on its way.
    pub(crate) instead: VecDeque<Option<u16>>,
    /// What was written, each text and delivery id once.
    pub(crate) stored: Vec<String>,
    /// How many events each request that writes had.
    pub(crate) batches: Vec<usize>,
    /// The tokens shown to intake.
    pub(crate) tokens: Vec<Option<String>>,
    /// The bodies of the relay's next answers: each is cut off at its end. A number alone is a status.
    pub(crate) streams: VecDeque<String>,
    /// The query and the `Last-Event-ID` of each connection.
    pub(crate) connections: Vec<(String, Option<String>)>,
    seen: Vec<String>,
}

const EARLY_END: &str = "HTTP/1.1 200 x\r\nconnection: close\r\n\r\n";

impl Events {
    /// The bytes of the answer; `None` when the request is none of these.
    pub(crate) fn answer(
        &mut self,
        request: &str,
        headers: &BTreeMap<String, String>,
        body: &str,
    ) -> Option<String> {
        let (path, query) = request.split_once('?').unwrap_or((request, ""));
        if path.starts_with("GET /v2/stream/") {
            let last = headers.get("last-event-id").cloned();
            let streams = path.rsplit('/').next().unwrap();
            self.connections.push((format!("{streams}?{query}"), last));
            let next = self.streams.pop_front();
            let next =
                next.unwrap_or_else(|| "event: end\nid: [9]\ndata: {\"reason\":\"until\"}\n\n".to_owned());
            return Some(match next.parse() {
                Ok(status) => reply(status, r#"{"detail":"the reason, and what to do"}"#),
                Err(_) => format!("{EARLY_END}{next}"),
            });
        }
        let is_append = path.starts_with("POST /admin/v1/streams/");
        if !is_append && path != "POST /v1/events" {
            return None;
        }
        let texts: Vec<String> = if is_append {
            let log = path.split('/').nth(4).unwrap();
            body.lines().map(|line| format!("{log}?{query} {line}")).collect()
        } else {
            self.tokens.push(headers.get("authorization").cloned());
            let events: Vec<&RawValue> = serde_json::from_str(body).unwrap();
            events.iter().map(|event| event.get().to_owned()).collect()
        };
        self.batches.push(texts.len());
        let instead = self.instead.pop_front();
        if let Some(Some(status)) = instead {
            return Some(reply(status, r#"{"detail":"said instead"}"#));
        }
        let results: Vec<Value> = texts.iter().map(|text| self.take(text, query)).collect();
        Some(match instead {
            Some(_) => String::new(),
            None if is_append => reply(200, r#"{"written":0,"duplicates":0}"#),
            None if query == "hasty=true" => reply(202, ""),
            None => reply(207, &json!({ "results": results }).to_string()),
        })
    }

    /// What becomes of an event: `bad` ones are refused, and `later` ones are stored when they come again.
    fn take(&mut self, text: &str, query: &str) -> Value {
        let is_new = !self.seen.iter().any(|seen| seen == text);
        self.seen.push(text.to_owned());
        if text.contains("\"bad\"") {
            return json!({"outcome": "invalid", "code": "invalid", "retryable": false,
                "errors": [{"pointer": "/bad", "message": "should not be there"}]});
        }
        if text.contains("\"later\"") && is_new {
            return json!({"outcome": "error", "code": "delivery_failed", "retryable": true, "message": "not now"});
        }
        if query != "dry_run=true" && !self.stored.iter().any(|stored| stored == text) {
            self.stored.push(text.to_owned());
        }
        json!({"outcome": "accepted", "code": "accepted", "retryable": false})
    }
}

fn reply(status: u16, body: &str) -> String {
    format!(
        "HTTP/1.1 {status} x\r\ncontent-length: {}\r\nconnection: close\r\nretry-after: 0\r\n\r\n{body}",
        body.len()
    )
}
