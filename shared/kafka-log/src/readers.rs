//! The readers of one instance of a function, or of one object.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use eventstar_delivery::required_kafka_proxy;
use eventstar_log::{Frame, LogName, Start};
use eventstar_metrics::Counters;
use eventstar_ports::{Body, Level, Platform, PortError};
use eventstar_stores::object_api::parse_follow;
use eventstar_stores::{Tails, follow_by_polling};
use futures_util::future::ready;
use futures_util::stream::{LocalBoxStream, StreamExt as _, once};
use http::{Request, Response};

use crate::log::KafkaLog;

/// How often the followers look, together.
const INTERVAL: Duration = Duration::from_millis(250);

/// The readers of one instance of a function, or of one object: they read each topic-partition as one would.
pub struct KafkaReaders<P: Platform<Http: Clone>> {
    tails: Rc<Tails>,
    counters: Rc<Counters>,
    /// Once it was needed.
    log: RefCell<Option<KafkaLog<P::Http, P>>>,
}

impl<P: Platform<Http: Clone>> Default for KafkaReaders<P> {
    fn default() -> Self {
        Self {
            tails: Rc::default(),
            counters: Rc::default(),
            log: RefCell::default(),
        }
    }
}

impl<P: Platform<Http: Clone>> KafkaReaders<P> {
    /// The frames of one follower of `name` (whose epoch says nothing here), as a follower of the stream log gets them. `platform`
    /// reads for all of them: it must not belong to one request.
    pub fn follow(
        &self,
        platform: &P,
        name: &LogName,
        start: Start,
    ) -> LocalBoxStream<'static, Result<Frame, PortError>> {
        match self.log(platform) {
            Ok(log) => {
                let tails = Rc::clone(&self.tails);
                let (counters, host) = (Rc::clone(&self.counters), platform.clone());
                follow_by_polling(log, name.clone(), start, tails, platform.clone(), INTERVAL)
                    .inspect(move |_| {
                        counters.flush_soon(&host);
                    })
                    .boxed_local()
            }
            Err(error) => once(ready(Err(error))).boxed_local(),
        }
    }

    fn log(&self, platform: &P) -> Result<KafkaLog<P::Http, P>, PortError> {
        if let Some(log) = &*self.log.borrow() {
            return Ok(log.clone());
        }
        let proxy = Rc::new(required_kafka_proxy(platform)?);
        let counters = Rc::clone(&self.counters);
        let log = KafkaLog::new(proxy, platform.http().clone(), platform.clone(), counters);
        *self.log.borrow_mut() = Some(log.clone());
        Ok(log)
    }

    /// Answers what a relay asks of the object that owns a topic-partition of Kafka: to follow it. `None` for what is asked of
    /// another object. The answer ends when the proxy fails.
    pub fn answer(&self, platform: &P, request: &Request<Bytes>) -> Option<Response<Body>> {
        let (name, start) = parse_follow(request).filter(|(name, _)| name.is_in_kafka())?;
        let platform_of_log = platform.clone();
        let frames = self.follow(platform, &name, start).filter_map(move |frame| {
            if let Err(error) = &frame {
                platform_of_log.log(Level::Warn, &format!("{name} in Kafka cannot be read: {error}"));
            }
            ready(frame.ok().map(|frame| frame.encode()))
        });
        Some(Response::new(Body::Stream(frames.boxed_local())))
    }
}
