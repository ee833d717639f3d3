//! The adapters that run natively, each against the contract.

#![expect(clippy::panic, clippy::unwrap_used, reason = "these are tests")]

use std::cell::RefCell;
use std::collections::HashMap;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use eventstar_event::Envelope;
use eventstar_event::time::Millis;
use eventstar_log::{Appended, Frame, LogName, Retention, Start};
use eventstar_log_contract::{Subject, contract};
use eventstar_platform_memory::{Fault, Memory, MemorySql};
use eventstar_ports::{Body, PortError, StreamLog, Timer};
use eventstar_stores::object_api::{self, append_request, append_result, follow_request};
use eventstar_stores::{LogObject, SqlLog};
use futures_util::stream::{self, Stream, StreamExt};

fn fail(sql: &MemorySql, took_effect: bool) {
    sql.fail_next_write(if took_effect { Fault::After } else { Fault::Before });
}

/// Many logs in one database, polled by their followers: memory, and, over another SQLite, Spin.
mod polled {
    use super::*;

    struct Polled(Memory);

    impl Subject for Polled {
        type Log = Memory;

        fn log(&self) -> &Memory {
            &self.0
        }

        fn fail_next_write(&self, _: &LogName, took_effect: bool) {
            fail(&self.0.sql(), took_effect);
        }

        fn fail_next_read(&self, _: &LogName) {
            self.0.sql().fail_reads(1);
        }

        fn sweep(&self, _: &LogName, now: Millis) {
            eventstar_log_contract::run(async { SqlLog::new(self.0.sql()).sweep(now).await.unwrap() });
        }
    }

    contract!(Polled(Memory::new()));
}

/// An object for each log, which pushes to its followers, behind the texts that go over the wire: Workers.
mod objects {
    use super::*;

    /// A timer that rings as soon as others ran.
    #[derive(Clone)]
    struct AtOnce;

    impl Timer for AtOnce {
        fn sleep(&self, _: Duration) -> impl Future<Output = ()> + 'static {
            let mut yielded = false;
            poll_fn(move |context| {
                if std::mem::replace(&mut yielded, true) {
                    return Poll::Ready(());
                }
                context.waker().wake_by_ref();
                Poll::Pending
            })
        }
    }

    type Object = Rc<LogObject<MemorySql, AtOnce>>;

    #[derive(Clone, Default)]
    struct Objects(Rc<RefCell<HashMap<LogName, (MemorySql, Object)>>>);

    impl Objects {
        fn of(&self, log: &LogName) -> (MemorySql, Object) {
            let mut objects = self.0.borrow_mut();
            let object = objects.entry(log.clone()).or_insert_with(|| {
                let sql = MemorySql::default();
                (sql.clone(), LogObject::new(sql, AtOnce, 300_000))
            });
            object.clone()
        }
    }

    impl StreamLog for Objects {
        type Follow = Pin<Box<dyn Stream<Item = Result<Frame, PortError>>>>;

        async fn append_with(
            &self,
            log: &LogName,
            batch: &[Envelope],
            retention: Option<Retention>,
        ) -> Result<Appended, PortError> {
            let (_, object) = self.of(log);
            let answer = object.handle(append_request(log, batch, retention), 0).await;
            let status = answer.status();
            match answer.into_body() {
                Body::Full(body) => append_result(status, &body),
                Body::Stream(_) => panic!("a stream"),
            }
        }

        fn follow(&self, log: &LogName, start: Start) -> Self::Follow {
            let (_, object) = self.of(log);
            let request = follow_request(log, start);
            let frames = async move {
                match object.handle(request, 0).await.into_body() {
                    Body::Stream(pieces) => frames(pieces),
                    Body::Full(body) => panic!("{body:?}"),
                }
            };
            Box::pin(stream::once(frames).flatten())
        }
    }

    /// The frames, of pieces that are cut anywhere.
    fn frames(pieces: impl Stream<Item = Bytes> + Unpin) -> impl Stream<Item = Result<Frame, PortError>> {
        let bytes = pieces.flat_map(|piece| {
            let cut: Vec<Bytes> = piece.chunks(100_001).map(|cut| piece.slice_ref(cut)).collect();
            stream::iter(cut)
        });
        object_api::frames(bytes)
    }

    impl Subject for Objects {
        type Log = Self;

        fn log(&self) -> &Self {
            self
        }

        fn fail_next_write(&self, log: &LogName, took_effect: bool) {
            fail(&self.of(log).0, took_effect);
        }

        fn fail_next_read(&self, log: &LogName) {
            self.of(log).0.fail_reads(1);
        }

        fn sweep(&self, log: &LogName, now: Millis) {
            eventstar_log_contract::run(async { self.of(log).1.ring(now).await.unwrap() });
        }
    }

    contract!(Objects::default());
}
