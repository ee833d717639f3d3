//! A Kafka REST proxy in memory, as both dialects are: polls move on whether their answer arrives or not, places out of range
//! lead to the earliest record, and instances are forgotten.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use eventstar_event::time::from_iso;
use eventstar_kafka_rest::Dialect;
use eventstar_platform_memory::Memory;
use http::header::RETRY_AFTER;
use http::{Method, Request, Response};
use serde_json::{Value, json};

const AUTHORITY: &str = "bridge:8080";

#[derive(Clone)]
pub(super) struct Bridge(Rc<Inner>);

struct Inner {
    dialect: Dialect,
    memory: Memory,
    partition: RefCell<Option<Partition>>,
    instances: RefCell<HashMap<String, Option<u64>>>,
    trouble: Cell<Option<Trouble>>,
    requests: RefCell<Vec<String>>,
    most_records: Cell<usize>,
    is_impatient: Cell<bool>,
}

/// What goes wrong with the next polls, or with all requests.
#[derive(Debug, Clone, Copy)]
pub(super) enum Trouble {
    /// The answers of so many polls are lost on their way.
    Lost(u32),
    /// So many requests are refused for now.
    Overloaded(u32),
    /// All requests are, and the proxy wants to be left alone for so many seconds.
    Busy(u32),
    /// So many polls are asked twice, and the second answer arrives.
    AskedTwice(u32),
    /// The credentials are wrong.
    Unauthorized,
}

struct Record {
    timestamp: u64,
    value: String,
    /// The delivery id.
    id: Option<String>,
}

#[derive(Default)]
struct Partition {
    records: BTreeMap<u64, Record>,
    beginning: u64,
    end: u64,
}

impl Bridge {
    pub(super) fn new(dialect: Dialect) -> (Self, Memory) {
        let name = match dialect {
            Dialect::Strimzi => "strimzi",
            Dialect::ConfluentV2 => "confluent-v2",
        };
        let memory = Memory::new()
            .with("KAFKA_REST_URL", &format!("http://{AUTHORITY}"))
            .with("KAFKA_REST_DIALECT", name);
        let bridge = Self(Rc::new(Inner {
            dialect,
            memory: memory.clone(),
            partition: RefCell::default(),
            instances: RefCell::default(),
            trouble: Cell::default(),
            requests: RefCell::default(),
            most_records: Cell::new(500),
            is_impatient: Cell::default(),
        }));
        let served = bridge.clone();
        memory.serve(AUTHORITY, move |request| served.answer(request));
        (bridge, memory)
    }

    /// Writes a record; the topic comes with the first one.
    pub(super) fn write(&self, timestamp: u64, value: &str) {
        self.write_record(timestamp, value, None);
    }

    fn write_record(&self, timestamp: u64, value: &str, id: Option<&str>) {
        let mut partition = self.0.partition.borrow_mut();
        let partition = partition.get_or_insert_default();
        let record = Record {
            timestamp,
            value: value.to_owned(),
            id: id.map(str::to_owned),
        };
        partition.records.insert(partition.end, record);
        partition.end += 1;
    }

    /// Writes an event that tells its offset and its time.
    pub(super) fn write_event(&self, timestamp: u64) {
        self.write_record(timestamp, &self.event(timestamp), None);
    }

    /// Writes such an event as delivery does, with its delivery id.
    pub(super) fn deliver(&self, timestamp: u64, id: &str) {
        self.write_record(timestamp, &self.event(timestamp), Some(id));
    }

    fn event(&self, timestamp: u64) -> String {
        let partition = self.0.partition.borrow();
        let end = partition.as_ref().map_or(0, |partition| partition.end);
        let dt = eventstar_event::time::to_iso(timestamp);
        format!("{{\"n\":{end},\"meta\":{{\"dt\":\"{dt}\"}}}}")
    }

