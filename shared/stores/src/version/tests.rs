use std::rc::Rc;

use eventstar_event::SchemaUri;
use eventstar_platform_memory::{Fault, Memory};
use eventstar_ports::{Clock, Registry, SchemaFile};
use futures_util::future::join_all;
use pollster::block_on as run;
use serde_json::value::RawValue;

use super::*;
use crate::{ConfigCache, SchemaCache, SchemaLookup, load_schemas};

async fn publish_schema(memory: &Memory, title: &str) {
    let schemas = vec![SchemaFile {
        title: title.to_owned(),
        version: "1.0.0".to_owned(),
        json: format!(r#"{{"title":"{title}","type":"object"}}"#),
        yaml: None,
    }];
    let repository = "one".to_owned();
    let request = RegistryRequest::PublishSchemas { repository, schemas };
    memory.registry().ask(request).await.unwrap();
}

async fn publish_streams(memory: &Memory, config: &str) {
    let request = RegistryRequest::PublishStreamConfig {
        if_match: None,
        config: RawValue::from_string(config.to_owned()).unwrap(),
    };
    memory.registry().ask(request).await.unwrap();
}

fn version(schemas: u64, stream_config: u64) -> Option<RegistryVersion> {
    Some(RegistryVersion {
        schemas,
        stream_config,
    })
}

#[test]
fn the_version_grows_with_all_that_is_published() {
    run(async {
        let memory = Memory::new();
        let reader = VersionReader::default();
        assert_eq!(reader.from_now().get(&memory).await, version(0, 0));
        publish_schema(&memory, "a").await;
        assert_eq!(reader.from_now().get(&memory).await, version(1, 0));
        publish_streams(&memory, "{}").await;
        assert_eq!(reader.from_now().get(&memory).await, version(1, 1));
        publish_schema(&memory, "a").await;
        publish_schema(&memory, "b").await;
        assert_eq!(reader.from_now().get(&memory).await, version(2, 1));
    });
}

#[test]
fn the_registry_is_asked_once_a_second_for_however_many_requests() {
    run(async {
        let memory = Memory::new();
        let reader = VersionReader::default();
        let begun = memory.now();
        let calls = memory.calls();
        // At once for the first one, which is over before the next ones come.
        reader.from_now().get(&memory).await.unwrap();
        assert_eq!((memory.calls() - calls, memory.now() - begun), (1, 0));
        let one_by_one = 5;
        for _ in 0..one_by_one {
            reader.from_now().get(&memory).await.unwrap();
        }
        assert_eq!((memory.calls() - calls, memory.now() - begun), (6, 5_000));
        // Those that come together share a read. In memory, each that sleeps moves the clock for all.
        memory.advance(INTERVAL);
        let together: Vec<_> = (0..INTERVAL / WAIT).map(|_| reader.from_now()).collect();
        let answers = join_all(together.iter().map(|from_now| from_now.get(&memory))).await;
        assert!(answers.iter().all(Option::is_some));
        assert_eq!(memory.calls() - calls, 7);
    });
}

#[test]
fn a_read_that_began_before_a_request_does_not_count_for_it() {
    run(async {
        let memory = Memory::new();
        let reader = VersionReader::default();
        let before = reader.from_now();
        let begun = memory.now();
        publish_schema(&memory, "a").await;
        assert_eq!(before.get(&memory).await, version(1, 0));
        let after = reader.from_now();
        publish_schema(&memory, "b").await;
        assert_eq!(
            before.get(&memory).await,
            version(1, 0),
            "the same for a whole request"
        );
        assert_eq!(memory.now(), begun);
        assert_eq!(after.get(&memory).await, version(2, 0));
        assert_eq!(memory.now() - begun, INTERVAL);
    });
}

#[test]
fn a_recent_read_counts_for_who_takes_it() {
    run(async {
        let memory = Memory::new();
        let reader = VersionReader::default();
        let calls = memory.calls();
        for (expected, later) in [(1, 0), (1, INTERVAL - 1), (1, 1), (2, 0)] {
            assert_eq!(reader.recent(memory.now()).get(&memory).await, version(0, 0));
            assert_eq!(memory.calls() - calls, expected);
            memory.advance(later);
        }
    });
}

#[test]
fn no_more_wait_than_may_and_a_request_that_is_given_up_makes_room() {
    run(async {
        let memory = Memory::new();
        let reader = VersionReader::default();
        reader.from_now().get(&memory).await.unwrap();
        reader.waiting.set(MAX_WAITING - 1);
        let one = reader.from_now();
        let mut one = Box::pin(one.get(&memory));
        assert!(futures_util::poll!(&mut one).is_pending());
        assert_eq!(reader.waiting.get(), MAX_WAITING);
        // In memory, who sleeps moves the clock.
        reader.begun.set((1, memory.now()));
        assert_eq!(reader.from_now().get(&memory).await, None);
        drop(one);
        assert_eq!(reader.waiting.get(), MAX_WAITING - 1);
        assert_eq!(reader.from_now().get(&memory).await, version(0, 0));
    });
}

#[test]
fn a_read_that_fails_or_is_given_up_holds_nobody_up() {
    run(async {
        let memory = Memory::new();
        let reader = VersionReader::default();
        let given_up = reader.from_now();
        let mut given_up = Box::pin(given_up.get(&memory));
        assert!(futures_util::poll!(&mut given_up).is_pending());
        drop(given_up);
        let begun = memory.now();
        assert_eq!(reader.from_now().get(&memory).await, version(0, 0));
        assert_eq!(memory.now() - begun, INTERVAL);

        memory.fail("registry", Fault::Before);
        assert_eq!(reader.from_now().get(&memory).await, None);
        assert!(
            memory
                .lines()
                .concat()
                .contains("the registry's version cannot be read")
        );
        memory.heal();
        assert_eq!(reader.from_now().get(&memory).await, version(0, 0));
    });
}

#[test]
fn a_clock_that_is_put_back_makes_nobody_wait_for_it() {
    run(async {
        let memory = Memory::new();
        memory.advance(3_600_000);
        let reader = VersionReader::default();
        reader.from_now().get(&memory).await.unwrap();
        let earlier = Memory::new();
        let begun = earlier.now();
        assert!(reader.from_now().get(&earlier).await.is_some());
        assert_eq!(earlier.now(), begun);
    });
}

/// An isolate, which is asked for a schema and a stream.
#[derive(Default)]
struct Isolate {
    schemas: SchemaCache,
    configs: ConfigCache,
    version: VersionReader,
}

impl Isolate {
    async fn knows(&self, memory: &Memory, title: &str, stream: &str) -> (bool, bool) {
        let version = self.version.from_now();
        let uris = [SchemaUri::parse(&format!("/{title}/1.0.0")).unwrap()];
        let schemas = load_schemas(&self.schemas, memory, &version, &uris).await;
        let streams = std::iter::once(stream);
        let configs = self.configs.with_streams(memory, &version, streams).await;
        let is_found = matches!(&schemas[..], [Ok(SchemaLookup::Found(_))]);
        (is_found, configs.unwrap().streams.stream(stream).is_some())
    }
}

#[test]
fn what_is_published_is_known_at_the_next_request_of_every_isolate() {
    run(async {
        let memory = Memory::new();
        publish_streams(&memory, r#"{"old":{}}"#).await;
        let isolates = [Isolate::default(), Isolate::default(), Isolate::default()];
        for round in 0..3 {
            for (n, isolate) in isolates.iter().enumerate() {
                for _ in 0..=n {
                    assert_eq!(
                        isolate.knows(&memory, "a", "new").await,
                        (false, false),
                        "{round}"
                    );
                }
            }
            memory.advance(300);
        }
        publish_schema(&memory, "a").await;
        for isolate in &isolates {
            assert_eq!(isolate.knows(&memory, "a", "new").await, (true, false));
        }
        publish_streams(&memory, r#"{"old":{},"new":{}}"#).await;
        for isolate in &isolates {
            assert_eq!(isolate.knows(&memory, "a", "new").await, (true, true));
        }
    });
}

#[test]
fn a_kv_that_has_not_heard_of_a_publish_is_passed_over() {
    run(async {
        let memory = Memory::new();
        publish_streams(&memory, r#"{"old":{}}"#).await;
        let isolate = Isolate::default();
        assert_eq!(isolate.knows(&memory, "a", "new").await, (false, false));
        memory.fail("kv", Fault::Before);
        publish_schema(&memory, "a").await;
        publish_streams(&memory, r#"{"old":{},"new":{}}"#).await;
        memory.heal();
        assert_eq!(isolate.knows(&memory, "a", "new").await, (true, true));
        // What KV says later is older than what is known.
        memory.advance(60_000);
        assert_eq!(isolate.knows(&memory, "a", "new").await, (true, true));
    });
}

#[test]
fn what_nobody_publishes_costs_one_read_a_second() {
    run(async {
        let memory = Memory::new();
        publish_streams(&memory, "{}").await;
        let isolate = Isolate::default();
        // The second time, it is known what had been published before it was looked for.
        for _ in 0..2 {
            isolate.knows(&memory, "no", "no").await;
        }
        let (calls, begun) = (memory.calls(), memory.now());
        for _ in 0..3 {
            assert_eq!(isolate.knows(&memory, "no", "no").await, (false, false));
        }
        assert_eq!(memory.calls() - calls, 3);
        assert_eq!(memory.now() - begun, 3 * INTERVAL);
    });
}

#[test]
fn names_that_nobody_publishes_push_no_schema_out() {
    run(async {
        let memory = Memory::new();
        publish_schema(&memory, "a").await;
        let isolate = Isolate::default();
        let load = async |uris: &[SchemaUri]| {
            let version = isolate.version.from_now();
            load_schemas(&isolate.schemas, &memory, &version, uris).await
        };
        let uri = |title: &str| SchemaUri::parse(&format!("/{title}/1.0.0")).unwrap();
        load(&[uri("a")]).await;
        for round in 0..12 {
            let uris: Vec<SchemaUri> = (0..100).map(|n| uri(&format!("x{round}.{n}"))).collect();
            assert!(
                load(&uris)
                    .await
                    .iter()
                    .all(|found| matches!(found, Ok(SchemaLookup::Unknown)))
            );
        }
        let calls = memory.calls();
        assert!(matches!(
            &load(&[uri("a")]).await[..],
            [Ok(SchemaLookup::Found(_))]
        ));
        assert_eq!(memory.calls(), calls, "it is still here");
    });
}

#[test]
fn while_the_registry_is_away_what_was_unknown_stays_so_for_a_while() {
    run(async {
        let memory = Memory::new();
        publish_streams(&memory, "{}").await;
        let isolate = Rc::new(Isolate::default());
        assert_eq!(isolate.knows(&memory, "a", "a").await, (false, false));
        memory.fail("registry", Fault::Before);
        assert_eq!(isolate.knows(&memory, "a", "a").await, (false, false));
        memory.heal();
        publish_schema(&memory, "a").await;
        publish_streams(&memory, r#"{"a":{}}"#).await;
        assert_eq!(isolate.knows(&memory, "a", "a").await, (true, true));
    });
}
