use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::pin;
use std::task::{Poll, Waker};

use super::*;

/// KV whose first write waits, before or after the value is set, until it is released.
#[derive(Clone, Copy)]
struct Held<'m> {
    memory: &'m Memory,
    gate: &'m Gate,
}

#[derive(Default)]
struct Gate {
    after_set: bool,
    is_open: Cell<bool>,
    waiting: RefCell<Option<Waker>>,
}

impl Gate {
    fn open(&self) {
        self.is_open.set(true);
        self.waiting.take().unwrap().wake();
    }

    async fn pass(&self) {
        poll_fn(|context| match self.is_open.get() {
            true => Poll::Ready(()),
            false => {
                *self.waiting.borrow_mut() = Some(context.waker().clone());
                Poll::Pending
            }
        })
        .await;
    }
}

impl KeyValueWrite for Held<'_> {
    async fn put(&self, key: &str, value: &[u8]) -> Result<(), PortError> {
        if self.gate.after_set {
            self.memory.put(key, value).await?;
            self.gate.pass().await;
            return Ok(());
        }
        self.gate.pass().await;
        self.memory.put(key, value).await
    }
}

fn config(text: &str) -> RegistryRequest {
    RegistryRequest::PublishStreamConfig {
        if_match: None,
        config: RawValue::from_string(text.into()).unwrap(),
    }
}

async fn version_in_kv(memory: &Memory) -> u64 {
    let value = KeyValue::get(memory, keys::STREAM_CONFIG).await.unwrap().unwrap();
    decode::<StreamConfigDocument>("stream config", &value)
        .unwrap()
        .version
}

async fn is_pending(mut future: std::pin::Pin<&mut impl Future>) -> bool {
    poll_fn(|context| Poll::Ready(future.as_mut().poll(context).is_pending())).await
}

#[test]
fn an_older_config_that_reaches_kv_late_is_overwritten_with_the_newer_one() {
    run(async {
        let (memory, gate) = (Memory::new(), Gate::default());
        let kv = Held {
            memory: &memory,
            gate: &gate,
        };
        let slow = SqlRegistry::new(memory.sql(), kv);
        let mut first = pin!(slow.ask(config(r#"{"s": {}}"#), 1));
        assert!(is_pending(first.as_mut()).await);
        let second = publish_config(&memory, None, r#"{"s": {"producers": {"auth": "token"}}}"#).await;
        assert_eq!((second.unwrap(), version_in_kv(&memory).await), (2, 2));
        gate.open();
        let answer = first.await;
        assert!(
            matches!(
                answer,
                Ok(Published::StreamConfig {
                    version: 1,
                    in_kv: true
                })
            ),
            "{answer:?}"
        );
        assert_eq!(version_in_kv(&memory).await, 2);
    });
}

#[test]
fn an_older_config_that_reached_kv_without_an_answer_is_overwritten_though_the_newer_one_was_set_before() {
    run(async {
        let memory = Memory::new();
        let (early, late) = (
            Gate::default(),
            Gate {
                after_set: true,
                ..Gate::default()
            },
        );
        let held = |gate| Held {
            memory: &memory,
            gate,
        };
        let (one, two) = (
            SqlRegistry::new(memory.sql(), held(&early)),
            SqlRegistry::new(memory.sql(), held(&late)),
        );
        let mut first = pin!(one.ask(config(r#"{"s": {}}"#), 1));
        assert!(is_pending(first.as_mut()).await);
        let mut second = pin!(two.ask(config(r#"{"s": {"partitions": 2}}"#), 2));
        assert!(is_pending(second.as_mut()).await);
        memory.fail("kv", Fault::After);
        early.open();
        let answer = first.await;
        assert!(
            matches!(answer, Ok(Published::StreamConfig { in_kv: false, .. })),
            "{answer:?}"
        );
        memory.heal();
        assert_eq!(version_in_kv(&memory).await, 1);
        late.open();
        let answer = second.await;
        assert!(
            matches!(answer, Ok(Published::StreamConfig { in_kv: true, .. })),
            "{answer:?}"
        );
        assert_eq!(version_in_kv(&memory).await, 2);
    });
}
