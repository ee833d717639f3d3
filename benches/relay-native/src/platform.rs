//! The platform in memory, with the log behind its owner as on Workers: one that reads each chunk once and pushes it to all
//! followers, in the form it has on the wire.

use std::future::{Future, poll_fn};
use std::rc::Rc;
use std::task::Poll;
use std::time::{Duration, SystemTime};

use eventstar_event::Envelope;
use eventstar_event::time::Millis;
use eventstar_log::{Appended, Frame, LogName, Retention, Start};
use eventstar_platform_memory::{Memory, MemorySql};
use eventstar_ports::{
    Background, Body, Clock, Config, Diagnostics, Ids, Level, Platform, PortError, StreamLog, Timer,
};
use eventstar_stores::{LogObject, object_api};
use futures_util::stream::{self, LocalBoxStream, StreamExt as _};

/// What a log's owner waits to gather events is over at once, so that its own work is measured; no other timer is due in the
/// seconds that are measured.
#[derive(Clone)]
pub(crate) struct NoTimer;

impl Timer for NoTimer {
    fn sleep(&self, duration: Duration) -> impl Future<Output = ()> + 'static {
        let is_moment = duration < Duration::from_secs(1);
        poll_fn(move |_| match is_moment {
            true => Poll::Ready(()),
            false => Poll::Pending,
        })
    }
}

/// One isolate's platform; clones share everything.
#[derive(Clone)]
pub(crate) struct Hub {
    memory: Memory,
    sql: MemorySql,
    owner: Rc<LogObject<MemorySql, NoTimer>>,
}

impl Hub {
    pub(crate) fn new() -> Self {
        let sql = MemorySql::default();
        Self {
            memory: Memory::new().with("ALLOWED_STREAMS", "*"),
            owner: LogObject::new(sql.clone(), NoTimer, 0),
            sql,
        }
    }

    /// How often the log's database was read.
    pub(crate) fn reads(&self) -> u64 {
        self.sql.queries()
    }
}

impl StreamLog for Hub {
    type Follow = LocalBoxStream<'static, Result<Frame, PortError>>;

    async fn append_with(
        &self,
        log: &LogName,
        batch: &[Envelope],
        retention: Option<Retention>,
    ) -> Result<Appended, PortError> {
        let request = object_api::append_request(log, batch, retention);
        let answer = self.owner.handle(request, self.now()).await;
        let status = answer.status();
        match answer.into_body() {
            Body::Full(body) => object_api::append_result(status, &body),
            Body::Stream(_) => Err(PortError::corrupt("log", "a stream for an answer")),
        }
    }

    fn follow(&self, log: &LogName, start: Start) -> Self::Follow {
        let (owner, request) = (Rc::clone(&self.owner), object_api::follow_request(log, start));
        let now = self.now();
        let frames = async move {
            match owner.handle(request, now).await.into_body() {
                Body::Stream(pieces) => object_api::frames(pieces).left_stream(),
                Body::Full(text) => {
                    let text = String::from_utf8_lossy(&text).into_owned();
                    stream::iter([Err(PortError::corrupt("log", text))]).right_stream()
                }
            }
        };
        stream::once(frames).flatten().boxed_local()
    }
}

impl Clock for Hub {
    fn now(&self) -> Millis {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        since.map_or(0, |since| since.as_millis() as Millis)
    }
}

impl Ids for Hub {
    fn random(&self) -> [u8; 16] {
        self.memory.random()
    }
}

impl Timer for Hub {
    fn sleep(&self, duration: Duration) -> impl Future<Output = ()> + 'static {
        NoTimer.sleep(duration)
    }
}

impl Background for Hub {
    /// What is left for after an answer is the metrics, which nobody reads here.
    fn spawn(&self, _work: impl Future<Output = ()> + 'static) {}
}

impl Config for Hub {
    fn get(&self, name: &str) -> Option<String> {
        Config::get(&self.memory, name)
    }
}

impl Diagnostics for Hub {
    fn write_line(&self, _level: Level, line: &str) {
        eprintln!("{line}");
    }
}

impl Platform for Hub {
    type Kv = Memory;
    type Registry = Memory;
    type Queue = Memory;
    type Log = Self;
    type Metrics = Memory;
    type Http = Memory;
    type Leases = Memory;

    fn kv(&self) -> &Memory {
        &self.memory
    }

    fn registry(&self) -> &Memory {
        &self.memory
    }

    fn queue(&self) -> &Memory {
        &self.memory
    }

    fn stream_log(&self) -> &Self {
        self
    }

    fn metrics(&self) -> &Memory {
        &self.memory
    }

    fn http(&self) -> &Memory {
        &self.memory
    }

    fn leases(&self) -> &Memory {
        &self.memory
    }
}
