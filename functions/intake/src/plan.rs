//! Which members of an event are filled from what the platform and the request know, before it is validated: planned once
//! for a schema and a stream, as eventgate-wikimedia fills them (`makeSetCustomDefaults`).

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use eventstar_event::Document;
use eventstar_event::json::quote;
use eventstar_ports::Ids;
use eventstar_stream_config::Stream;
use eventstar_validation::Schema;
use serde_json::Value;

use crate::said::Said;

/// Most plans kept: as many as schemas, most of which have one stream.
const MAX_PLANS: usize = 512;

/// Where a member's value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Source {
    /// A new UUID.
    Id,
    /// The receive time.
    ReceiveTime,
    /// A header.
    Header(String),
    /// The client's address.
    ClientAddress,
}

/// Longest event that is kept parsed, in bytes: what all plans keep must be little.
const MAX_KEPT_BYTES: usize = 4096;

/// How events of a schema and a stream are filled and parsed.
#[derive(Debug)]
pub(crate) struct Plan {
    /// The members that the schema declares and the request can fill, with where from.
    fields: Vec<(Vec<String>, Source)>,
    /// The last event, parsed: the next one is like it.
    parsed: RefCell<Value>,
}

impl Plan {
    /// `meta.id`, `meta.dt`, `dt` (legacy schemas), the fields that the stream takes from headers, and `http.client_ip`.
    pub(crate) fn of(schema: &Schema, stream: Option<&Stream>) -> Self {
        let own = |path: &[&str], source| (path.iter().map(|name| (*name).to_owned()).collect(), source);
        let mut fields: Vec<(Vec<String>, Source)> = vec![
            own(&["meta", "id"], Source::Id),
            own(&["meta", "dt"], Source::ReceiveTime),
        ];
        if schema
            .title()
            .is_some_and(|title| title.starts_with("analytics/legacy"))
        {
            fields.push(own(&["dt"], Source::ReceiveTime));
        }
        let from_headers = stream.into_iter().flat_map(|stream| &stream.header_fields);
        fields.extend(from_headers.map(|(path, header)| (path.clone(), Source::Header(header.clone()))));
        fields.push(own(&["http", "client_ip"], Source::ClientAddress));
        fields.retain(|(path, _)| {
            let path: Vec<&str> = path.iter().map(String::as_str).collect();
            schema.takes(&path)
        });
        Self {
            fields,
            parsed: RefCell::default(),
        }
    }

    /// Fills what the event lacks; `now` is the receive time as JSON text.
    pub(crate) fn fill(&self, event: &mut Document<'_>, ids: &impl Ids, said: &Said<'_>, now: &str) {
        for (path, source) in &self.fields {
            match source {
                Source::Id => event.add(path, || {
                    let id = uuid::Builder::from_random_bytes(ids.random()).into_uuid();
                    format!("\"{id}\"")
                }),
                Source::ReceiveTime => event.add(path, || now),
                Source::Header(name) => {
                    if let Some(value) = said.header(name) {
                        event.add(path, || quote(&value));
                    }
                }
                Source::ClientAddress => {
                    if let Some(address) = said.client_ip() {
                        event.add(path, || format!("\"{address}\""));
                    }
                }
            }
        }
    }

    /// Gives `judge` the event, parsed.
    pub(crate) fn parsed<T>(&self, event: &Document<'_>, judge: impl FnOnce(&Value) -> T) -> T {
        let mut parsed = self.parsed.take();
        event.root().write_to(&mut parsed);
        let judged = judge(&parsed);
        if event.sent_bytes() <= MAX_KEPT_BYTES {
            self.parsed.replace(parsed);
        }
        judged
    }
}

/// The plans of an isolate.
#[derive(Default)]
pub(crate) struct PlanCache(RefCell<HashMap<(usize, usize), Kept>>);

/// A plan, and what it is for: as long as it is kept, nothing else is at their addresses.
struct Kept {
    plan: Rc<Plan>,
    _for: (Rc<Schema>, Option<Rc<Stream>>),
}

