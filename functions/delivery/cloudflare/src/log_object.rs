//! The Durable Object of the stream log.

use std::rc::Rc;

use eventstar_kafka_log::KafkaReaders;
use eventstar_platform_cloudflare::{Cloudflare, DoSql, JsTimer, now, serve_object, set_alarm, settings};
use eventstar_stores::{LogObject, retry_window};
// `durable_object` expands to paths that start at `wasm_bindgen`.
use worker::{DurableObject, Env, Request, Response, Result, State, durable_object, wasm_bindgen};

/// One log, or a topic-partition that Kafka keeps, and the hub of its readers.
#[durable_object(alarm)]
pub struct StreamLogObject {
    state: Rc<State>,
    log: Rc<LogObject<DoSql, JsTimer>>,
    platform: Cloudflare,
    kafka: KafkaReaders<Cloudflare>,
}

impl DurableObject for StreamLogObject {
    fn new(state: State, env: Env) -> Self {
        let log = LogObject::new(DoSql::new(&state), JsTimer, retry_window(&settings(&env)));
        let state = Rc::new(state);
        Self {
            platform: Cloudflare::of_object(env, &state),
            state,
            log,
            kafka: KafkaReaders::default(),
        }
    }

    async fn fetch(&self, request: Request) -> Result<Response> {
        let answer = serve_object(request, &self.state, async |request| {
            match self.kafka.answer(&self.platform, &request) {
                Some(answer) => answer,
                None => self.log.handle(request, now()).await,
            }
        })
        .await;
        set_alarm(&self.state, self.log.take_alarm()).await;
        answer
    }

    async fn alarm(&self) -> Result<Response> {
        self.log.ring(now()).await.map_err(|error| error.to_string())?;
        set_alarm(&self.state, self.log.take_alarm()).await;
        Response::empty()
    }
}
