mod format_1;
mod races;
mod revisions;

use eventstar_platform_memory::{Fault, Memory};
use eventstar_ports::{KeyValue, SchemaRevision};
use serde_json::json;

use self::revisions::{publish_revisions, revision};
use super::*;

fn registry(memory: &Memory) -> SqlRegistry<eventstar_platform_memory::MemorySql, Memory> {
    SqlRegistry::new(memory.sql(), memory.clone())
}

fn file(title: &str, version: &str, description: &str) -> SchemaFile {
    let json = json!({"title": title, "description": description, "type": "object"}).to_string();
    SchemaFile {
        title: title.into(),
        version: version.into(),
        json,
        yaml: None,
    }
}

async fn publish(
    memory: &Memory,
    repository: &str,
    schemas: &[SchemaFile],
) -> Result<Published, RegistryError> {
    let request = RegistryRequest::PublishSchemas {
        repository: repository.into(),
        schemas: schemas.to_vec(),
    };
    registry(memory).ask(request, 1).await
}

async fn publish_config(memory: &Memory, if_match: Option<u64>, config: &str) -> Result<u64, RegistryError> {
    let config = RawValue::from_string(config.into()).unwrap();
    match registry(memory)
        .ask(RegistryRequest::PublishStreamConfig { if_match, config }, 7)
        .await?
    {
        Published::StreamConfig { version, .. } => Ok(version),
        other => panic!("{other:?}"),
    }
}

async fn in_kv(memory: &Memory, key: &str) -> Option<SchemaDocument> {
    KeyValue::get(memory, key)
        .await
        .unwrap()
        .map(|value| decode(key, &value).unwrap())
}

fn run<T>(future: impl Future<Output = T>) -> T {
    pollster::block_on(future)
}

#[test]
fn published_schemas_are_in_kv_by_repository_and_by_uri_and_latest_moves() {
    run(async {
        let memory = Memory::new();
        publish(
            &memory,
            "one",
            &[file("a/b", "1.9.0", ""), file("a/b", "1.10.0", "")],
        )
        .await
        .unwrap();
        publish(&memory, "one", &[file("a/b", "1.2.0", "")])
            .await
            .unwrap();
        for key in [
            "schema/v1/one/a/b/1.9.0",
            "uri/v1/a/b/1.2.0",
            "uri/v1/a/b/latest",
            "schema/v1/one/a/b/latest",
        ] {
            let expected = if key.ends_with("latest") {
                "1.10.0"
            } else {
                key.rsplit('/').next().unwrap()
            };
            assert_eq!(in_kv(&memory, key).await.unwrap().version, expected, "{key}");
        }
        let versions = KeyValue::get(&memory, "versions/v1/one/a/b")
            .await
            .unwrap()
            .unwrap();
        assert_eq!(
            decode::<VersionsDocument>("", &versions).unwrap().versions,
            ["1.2.0", "1.9.0", "1.10.0"]
        );
    });
}

#[test]
fn a_uri_leads_to_the_first_repository_that_has_it() {
    run(async {
        let memory = Memory::new();
        publish(&memory, "one", &[file("a", "1.0.0", "one")])
            .await
            .unwrap();
        publish(
            &memory,
            "two",
            &[file("a", "1.0.0", "two"), file("a", "2.0.0", "two")],
        )
        .await
        .unwrap();
        assert_eq!(in_kv(&memory, "uri/v1/a/1.0.0").await.unwrap().repository, "one");
        assert_eq!(in_kv(&memory, "uri/v1/a/2.0.0").await.unwrap().repository, "two");
        assert_eq!(in_kv(&memory, "uri/v1/a/latest").await.unwrap().repository, "one");
        assert_eq!(
            in_kv(&memory, "schema/v1/two/a/1.0.0").await.unwrap().repository,
            "two"
        );
        assert_eq!(
            KeyValue::get(&memory, keys::REPOSITORIES).await.unwrap().unwrap(),
            br#"["one","two"]"#
        );
        for repository in ["one", "two"] {
            let index = KeyValue::get(&memory, &keys::index(repository)).await.unwrap();
            let index: serde_json::Value = serde_json::from_slice(&index.unwrap()).unwrap();
            assert!(
                index["titles"]
                    .as_object()
                    .is_some_and(|titles| !titles.is_empty()),
                "{index}"
            );
        }
    });
}