impl PlanCache {
    /// The plan for a compiled schema and a stream's settings.
    pub(crate) fn plan(&self, schema: &Rc<Schema>, stream: Option<&Rc<Stream>>) -> Rc<Plan> {
        let key = (
            Rc::as_ptr(schema).addr(),
            stream.map_or(0, |stream| Rc::as_ptr(stream).addr()),
        );
        let mut plans = self.0.borrow_mut();
        // Streams are made anew when their configuration is read again.
        if plans.len() >= MAX_PLANS && !plans.contains_key(&key) {
            plans.clear();
        }
        let kept = plans.entry(key).or_insert_with(|| Kept {
            plan: Rc::new(Plan::of(schema, stream.map(Rc::as_ref))),
            _for: (Rc::clone(schema), stream.cloned()),
        });
        Rc::clone(&kept.plan)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema(title: &str, properties: &str) -> Rc<Schema> {
        let text = format!(r#"{{"title":"{title}","type":"object","properties":{properties}}}"#);
        Rc::new(Schema::compile(&text).unwrap())
    }

    fn paths(plan: &Plan) -> Vec<String> {
        plan.fields.iter().map(|(path, _)| path.join(".")).collect()
    }

    #[test]
    fn only_members_that_the_schema_declares_are_planned() {
        let stream = Stream {
            header_fields: vec![
                (vec!["meta".into(), "request_id".into()], "x-request-id".into()),
                (
                    vec!["http".into(), "request_headers".into(), "ua".into()],
                    "user-agent".into(),
                ),
            ],
            ..Stream::default()
        };
        let meta = r#""meta":{"properties":{"id":{},"dt":{},"request_id":{}}}"#;
        let http = r#""http":{"properties":{"client_ip":{},"request_headers":{"additionalProperties":{}}}}"#;
        for (title, properties, expected) in [
            ("a", "{}".to_owned(), &[][..]),
            (
                "a",
                format!("{{{meta}}}"),
                &["meta.id", "meta.dt", "meta.request_id"],
            ),
            ("a", r#"{"dt":{}}"#.to_owned(), &[]),
            ("analytics/legacy/a", r#"{"dt":{}}"#.to_owned(), &["dt"]),
            (
                "a",
                format!("{{{http}}}"),
                &["http.request_headers.ua", "http.client_ip"],
            ),
        ] {
            let plan = Plan::of(&schema(title, &properties), Some(&stream));
            assert_eq!(paths(&plan), expected, "{properties}");
        }
    }

    #[test]
    fn each_event_is_judged_by_its_own_values() {
        let plan = Plan::of(&schema("a", "{}"), None);
        let long = format!(r#"{{"a":"{}","b":[]}}"#, "x".repeat(MAX_KEPT_BYTES));
        for text in [
            r#"{"a":"1","b":[2]}"#,
            r#"{"a":"33","b":[4]}"#,
            r#"{"b":[4]}"#,
            &long,
            r#"{"a":"","b":{}}"#,
        ] {
            let event = Document::parse(text).unwrap();
            assert_eq!(plan.parsed(&event, Value::to_string), text);
        }
        plan.parsed(&Document::parse(long.as_str()).unwrap(), |_| ());
        assert_eq!(*plan.parsed.borrow(), Value::Null, "a long event is not kept");
    }

    #[test]
    fn a_plan_is_made_once_and_again_for_other_settings() {
        let cache = PlanCache::default();
        let schema = schema("a", r#"{"meta":{"properties":{"id":{},"request_id":{}}}}"#);
        let plain = Rc::new(Stream::default());
        let first = cache.plan(&schema, Some(&plain));
        assert!(Rc::ptr_eq(&first, &cache.plan(&schema, Some(&plain))));
        let other = Rc::new(Stream {
            header_fields: vec![(vec!["meta".into(), "request_id".into()], "x".into())],
            ..Stream::default()
        });
        assert_eq!(paths(&cache.plan(&schema, Some(&other))).len(), 2);
        for _ in 0..2 * MAX_PLANS {
            cache.plan(&schema, Some(&Rc::new(Stream::default())));
        }
        assert!(cache.0.borrow().len() <= MAX_PLANS);
    }
}