    /// Writes what has an offset and is no record: the mark of a transaction.
    pub(super) fn write_mark(&self) {
        if let Some(partition) = self.0.partition.borrow_mut().as_mut() {
            partition.end += 1;
        }
    }

    /// Drops what is before `beginning`.
    pub(super) fn expire(&self, beginning: u64) {
        if let Some(partition) = self.0.partition.borrow_mut().as_mut() {
            partition.records = partition.records.split_off(&beginning);
            partition.beginning = beginning;
        }
    }

    pub(super) fn make(&self, trouble: Trouble) {
        self.0.trouble.set(Some(trouble));
    }

    pub(super) fn heal(&self) {
        self.0.trouble.set(None);
    }

    /// As after a start.
    pub(super) fn forget_instances(&self) {
        self.0.instances.borrow_mut().clear();
    }

    pub(super) fn instances(&self) -> usize {
        self.0.instances.borrow().len()
    }

    /// How many records a poll brings at most.
    pub(super) fn brings(&self, records: usize) {
        self.0.most_records.set(records);
    }

    /// Answers polls at once, whatever time they have.
    pub(super) fn is_impatient(&self) {
        self.0.is_impatient.set(true);
    }

    /// Takes the requests so far: method and path.
    pub(super) fn take_requests(&self) -> Vec<String> {
        self.0.requests.take()
    }

    pub(super) fn answer(&self, request: &Request<Bytes>) -> Response<Bytes> {
        let path = request.uri().path();
        let line = format!("{} {path}", request.method());
        self.0.requests.borrow_mut().push(line);
        let is_poll = path.ends_with("/records");
        match self.0.trouble.get() {
            Some(Trouble::Unauthorized) => return error(401, "no"),
            Some(Trouble::Overloaded(times)) => {
                self.0
                    .trouble
                    .set((times > 1).then(|| Trouble::Overloaded(times - 1)));
                return error(503, "Bridge is overloaded, please retry later");
            }
            Some(Trouble::Busy(seconds)) => {
                let mut answer = error(503, "Bridge is busy");
                answer.headers_mut().insert(RETRY_AFTER, seconds.into());
                return answer;
            }
            Some(Trouble::Lost(times)) if is_poll => {
                self.0.trouble.set((times > 1).then(|| Trouble::Lost(times - 1)));
                let _lost = self.route(request);
                return error(502, "the answer was lost");
            }
            Some(Trouble::AskedTwice(times)) if is_poll => {
                self.0
                    .trouble
                    .set((times > 1).then(|| Trouble::AskedTwice(times - 1)));
                let _lost = self.route(request);
            }
            _ => {}
        }
        self.route(request)
    }

    fn route(&self, request: &Request<Bytes>) -> Response<Bytes> {
        let path: Vec<&str> = request.uri().path().split('/').skip(1).collect();
        let body: Value = serde_json::from_slice(request.body()).unwrap_or_default();
        match (request.method(), path.as_slice()) {
            (&Method::GET, ["topics", "x", "partitions", "0", "offsets"]) => self.offsets(),
            (&Method::POST, ["consumers", group]) => self.create(group, &body),
            (_, ["consumers", group, "instances", name, rest @ ..]) => {
                assert_eq!(group, name);
                if !self.0.instances.borrow().contains_key(*name) {
                    return error(404, "The specified consumer instance was not found.");
                }
                match rest {
                    [] => {
                        self.0.instances.borrow_mut().remove(*name);
                        no_content()
                    }
                    ["assignments"] => no_content(),
                    ["positions"] => self.seek(name, &body),
                    ["records"] => self.poll(name, request),
                    _ => panic!("{path:?}"),
                }
            }
            _ => error(404, "Not Found"),
        }
    }

    fn offsets(&self) -> Response<Bytes> {
        match self.0.partition.borrow().as_ref() {
            Some(Partition { beginning, end, .. }) => {
                answer(200, json!({"beginning_offset": beginning, "end_offset": end}))
            }
            None => error(404, "This server does not host this topic-partition."),
        }
    }