#[test]
fn a_schema_is_found_by_its_id_too_unless_another_one_lies_there() {
    run(async {
        let memory = Memory::new();
        let moved = SchemaFile {
            json: r#"{"$id": "/b/1.0.0"}"#.into(),
            ..file("dev/b", "1.0.0", "")
        };
        publish(&memory, "one", &[moved]).await.unwrap();
        assert_eq!(in_kv(&memory, "uri/v1/b/1.0.0").await.unwrap().title, "dev/b");
        publish(&memory, "one", &[file("b", "1.0.0", "")]).await.unwrap();
        assert_eq!(in_kv(&memory, "uri/v1/b/1.0.0").await.unwrap().title, "b");
        let other = SchemaFile {
            json: r#"{"$id": "/b/1.0.0"}"#.into(),
            ..file("dev/c", "1.0.0", "")
        };
        publish(&memory, "one", &[other]).await.unwrap();
        assert_eq!(in_kv(&memory, "uri/v1/b/1.0.0").await.unwrap().title, "b");
    });
}

#[test]
fn a_version_is_immutable_and_publishing_it_again_changes_nothing() {
    run(async {
        let memory = Memory::new();
        publish(&memory, "one", &[file("a", "1.0.0", "x")]).await.unwrap();
        let again = publish(&memory, "one", &[file("a", "1.0.0", "x"), file("b", "1.0.0", "")]).await;
        assert!(matches!(
            again,
            Ok(Published::Schemas {
                published: 1,
                unchanged: 1,
                in_kv: true
            })
        ));
        let other = publish(&memory, "one", &[file("c", "1.0.0", ""), file("a", "1.0.0", "y")]).await;
        assert_eq!(
            other.err(),
            Some(RegistryError::Immutable {
                uri: "one/a/1.0.0".into()
            })
        );
        assert!(
            in_kv(&memory, "uri/v1/c/1.0.0").await.is_none(),
            "nothing of a refused request is published"
        );
    });
}

/// A repository whose index an older writer wrote, without notes.
async fn with_old_index(memory: &Memory) {
    publish(
        memory,
        "one",
        &[file("a", "1.0.0", "x"), file("b", "1.0.0", "longer")],
    )
    .await
    .unwrap();
    let old = br#"{"v":1,"titles":{"a":["1.0.0"],"b":["1.0.0"]}}"#.to_vec();
    let statements = vec![upsert(&keys::index("one"), old)];
    memory.sql().write(statements).await.unwrap();
}

#[test]
fn an_index_of_an_older_writer_gets_its_sizes_and_dates_with_the_next_publish() {
    run(async {
        for schemas in [
            vec![file("a", "1.0.0", "x")],
            vec![file("c", "1.0.0", "y")],
            vec![],
        ] {
            let memory = Memory::new();
            with_old_index(&memory).await;
            let request = RegistryRequest::PublishSchemas {
                repository: "one".into(),
                schemas,
            };
            registry(&memory).ask(request, 9).await.unwrap();
            let index = KeyValue::get(&memory, &keys::index("one"))
                .await
                .unwrap()
                .unwrap();
            let index: crate::IndexDocument = decode("index", &index).unwrap();
            for (title, description) in [("a", "x"), ("b", "longer")] {
                let note = index.files[title]["1.0.0"];
                let json = file(title, "1.0.0", description).json.len();
                assert_eq!((note.published, note.json, note.yaml), (1, json, None), "{title}");
            }
        }
    });
}

#[test]
fn publishing_nothing_new_writes_nothing() {
    run(async {
        let memory = Memory::new();
        publish(&memory, "one", &[file("a", "1.0.0", "x")]).await.unwrap();
        memory.sql().fail_next_write(Fault::Before);
        publish(&memory, "one", &[file("a", "1.0.0", "x")]).await.unwrap();
        publish(&memory, "two", &[]).await.unwrap();
        assert_eq!(registry(&memory).repositories().await.unwrap(), ["one"]);
    });
}

#[test]
fn what_cannot_be_used_is_refused_with_its_name() {
    run(async {
        let memory = Memory::new();
        let broken = SchemaFile {
            json: r#"{"properties":{"x":{"type":"strnig"}}}"#.into(),
            ..file("a", "1.0.0", "")
        };
        let large = SchemaFile {
            yaml: Some("x".repeat(2_000_000)),
            ..file("a", "1.0.0", "")
        };
        for (repository, schema, part) in [
            ("one", broken, "/properties/x/type"),
            ("one", large, "split it"),
            ("one", file("a", "1.0", ""), "x.y.z"),
            ("one", file("a", "latest", ""), "x.y.z"),
            ("one", file("../a", "1.0.0", ""), "not a schema URI"),
            ("one", file("/a", "1.0.0", ""), "not a schema URI"),
            ("", file("a", "1.0.0", ""), "repository name"),
        ] {
            let error = publish(&memory, repository, &[schema]).await.unwrap_err();
            assert!(
                matches!(&error, RegistryError::Invalid { message } if message.contains(part)),
                "{error}"
            );
        }
        let many: Vec<SchemaFile> = (0..=MAX_SCHEMAS)
            .map(|n| file(&format!("a{n}"), "1.0.0", ""))
            .collect();
        assert!(publish(&memory, "one", &many).await.is_err());
        assert!(publish(&memory, "one", &many[1..]).await.is_ok());
    });
}

