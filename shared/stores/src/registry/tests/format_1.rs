//! A database as format 1 writes it, tables and rows: never edited, as it lies in deployments.

use eventstar_ports::StoredConfig;

use super::*;

const WRITTEN: [&str; 13] = [
    "CREATE TABLE registry_kv (key TEXT PRIMARY KEY, value BLOB NOT NULL, owed INTEGER NOT NULL) WITHOUT ROWID",
    "CREATE TABLE registry_repository (name TEXT PRIMARY KEY, position INTEGER NOT NULL) WITHOUT ROWID",
    "CREATE TABLE registry_stream_config (version INTEGER PRIMARY KEY, published INTEGER NOT NULL, config BLOB NOT NULL)",
    "CREATE TABLE registry_revision (revision INTEGER PRIMARY KEY)",
    "INSERT INTO registry_repository VALUES ('one', 0)",
    "INSERT INTO registry_revision VALUES (1)",
    r#"INSERT INTO registry_kv VALUES ('repositories/v1', CAST('["one"]' AS BLOB), 0)"#,
    r#"INSERT INTO registry_kv VALUES ('index/v1/one', CAST('{"v":1,"titles":{"a":["1.0.0"]}}' AS BLOB), 0)"#,
    r#"INSERT INTO registry_kv VALUES ('versions/v1/one/a', CAST('{"v":1,"versions":["1.0.0"]}' AS BLOB), 0)"#,
    r#"INSERT INTO registry_kv VALUES ('schema/v1/one/a/1.0.0', CAST('{"v":1,"repository":"one","title":"a","version":"1.0.0","published":5,"json":"{}","yaml":"{}\n"}' AS BLOB), 0)"#,
    r#"INSERT INTO registry_kv VALUES ('uri/v1/a/1.0.0', CAST('{"v":1,"repository":"one","title":"a","version":"1.0.0","published":5,"json":"{}","yaml":"{}\n"}' AS BLOB), 1)"#,
    r#"INSERT INTO registry_stream_config VALUES (1, 6, CAST('{"s":{}}' AS BLOB))"#,
    r#"INSERT INTO registry_kv VALUES ('stream-config/v1', CAST('{"v":1,"version":1,"published":6,"config":{"s":{}}}' AS BLOB), 1)"#,
];

async fn written() -> Memory {
    let memory = Memory::new();
    let statements = WRITTEN.iter().map(|sql| Statement::new(sql, vec![]));
    memory.sql().write(statements.collect()).await.unwrap();
    memory
}

#[test]
fn what_kv_is_owed_is_paid_and_read() {
    run(async {
        let memory = written().await;
        let flushed = registry(&memory).ask(RegistryRequest::Flush, 7).await;
        assert!(matches!(flushed, Ok(Published::Flushed { owed: 0 })));
        let schema = in_kv(&memory, "uri/v1/a/1.0.0").await.unwrap();
        assert_eq!((schema.published, schema.yaml.as_deref()), (5, Some("{}\n")));
        let configs = crate::ConfigCache::default().current(&memory).await.unwrap();
        assert_eq!((configs.version, configs.published), (1, 6));
        assert!(configs.streams.stream("s").is_some());
    });
}

#[test]
fn schemas_are_published_beside_those_that_are_there() {
    run(async {
        let memory = written().await;
        let same = SchemaFile {
            title: "a".into(),
            version: "1.0.0".into(),
            json: "{}".into(),
            yaml: Some("{}\n".into()),
        };
        let answer = publish(&memory, "one", &[same, file("a", "1.1.0", "")]).await;
        let Ok(Published::Schemas {
            published,
            unchanged,
            in_kv,
        }) = answer
        else {
            panic!("{answer:?}")
        };
        assert_eq!((published, unchanged, in_kv), (1, 1, true));
        let index = KeyValue::get(&memory, "index/v1/one").await.unwrap().unwrap();
        let index: crate::IndexDocument = decode("index", &index).unwrap();
        assert_eq!(index.titles["a"], ["1.0.0", "1.1.0"]);
        assert_eq!(index.files["a"]["1.0.0"].published, 5);
    });
}

#[test]
fn a_stream_config_follows_the_one_that_is_there() {
    run(async {
        let memory = written().await;
        assert_eq!(publish_config(&memory, Some(1), "{}").await, Ok(2));
        let first = RegistryRequest::StreamConfig { version: Some(1) };
        let first = registry(&memory).ask(first, 8).await;
        let Ok(Published::Config(Some(StoredConfig {
            published,
            config: Some(config),
            ..
        }))) = first
        else {
            panic!("{first:?}")
        };
        assert_eq!((published, config.get()), (6, r#"{"s":{}}"#));
    });
}