    fn create(&self, group: &str, body: &Value) -> Response<Bytes> {
        let is_known = |name: &str| body.get(name).is_some();
        let is_own = match self.0.dialect {
            Dialect::Strimzi => is_known("enable.auto.commit") && !is_known("auto.commit.enable"),
            Dialect::ConfluentV2 => is_known("auto.commit.enable") && !is_known("enable.auto.commit"),
        };
        assert!(is_own && body["format"] == "binary" && body["auto.offset.reset"] == "earliest");
        let name = body["name"].as_str().unwrap();
        self.0.instances.borrow_mut().insert(name.to_owned(), None);
        let base = format!("http://elsewhere/consumers/{group}/instances/{name}");
        answer(200, json!({"instance_id": name, "base_uri": base}))
    }

    fn seek(&self, name: &str, body: &Value) -> Response<Bytes> {
        let offset = match body.pointer("/offsets/0/offset") {
            Some(offset) => offset.as_u64().unwrap(),
            None => {
                assert_eq!(self.0.dialect, Dialect::ConfluentV2);
                let time = from_iso(body["timestamps"][0]["timestamp"].as_str().unwrap()).unwrap();
                let partition = self.0.partition.borrow();
                let mut records = partition.as_ref().unwrap().records.iter();
                match records.find(|(_, record)| record.timestamp >= time) {
                    Some((offset, _)) => *offset,
                    None => return error(500, "Internal Server Error"),
                }
            }
        };
        self.0
            .instances
            .borrow_mut()
            .insert(name.to_owned(), Some(offset));
        no_content()
    }

    fn poll(&self, name: &str, request: &Request<Bytes>) -> Response<Bytes> {
        let query = request.uri().query().unwrap();
        let number = |name: &str| -> u64 {
            let value = query.split('&').find_map(|part| part.strip_prefix(name));
            value.unwrap().parse().unwrap()
        };
        let (wait, max_bytes) = (number("timeout="), number("max_bytes=") as usize);
        let mut instances = self.0.instances.borrow_mut();
        let position = instances.get_mut(name).unwrap().as_mut().unwrap();
        let partition = self.0.partition.borrow();
        let partition = partition.as_ref().unwrap();
        if !(partition.beginning..=partition.end).contains(position) {
            *position = partition.beginning;
        }
        let records = partition
            .records
            .range(*position..)
            .take(self.0.most_records.get());
        let mut bytes = 0;
        let mut read = Vec::new();
        for (offset, stored) in records {
            bytes += stored.value.len();
            if self.0.dialect == Dialect::ConfluentV2 && bytes >= max_bytes {
                break;
            }
            let value = STANDARD.encode(&stored.value);
            let mut record =
                json!({"topic": "x", "key": null, "value": value, "partition": 0, "offset": offset});
            if self.0.dialect == Dialect::Strimzi {
                record["timestamp"] = stored.timestamp.into();
                if let Some(id) = &stored.id {
                    record["headers"] = json!([{"key": "eventstar-id", "value": STANDARD.encode(id)}]);
                }
            }
            *position = offset + 1;
            read.push(record);
        }
        if read.is_empty() && !self.0.is_impatient.get() {
            self.0.memory.advance(wait);
        }
        let body = Value::from(read).to_string();
        if body.len() > max_bytes && self.0.dialect == Dialect::Strimzi {
            return error(
                422,
                "Response exceeds the maximum number of bytes the consumer can receive",
            );
        }
        Response::new(Bytes::from(body))
    }
}

fn answer(status: u16, body: Value) -> Response<Bytes> {
    let answer = Response::builder().status(status);
    answer.body(Bytes::from(body.to_string())).unwrap()
}

fn no_content() -> Response<Bytes> {
    Response::builder().status(204).body(Bytes::new()).unwrap()
}

fn error(status: u16, message: &str) -> Response<Bytes> {
    answer(status, json!({"error_code": status, "message": message}))
}