#[test]
fn kv_is_made_good_by_the_next_request_when_it_fails() {
    run(async {
        for fault in [Fault::Before, Fault::After] {
            let memory = Memory::new();
            memory.fail("kv", fault);
            let published = publish(&memory, "one", &[file("a", "1.0.0", "")]).await;
            assert!(
                matches!(published, Ok(Published::Schemas { in_kv: false, .. })),
                "{published:?}"
            );
            let lookup = RegistryRequest::Lookup {
                keys: vec!["uri/v1/none/1.0.0".into(), "uri/v1/a/1.0.0".into()],
            };
            let found = registry(&memory).ask(lookup, 1).await;
            let Ok(Published::Values(values)) = found else {
                panic!("{found:?}")
            };
            assert!(matches!(values.as_slice(), [None, Some(_)]));
            memory.heal();
            let flushed = registry(&memory).ask(RegistryRequest::Flush, 1).await;
            assert!(matches!(flushed, Ok(Published::Flushed { owed: 0 })));
            assert!(in_kv(&memory, "uri/v1/a/1.0.0").await.is_some());
        }
    });
}

#[test]
fn a_stream_config_is_published_only_over_the_version_it_names() {
    run(async {
        let memory = Memory::new();
        assert_eq!(publish_config(&memory, Some(0), r#"{"a":{}}"#).await, Ok(1));
        assert_eq!(
            publish_config(&memory, Some(1), r#"{"b":{"accept":"queue"}}"#).await,
            Ok(2)
        );
        assert_eq!(
            publish_config(&memory, Some(1), "{}").await,
            Err(RegistryError::VersionMismatch {
                current: 2,
                expected: 1
            })
        );
        assert_eq!(publish_config(&memory, None, "{}").await, Ok(3));
        let Ok(Published::Config(Some(second))) = registry(&memory)
            .ask(RegistryRequest::StreamConfig { version: Some(2) }, 1)
            .await
        else {
            panic!("version 2 is kept")
        };
        assert_eq!(second.config.unwrap().get(), r#"{"b":{"accept":"queue"}}"#);
        let Ok(Published::History(history)) = registry(&memory)
            .ask(RegistryRequest::StreamConfigHistory, 1)
            .await
        else {
            panic!("there is a history")
        };
        assert_eq!(
            history.iter().map(|stored| stored.version).collect::<Vec<_>>(),
            [3, 2, 1]
        );
    });
}

#[test]
fn a_stream_config_with_one_bad_stream_publishes_nothing() {
    run(async {
        let memory = Memory::new();
        let error = publish_config(&memory, None, r#"{"a":{},"b":{"accept":"maybe"}}"#)
            .await
            .unwrap_err();
        assert!(error.to_string().contains("/b/accept"), "{error}");
        assert!(
            KeyValue::get(&memory, keys::STREAM_CONFIG)
                .await
                .unwrap()
                .is_none()
        );
    });
}

#[test]
fn a_publish_whose_ack_was_lost_may_be_repeated() {
    run(async {
        for fault in [Fault::Before, Fault::After] {
            let memory = Memory::new();
            publish(&memory, "one", &[file("a", "1.0.0", "")]).await.unwrap();
            memory.sql().fail_next_write(fault);
            assert!(publish(&memory, "one", &[file("b", "1.0.0", "")]).await.is_err());
            assert!(publish(&memory, "one", &[file("b", "1.0.0", "")]).await.is_ok());
            assert!(in_kv(&memory, "uri/v1/b/1.0.0").await.is_some() || fault == Fault::After);
            registry(&memory).ask(RegistryRequest::Flush, 1).await.unwrap();
            assert!(in_kv(&memory, "uri/v1/b/1.0.0").await.is_some());
        }
    });
}

#[test]
fn what_a_publish_did_not_get_into_kv_is_made_good_when_an_administrator_looks() {
    run(async {
        let plan = RegistryRequest::PlanSchemas {
            repository: "one".into(),
            schemas: vec![],
        };
        let current = RegistryRequest::StreamConfig { version: None };
        for look in [plan, current, RegistryRequest::StreamConfigHistory] {
            let memory = Memory::new();
            publish_config(&memory, None, r#"{"a":{}}"#).await.unwrap();
            publish_revisions(&memory, &[revision("A", 1, "{}")])
                .await
                .unwrap();
            memory.fail("kv", Fault::Before);
            publish_config(&memory, Some(1), r#"{"b":{}}"#).await.unwrap();
            publish_revisions(&memory, &[revision("A", 2, "{}")])
                .await
                .unwrap();
            memory.heal();
            // The answer was lost, so the publisher tries again from the version before.
            assert!(publish_config(&memory, Some(1), r#"{"b":{}}"#).await.is_err());
            registry(&memory).ask(look, 1).await.unwrap();
            let config = KeyValue::get(&memory, keys::STREAM_CONFIG)
                .await
                .unwrap()
                .unwrap();
            let config: StreamConfigDocument = decode("config", &config).unwrap();
            assert_eq!((config.version, config.config.get()), (2, r#"{"b":{}}"#));
            let key = keys::newest_revision("A");
            let newest = KeyValue::get(&memory, &key).await.unwrap().unwrap();
            let newest: crate::RevisionDocument = decode(&key, &newest).unwrap();
            assert_eq!(newest.revision, 2);
        }
    });
}

#[test]
fn an_earlier_stream_config_becomes_the_next_version() {
    run(async {
        let memory = Memory::new();
        publish_config(&memory, None, r#"{"a":{}}"#).await.unwrap();
        publish_config(&memory, None, r#"{"b":{}}"#).await.unwrap();
        let back = async |if_match, version| {
            let question = RegistryRequest::RollbackStreamConfig { if_match, version };
            registry(&memory).ask(question, 9).await
        };
        assert_eq!(
            back(Some(1), 1).await.err(),
            Some(RegistryError::VersionMismatch {
                current: 2,
                expected: 1
            })
        );
        assert_eq!(
            back(Some(2), 7).await.err(),
            Some(RegistryError::UnknownVersion { version: 7 })
        );
        for fault in [Fault::Before, Fault::After] {
            memory.sql().fail_next_write(fault);
            assert!(back(None, 2).await.is_err());
        }
        memory.fail("kv", Fault::Before);
        let answer = back(Some(3), 1).await;
        assert!(
            matches!(
                answer,
                Ok(Published::StreamConfig {
                    version: 4,
                    in_kv: false
                })
            ),
            "{answer:?}"
        );
        memory.heal();
        registry(&memory).ask(RegistryRequest::Flush, 9).await.unwrap();
        let value = KeyValue::get(&memory, keys::STREAM_CONFIG)
            .await
            .unwrap()
            .unwrap();
        let document: StreamConfigDocument = decode(keys::STREAM_CONFIG, &value).unwrap();
        assert_eq!((document.version, document.config.get()), (4, r#"{"a":{}}"#));
    });
}

#[test]
fn a_stream_config_that_no_row_can_hold_is_refused() {
    run(async {
        let memory = Memory::new();
        let config = json!({"a": {"description": "x".repeat(MAX_DOCUMENT_BYTES)}}).to_string();
        let error = publish_config(&memory, None, &config).await.unwrap_err();
        assert!(error.to_string().contains("can be stored"), "{error}");
    });
}

#[test]
fn a_plan_tells_what_is_new_and_what_is_refused_and_publishes_nothing() {
    run(async {
        let memory = Memory::new();
        publish(
            &memory,
            "one",
            &[file("a", "1.0.0", "x"), file("b", "1.0.0", "x")],
        )
        .await
        .unwrap();
        let schemas = vec![
            file("a", "1.0.0", "x"),
            file("b", "1.0.0", "y"),
            file("b", "1.1.0", "y"),
        ];
        let repository = "one".to_owned();
        let plan = RegistryRequest::PlanSchemas { repository, schemas };
        match registry(&memory).ask(plan, 1).await.unwrap() {
            Published::Plan {
                new,
                unchanged,
                conflicting,
            } => {
                assert_eq!((new, unchanged), (vec!["/b/1.1.0".to_owned()], 1));
                assert_eq!(conflicting, ["/b/1.0.0"]);
            }
            other => panic!("{other:?}"),
        }
        assert!(in_kv(&memory, "uri/v1/b/1.1.0").await.is_none());
    });
}

#[test]
fn a_stream_config_with_fewer_partitions_is_refused_by_publishing_and_by_rollback() {
    run(async {
        let memory = Memory::new();
        for (version, config) in [(1, r#"{"a":{}}"#), (2, r#"{"a":{"partitions":3}}"#)] {
            assert_eq!(publish_config(&memory, None, config).await.unwrap(), version);
        }
        let refused = publish_config(&memory, None, r#"{"a":{"partitions":2}}"#).await;
        assert!(
            matches!(&refused, Err(RegistryError::Invalid { message }) if message.contains("/a/partitions")),
            "{refused:?}"
        );
        let rollback = RegistryRequest::RollbackStreamConfig {
            if_match: None,
            version: 1,
        };
        let refused = registry(&memory).ask(rollback, 8).await;
        assert!(
            matches!(refused, Err(RegistryError::Invalid { .. })),
            "{refused:?}"
        );
        let anew = r#"{"a":{"partitions":2,"log_epoch":1}}"#;
        assert_eq!(publish_config(&memory, None, anew).await.unwrap(), 3);
    });
}
