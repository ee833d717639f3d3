//! One isolate with its clients, all reading one stream.

use std::collections::BTreeMap;
use std::rc::Rc;

use anyhow::{Context as _, Result, bail, ensure};
use eventstar_event::{Envelope, Topic};
use eventstar_log::LogName;
use eventstar_ports::{
    Body, ByteStream, Clock as _, Platform as _, Registry as _, RegistryRequest, StreamLog as _,
};
use function_sse_relay::{Isolate, handle};
use futures_util::FutureExt as _;
use futures_util::stream::{SelectAll, StreamExt as _, select_all};
use http::Request;
use serde_json::json;

use crate::platform::Hub;

const STREAM: &str = "test.event";

/// Bytes of an event: those of a real one on average, see docs/performance.md.
const EVENT_BYTES: usize = 540;

/// What every connection starts with.
const OPENED: &[u8] = b":ok\n\n";

pub(crate) struct World {
    hub: Hub,
    isolate: Rc<Isolate>,
    log: LogName,
    /// What the producer sends.
    event: String,
    appended: u64,
}

/// Whether the events of each piece are counted, or only pieces and bytes: counting takes time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Check {
    Events,
    Pieces,
}

/// What the clients got.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Delivered {
    pub(crate) events: u64,
    pub(crate) bytes: u64,
}

impl World {
    pub(crate) async fn new() -> Result<Self> {
        let hub = Hub::new();
        let config = serde_json::value::to_raw_value(&json!({ STREAM: {"schema_title": "test/event"} }))?;
        let publish = RegistryRequest::PublishStreamConfig {
            if_match: None,
            config,
        };
        if hub.registry().ask(publish).await.is_err() {
            bail!("the stream config is refused");
        }
        let topic = Topic::parse(STREAM).context("the stream's name is no topic")?;
        let padding = "x".repeat(EVENT_BYTES);
        let mut event = format!(
            r#"{{"$schema":"/test/event/1.0.0","meta":{{"stream":"{STREAM}","id":"5e1dd101-641c-41e8-ab6c-b083fecf0001","dt":"2026-01-01T00:00:00.000Z"}},"test":"{padding}"#
        );
        event.truncate(EVENT_BYTES - 2);
        event.push_str("\"}");
        Ok(Self {
            hub,
            isolate: Rc::default(),
            log: LogName {
                topic,
                partition: 0,
                epoch: 0,
            },
            event,
            appended: 0,
        })
    }

    /// How often the log's database was read.
    pub(crate) fn reads(&self) -> u64 {
        self.hub.reads()
    }

    /// A connection that has opened.
    async fn connect(&self) -> Result<ByteStream> {
        let mut request = Request::default();
        *request.uri_mut() = format!("/v2/stream/{STREAM}").parse()?;
        let response = handle(&self.isolate, self.hub.clone(), request).await;
        let status = response.status();
        let Body::Stream(mut body) = response.into_body() else {
            bail!("the relay answered {status}");
        };
        ensure!(
            body.next().await.as_deref() == Some(OPENED),
            "the stream did not open"
        );
        Ok(body)
    }

    /// Connections that wait for events.
    pub(crate) async fn clients(&self, count: usize) -> Result<SelectAll<ByteStream>> {
        let mut clients = Vec::new();
        for _ in 0..count {
            clients.push(self.connect().await?);
        }
        let mut clients = select_all(clients);
        ensure!(
            clients.next().now_or_never().is_none(),
            "there are events already"
        );
        Ok(clients)
    }

    /// Appends `batch` events, and reads until each of the clients has them.
    pub(crate) async fn round(
        &mut self,
        clients: &mut SelectAll<ByteStream>,
        batch: u64,
        check: Check,
    ) -> Result<Delivered> {
        let envelopes: Vec<Envelope> = (0..batch).map(|nth| self.envelope(nth)).collect();
        self.appended += batch;
        if let Err(error) = self.hub.append(&self.log, &envelopes).await {
            bail!("{error}");
        }
        let mut delivered = Delivered::default();
        // An append is one piece for each client.
        for _ in 0..clients.len() {
            let piece = clients.next().await.context("all connections ended")?;
            if check == Check::Events {
                let events = std::str::from_utf8(&piece)?.matches("event: message\n").count();
                ensure!(events as u64 == batch, "a client got {events} of {batch} events");
            }
            delivered.events += batch;
            delivered.bytes += piece.len() as u64;
        }
        Ok(delivered)
    }

    fn envelope(&self, nth: u64) -> Envelope {
        Envelope {
            id: format!("{:032x}", self.appended + nth),
            dt: self.hub.now(),
            stream: STREAM.to_owned(),
            key: None,
            headers: BTreeMap::new(),
            event: self.event.clone(),
        }
    }
}
