//! A stand-in for the routes of dead letters and for intake.

use std::collections::BTreeMap;

use serde_json::{Value, json};

pub(crate) const DEAD: &str = "eventstar.dead-letter";

/// Lines of a page: few, so that there are several pages.
const PAGE: usize = 2;

/// The letters, and what was done with them.
#[derive(Default)]
pub(crate) struct Letters {
    /// The letters and marks of topics, each at its offset.
    pub(crate) topics: BTreeMap<String, Vec<Value>>,
    /// The outcomes of letters that are not delivered, by id.
    pub(crate) outcomes: BTreeMap<String, &'static str>,
    /// The ids of letters that were delivered.
    pub(crate) delivered: Vec<String>,
    /// Texts of events that intake does not accept, and its outcome.
    pub(crate) unaccepted: BTreeMap<String, Value>,
    /// What intake accepted.
    pub(crate) accepted: Vec<String>,
}

impl Letters {
    /// Adds a letter of stream `s` and schema `/a/1.0.0`, in the order of their ids.
    pub(crate) fn add(&mut self, topic: &str, id: &str, fingerprint: &str) {
        let letters = self.topics.entry(topic.to_owned()).or_default();
        let event = json!({"$schema": "/a/1.0.0", "id": id}).to_string();
        let mut letter = json!({
            "offset": letters.len(), "id": id, "dt": format!("2026-01-01T00:00:{:02}.000Z", letters.len()),
            "fingerprint": fingerprint, "reason": format!("no room\nfor {id}"), "stream": "s", "schema_uri": "/a/1.0.0",
            "raw_event": event,
        });
        if topic == DEAD {
            letter["sinks"] = json!(["log"]);
            letter["log"] = json!("v1/s/0/0");
        }
        letters.push(letter);
    }
}

pub(crate) fn answer(letters: &mut Letters, request: &str, body: &str) -> String {
    let (route, query) = request.split_once('?').unwrap_or((request, ""));
    let (status, headers, body) = match route {
        "GET /admin/v1/dead-letters" => list(letters, query),
        "POST /admin/v1/dead-letters/settle" => settle(letters, body),
        "POST /admin/v1/dead-letters/replay" => (200, String::new(), replay(letters, body)),
        "POST /v1/events" => produce(letters, query == "dry_run=true", body),
        _ => (404, String::new(), String::new()),
    };
    format!(
        "HTTP/1.1 {status} x\r\ncontent-length: {}\r\nconnection: close\r\n{headers}\r\n{body}",
        body.len()
    )
}

fn list(letters: &Letters, query: &str) -> (u16, String, String) {
    let pairs: BTreeMap<&str, &str> = query.split('&').filter_map(|pair| pair.split_once('=')).collect();
    if pairs.get("since") == Some(&"soon") {
        return (
            400,
            String::new(),
            json!({"detail": "since is 'soon'"}).to_string(),
        );
    }
    let topic = pairs.get("topic").copied().unwrap_or(DEAD);
    let from: usize = pairs.get("from").map_or(0, |from| from.parse().unwrap());
    let all = letters.topics.get(topic).map_or(&[][..], Vec::as_slice);
    let page: Vec<&Value> = all.iter().skip(from).take(PAGE).collect();
    let wanted = |line: &&&Value| {
        let is = |name: &str| pairs.get(name).is_none_or(|value| line[name] == **value);
        line.get("settled").is_some() || is("stream") && is("fingerprint") && !pairs.contains_key("settled")
    };
    let lines: String = page
        .iter()
        .filter(wanted)
        .map(|line| format!("{line}\n"))
        .collect();
    let headers = format!(
        "next-offset: {}\r\nhead-offset: {}\r\n",
        from + page.len(),
        all.len()
    );
    (200, headers, lines)
}

fn settle(letters: &mut Letters, body: &str) -> (u16, String, String) {
    let body: Value = serde_json::from_str(body).unwrap();
    let named = body["letters"].as_array().unwrap();
    assert!((1..=1000).contains(&named.len()));
    let ids: Vec<&Value> = named.iter().map(|letter| &letter["id"]).collect();
    let marks = letters.topics.entry(DEAD.to_owned()).or_default();
    let mark = json!({"offset": marks.len(), "settled": ids, "how": body["how"], "topic": body["topic"]});
    marks.push(mark);
    (200, String::new(), json!({"settled": ids.len()}).to_string())
}

fn replay(letters: &mut Letters, body: &str) -> String {
    assert!(body.lines().count() <= 20);
    let mut lines = String::new();
    for line in body.lines() {
        let letter: Value = serde_json::from_str(line).unwrap();
        let id = letter["id"].as_str().unwrap();
        let outcome = letters.outcomes.get(id).copied().unwrap_or("delivered");
        let mut line = json!({"offset": letter["offset"], "id": id, "outcome": outcome});
        if outcome == "delivered" {
            letters.delivered.push(id.to_owned());
        } else {
            line["reason"] = json!("because");
        }
        lines.push_str(&format!("{line}\n"));
    }
    lines
}

fn produce(letters: &mut Letters, is_dry_run: bool, body: &str) -> (u16, String, String) {
    match letters.unaccepted.get(body) {
        Some(_) if !is_dry_run => (400, String::new(), String::new()),
        Some(Value::String(detail)) => (503, String::new(), json!({"detail": detail}).to_string()),
        Some(result) => (200, String::new(), json!({"results": [result]}).to_string()),
        None if is_dry_run => (
            200,
            String::new(),
            json!({"results": [{"outcome": "accepted", "code": "accepted", "retryable": false}]}).to_string(),
        ),
        None => {
            letters.accepted.push(body.to_owned());
            (201, String::new(), String::new())
        }
    }
}
