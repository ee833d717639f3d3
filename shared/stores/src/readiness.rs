//! Readiness: a function has all that its work takes, or says what it lacks.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use eventstar_event::time::Millis;
use eventstar_ports::{KeyValue, Level, Platform};

use crate::{ConfigCache, VersionReader, keys};

/// The time that a look at the backends counts, in milliseconds. Anybody may ask whether a function is ready, and each look reads
/// KV and the registry.
const LIFE: Millis = 1_000;

/// The names of all that is missing, each with the reason and the remedy. The errors of backends are in the log alone.
pub type Missing = BTreeMap<&'static str, String>;

/// The needs of a function, besides edge KV and the registry. `()` is for one that has no others: what reads stream configs is not
/// in its WASM then.
pub trait Needs {
    /// Adds what is missing.
    async fn look<P: Platform>(&self, platform: &P, missing: &mut Missing);
}

impl Needs for () {
    async fn look<P: Platform>(&self, _: &P, _: &mut Missing) {}
}

/// The needs of a function that reads the stream config.
pub struct StreamNeeds<'c> {
    /// Its copy of the stream config.
    pub configs: &'c ConfigCache,
    /// The function can do nothing while no stream config is published.
    pub is_published: bool,
    /// There is a Kafka proxy, for streams that are in Kafka.
    pub has_kafka_proxy: bool,
}

impl Needs for StreamNeeds<'_> {
    async fn look<P: Platform>(&self, platform: &P, missing: &mut Missing) {
        let configs = match self.configs.current(platform).await {
            Ok(configs) => configs,
            Err(error) => {
                platform.log(Level::Warn, &format!("not ready: {error}"));
                missing.insert("stream_config", "the stream config cannot be read".to_owned());
                return;
            }
        };
        if configs.version == 0 && self.is_published {
            let why = "no stream config is published: publish one with `eventstar stream publish`";
            missing.insert("stream_config", why.to_owned());
        }
        if configs.streams.are_in_kafka() && !self.has_kafka_proxy {
            let why = "streams are in Kafka, but KAFKA_REST_URL is not set or cannot be used: set it";
            missing.insert("kafka", why.to_owned());
        }
    }
}

/// The result of the last look of an isolate.
#[derive(Debug, Default)]
pub struct Readiness {
    looked: Cell<Option<Millis>>,
    missing: RefCell<Option<Missing>>,
}

impl Readiness {
    /// Looks for what is missing, once in [`LIFE`] for however many ask.
    pub async fn missing<P: Platform>(
        &self,
        platform: &P,
        version: &VersionReader,
        needs: &impl Needs,
    ) -> Missing {
        let now = platform.now();
        let is_recent = |looked: Millis| (looked..looked + LIFE).contains(&now);
        if self.looked.get().is_some_and(is_recent)
            && let Some(missing) = &*self.missing.borrow()
        {
            return missing.clone();
        }
        // Those that come meanwhile are answered with what was found last.
        self.looked.set(Some(now));
        let missing = look(platform, version, needs).await;
        self.missing.replace(Some(missing.clone()));
        missing
    }
}

async fn look<P: Platform>(platform: &P, version: &VersionReader, needs: &impl Needs) -> Missing {
    let mut missing = Missing::new();
    if let Err(error) = platform.kv().get(keys::REPOSITORIES).await {
        platform.log(Level::Warn, &format!("not ready: {error}"));
        missing.insert("kv", "edge KV cannot be read".to_owned());
    }
    if version.recent(platform.now()).get(platform).await.is_none() {
        missing.insert(
            "registry",
            "the registry does not answer: is `delivery` deployed?".to_owned(),
        );
    }
    needs.look(platform, &mut missing).await;
    missing
}

#[cfg(test)]
mod tests {
    use eventstar_platform_memory::{Fault, Memory};
    use eventstar_ports::{Registry, RegistryRequest};
    use pollster::block_on as run;
    use serde_json::value::RawValue;

    use super::*;

    async fn publish(memory: &Memory, config: &str) {
        let request = RegistryRequest::PublishStreamConfig {
            if_match: None,
            config: RawValue::from_string(config.to_owned()).unwrap(),
        };
        memory.registry().ask(request).await.unwrap();
    }

    /// The names of what a new isolate misses.
    async fn missing(memory: &Memory, is_published: bool, has_kafka_proxy: bool) -> Vec<&'static str> {
        let configs = ConfigCache::default();
        let needs = StreamNeeds {
            configs: &configs,
            is_published,
            has_kafka_proxy,
        };
        let version = VersionReader::default();
        let missing = Readiness::default().missing(memory, &version, &needs).await;
        missing.into_keys().collect()
    }

    #[test]
    fn what_is_missing_is_named() {
        run(async {
            let memory = Memory::new();
            assert_eq!(missing(&memory, true, false).await, ["stream_config"]);
            assert_eq!(missing(&memory, false, false).await, [""; 0]);
            publish(&memory, r#"{"a":{}}"#).await;
            assert_eq!(missing(&memory, true, false).await, [""; 0]);
            for (port, names) in [("kv", &["kv"][..]), ("registry", &["registry"]), ("queue", &[])] {
                memory.fail(port, Fault::Before);
                assert_eq!(missing(&memory, true, false).await, names, "{port}");
                memory.heal();
            }
            memory.fail("kv", Fault::Before);
            memory.fail("registry", Fault::After);
            assert_eq!(
                missing(&memory, true, false).await,
                ["kv", "registry", "stream_config"]
            );
            memory.heal();
            for config in [
                r#"{"a":{"sinks":["log","kafka"]}}"#,
                r#"{"/^a/":{"sinks":["kafka"]}}"#,
                r#"{"defaults":{"sinks":["kafka"]},"streams":{"a":{}}}"#,
                r#"{"a":{"read_from":"kafka"}}"#,
            ] {
                publish(&memory, config).await;
                assert_eq!(missing(&memory, true, false).await, ["kafka"], "{config}");
                assert_eq!(missing(&memory, true, true).await, [""; 0], "{config}");
            }
        });
    }

    #[test]
    fn the_backends_are_looked_at_once_a_second() {
        run(async {
            let memory = Memory::new();
            let (readiness, version) = (Readiness::default(), VersionReader::default());
            let calls = memory.calls();
            for _ in 0..100 {
                assert!(readiness.missing(&memory, &version, &()).await.is_empty());
            }
            assert_eq!(memory.calls() - calls, 2, "one of KV and one of the registry");
            memory.fail("registry", Fault::Before);
            assert!(readiness.missing(&memory, &version, &()).await.is_empty());
            memory.advance(LIFE);
            assert_eq!(readiness.missing(&memory, &version, &()).await.len(), 1);
            memory.heal();
            memory.advance(LIFE);
            assert!(readiness.missing(&memory, &version, &()).await.is_empty());
        });
    }
}
