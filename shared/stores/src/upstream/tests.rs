use std::future::Future;
use std::rc::Rc;

use bytes::Bytes;
use eventstar_event::time::Millis;
use eventstar_platform_memory::{Fault, Memory};
use eventstar_ports::{Clock, KeyValue, Registry};
use eventstar_validation::Schema;
use futures_util::future::{Either, join, join_all, select};
use http::Response;

use super::*;
use crate::{SchemaCache, SchemaLookup, VersionReader, VersionsDocument, load_schemas};

const PRIMARY: &str = "https://a.org/primary";
const SECONDARY: &str = "https://a.org/secondary";

/// Makes the upstream fail.
type Fails<'f> = &'f dyn Fn(&Memory);

fn run<T>(future: impl Future<Output = T>) -> T {
    pollster::block_on(future)
}

fn world() -> Memory {
    Memory::new().with(
        "SCHEMA_UPSTREAM",
        &format!("primary={PRIMARY} secondary={SECONDARY}"),
    )
}

fn yaml(uri: &str) -> String {
    format!("title: t\n$id: {uri}\ntype: object\n")
}

fn answer(status: u16, body: impl Into<Bytes>) -> Response<Bytes> {
    Response::builder().status(status).body(body.into()).unwrap()
}

/// Has `base` give the schema at `uri`, and at `latest` too for `is_latest`.
fn give(memory: &Memory, base: &str, uri: &str, is_latest: bool) {
    memory.answer_at(&format!("{base}{uri}"), answer(200, yaml(uri)));
    if is_latest {
        let title = uri.rsplit_once('/').unwrap().0;
        memory.answer_at(&format!("{base}{title}/latest"), answer(200, yaml(uri)));
    }
}

async fn look_up(memory: &Memory, keys: &[&str]) -> Vec<Result<Option<SchemaDocument>, String>> {
    let keys: Vec<String> = keys.iter().map(|key| (*key).to_owned()).collect();
    let document = |value: Vec<u8>| decode("k", &value).unwrap();
    match memory.ask(RegistryRequest::Lookup { keys }).await.unwrap() {
        Published::Values(values) => values.into_iter().map(|value| Ok(value.map(document))).collect(),
        Published::PartialValues(values) => values
            .into_iter()
            .map(|value| value.map(|value| value.map(document)))
            .collect(),
        other => panic!("{other:?}"),
    }
}

/// The version and the repository under `key`; `None` where there is none.
async fn found(memory: &Memory, key: &str) -> Result<Option<(String, String)>, String> {
    let document = look_up(memory, &[key]).await.remove(0)?;
    Ok(document.map(|document| (document.version, document.repository)))
}

fn in_primary(version: &str) -> Result<Option<(String, String)>, String> {
    Ok(Some((version.to_owned(), "primary".to_owned())))
}

fn asked(memory: &Memory) -> Vec<String> {
    let requests = memory.take_requests();
    requests.iter().map(|request| request.uri().to_string()).collect()
}

async fn refresh(memory: &Memory, key: &str) {
    let keys = vec![key.to_owned()];
    let answer = memory.ask(RegistryRequest::Refresh { keys }).await.unwrap();
    assert!(matches!(answer, Published::Refreshed));
}

#[test]
fn a_schema_that_is_fetched_is_published_and_outlives_its_upstream() {
    run(async {
        let memory = world();
        give(&memory, PRIMARY, "/a/b/1.0.0", true);
        assert_eq!(found(&memory, "uri/v1/a/b/1.0.0").await, in_primary("1.0.0"));
        assert_eq!(
            asked(&memory),
            [format!("{PRIMARY}/a/b/1.0.0"), format!("{PRIMARY}/a/b/latest")]
        );

        memory.fail("http", Fault::Before);
        memory.forget_upstreams();
        for key in [
            "uri/v1/a/b/1.0.0",
            "uri/v1/a/b/latest",
            "schema/v1/primary/a/b/1.0.0",
            "schema/v1/primary/a/b/latest",
        ] {
            assert_eq!(found(&memory, key).await, in_primary("1.0.0"), "{key}");
            let in_kv = KeyValue::get(&memory, key).await.unwrap().expect("in KV too");
            let document: SchemaDocument = decode(key, &in_kv).unwrap();
            assert_eq!(document.yaml.as_deref(), Some(yaml("/a/b/1.0.0").as_str()));
            assert_eq!(
                document.json,
                r#"{"title":"t","$id":"/a/b/1.0.0","type":"object"}"#
            );
        }
        let key = "versions/v1/primary/a/b";
        let versions = KeyValue::get(&memory, key).await.unwrap().unwrap();
        assert_eq!(
            decode::<VersionsDocument>(key, &versions).unwrap().versions,
            ["1.0.0"]
        );
        assert_eq!(found(&memory, "uri/v1/a/b/1.0.0").await, in_primary("1.0.0"));
    });
}

#[test]
fn upstreams_are_asked_in_their_order_and_one_that_fails_is_passed_over() {
    run(async {
        let memory = world();
        give(&memory, SECONDARY, "/a/b/1.0.0", true);
        memory.answer_at(&format!("{PRIMARY}/a/b/1.0.0"), answer(503, ""));
        let in_secondary = Ok(Some(("1.0.0".to_owned(), "secondary".to_owned())));
        assert_eq!(found(&memory, "uri/v1/a/b/1.0.0").await, in_secondary);
        assert_eq!(
            asked(&memory)[..2],
            [format!("{PRIMARY}/a/b/1.0.0"), format!("{SECONDARY}/a/b/1.0.0")]
        );
        assert!(memory.lines()[0].contains("upstream primary gives no /a/b/1.0.0: it answers 503"));

        // The setting's order is that of the repositories, whichever gave a schema first.
        memory.advance(10_000);
        give(&memory, PRIMARY, "/a/b/1.0.0", true);
        assert_eq!(
            found(&memory, "schema/v1/primary/a/b/1.0.0").await,
            in_primary("1.0.0")
        );
        assert_eq!(asked(&memory)[0], format!("{PRIMARY}/a/b/1.0.0"));
        assert_eq!(found(&memory, "uri/v1/a/b/1.0.0").await, in_primary("1.0.0"));
        let names = KeyValue::get(&memory, keys::REPOSITORIES).await.unwrap().unwrap();
        assert_eq!(names, br#"["primary","secondary"]"#);
    });
}

#[test]
fn only_upstreams_are_asked_and_only_for_schemas() {
    run(async {
        let memory = world();
        for key in [
            "uri/v1/a/b/1",
            "uri/v1/a/b/current",
            "schema/v1/other/a/b/1.0.0",
            "versions/v1/primary/a/b",
            "index/v1/primary",
            "stream-config/v1",
        ] {
            assert_eq!(found(&memory, key).await, Ok(None), "{key}");
        }
        assert!(asked(&memory).is_empty());
        let without = Memory::new();
        assert_eq!(found(&without, "uri/v1/a/b/1.0.0").await, Ok(None));
        assert!(asked(&without).is_empty());
    });
}

#[test]
fn what_no_upstream_has_is_unknown_for_a_second() {
    run(async {
        let memory = world();
        let key = "uri/v1/a/b/1.0.0";
        for (after, requests) in [(0, 2), (0, 0), (999, 0), (1, 2)] {
            memory.advance(after);
            assert_eq!(found(&memory, key).await, Ok(None));
            assert_eq!(asked(&memory).len(), requests, "after {after} ms");
        }
        memory.advance(1000);
        give(&memory, PRIMARY, "/a/b/1.0.0", true);
        assert_eq!(found(&memory, key).await, in_primary("1.0.0"));
    });
}

#[test]
fn an_upstream_that_is_down_is_no_reason_to_call_a_schema_unknown_and_is_left_alone_for_a_while() {
    run(async {
        let fail: [(Fails<'_>, &str); 4] = [
            (&|memory| memory.fail("http", Fault::Before), "injected before"),
            (&|memory| memory.fail("http", Fault::After), "injected after"),
            (
                &|memory| memory.answer_after(Duration::from_millis(5001)),
                "no whole answer within 5000 ms",
            ),
            (
                &|memory| memory.answer_at(&format!("{PRIMARY}/a/b/1.0.0"), answer(502, "")),
                "it answers 502",
            ),
        ];
        for (fail, why) in fail {
            let memory = Memory::new().with("SCHEMA_UPSTREAM", &format!("primary={PRIMARY}"));
            give(&memory, PRIMARY, "/a/b/2.0.0", true);
            assert_eq!(found(&memory, "uri/v1/a/b/2.0.0").await, in_primary("2.0.0"));
            memory.advance(10_000);
            let _ = asked(&memory);
            fail(&memory);
            let keys = ["uri/v1/a/b/1.0.0", "uri/v1/a/b/2.0.0"];
            let values = look_up(&memory, &keys).await;
            assert!(values[0].as_ref().unwrap_err().contains(why), "{values:?}");
            assert!(
                matches!(&values[1], Ok(Some(_))),
                "what is stored is served: {values:?}"
            );
            assert!(
                memory.lines().last().unwrap().contains(why),
                "{:?}",
                memory.lines()
            );
            let _ = asked(&memory);

            memory.heal();
            memory.answer_after(Duration::ZERO);
            give(&memory, PRIMARY, "/a/c/1.0.0", true);
            memory.advance(3_900);
            assert!(
                found(&memory, "uri/v1/a/c/1.0.0")
                    .await
                    .unwrap_err()
                    .contains(why)
            );
            assert!(asked(&memory).is_empty(), "{why}");
            memory.advance(1_100);
            assert_eq!(
                found(&memory, "uri/v1/a/c/1.0.0").await,
                in_primary("1.0.0"),
                "{why}"
            );
        }
    });
}

#[test]
fn an_answer_that_is_no_such_schema_is_not_published_and_holds_up_no_other() {
    run(async {
        let large = format!("{}#{}", yaml("/a/b/1.0.0"), "x".repeat(900_000));
        let broken = format!("{}properties: 5\n", yaml("/a/b/1.0.0"));
        for (body, why) in [
            ("<html>".to_owned(), "no JSON object"),
            (yaml("/a/b/1.0.1"), "its $id is '/a/b/1.0.1'"),
            (large, "the answer has more than 900000 bytes"),
            (broken, "schema /a/b/1.0.0 cannot be used: at /properties"),
        ] {
            let memory = Memory::new().with("SCHEMA_UPSTREAM", &format!("primary={PRIMARY}"));
            memory.answer_at(&format!("{PRIMARY}/a/b/1.0.0"), answer(200, body));
            give(&memory, PRIMARY, "/a/c/1.0.0", true);
            let values = look_up(&memory, &["uri/v1/a/b/1.0.0", "uri/v1/a/c/1.0.0"]).await;
            assert!(values[0].as_ref().unwrap_err().contains(why), "{values:?}");
            assert!(matches!(&values[1], Ok(Some(_))), "{values:?}");
            assert!(
                memory.lines().iter().any(|line| line.contains(why)),
                "{:?}",
                memory.lines()
            );
            assert!(
                KeyValue::get(&memory, "uri/v1/a/b/1.0.0")
                    .await
                    .unwrap()
                    .is_none()
            );
        }
    });
}

#[test]
fn requests_that_need_the_same_schema_fetch_it_once() {
    run(async {
        let memory = world();
        give(&memory, PRIMARY, "/a/b/1.0.0", true);
        memory.answer_after(Duration::from_millis(200));
        let lookups = (0..5).map(|_| found(&memory, "uri/v1/a/b/1.0.0"));
        for found in join_all(lookups).await {
            assert_eq!(found, in_primary("1.0.0"));
        }
        assert_eq!(asked(&memory).len(), 2, "the version and latest");
    });
}

#[test]
fn a_fetch_that_was_broken_off_keeps_nobody_waiting() {
    run(async {
        let memory = world();
        give(&memory, PRIMARY, "/a/b/1.0.0", true);
        memory.answer_after(Duration::from_millis(200));
        let (broken_off, other) = (
            Box::pin(found(&memory, "uri/v1/a/b/1.0.0")),
            Box::pin(publish(&memory)),
        );
        let Either::Right((_, broken_off)) = select(broken_off, other).await else {
            panic!("publishing waited for the upstream");
        };
        drop(broken_off);
        assert_eq!(found(&memory, "uri/v1/a/b/1.0.0").await, in_primary("1.0.0"));

        // A host may also leave a fetch as it is, and never run it again.
        let forgotten = UpstreamMemory::default();
        std::mem::forget(forgotten.begin("primary/a/b/1.0.0", 0));
        assert!(forgotten.begin("primary/a/b/1.0.0", 14_999).is_none());
        assert!(forgotten.begin("primary/a/b/1.0.0", 15_000).is_some());
    });
}

async fn publish(memory: &Memory) -> Published {
    let json = r#"{"title":"own"}"#.to_owned();
    let schemas = vec![SchemaFile {
        title: "own".to_owned(),
        version: "1.0.0".to_owned(),
        json,
        yaml: None,
    }];
    let request = RegistryRequest::PublishSchemas {
        repository: "own".to_owned(),
        schemas,
    };
    memory.ask(request).await.unwrap()
}

#[test]
fn publishing_does_not_wait_for_an_upstream() {
    run(async {
        let memory = world();
        memory.answer_after(Duration::from_millis(4000));
        let (lookup, published) = (
            Box::pin(found(&memory, "uri/v1/a/b/1.0.0")),
            Box::pin(publish(&memory)),
        );
        match select(lookup, published).await {
            Either::Right((Published::Schemas { published: 1, .. }, lookup)) => {
                assert_eq!(lookup.await, Ok(None))
            }
            _ => panic!("publishing waited for the upstream"),
        }
    });
}

#[test]
fn one_lookup_fetches_ten_schemas_and_no_more() {
    run(async {
        let memory = world();
        let keys: Vec<String> = (0..12).map(|n| format!("uri/v1/a/b{n}/1.0.0")).collect();
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        (0..12).for_each(|n| give(&memory, PRIMARY, &format!("/a/b{n}/1.0.0"), true));
        let values = look_up(&memory, &keys).await;
        assert_eq!(
            values.iter().filter(|value| matches!(value, Ok(Some(_)))).count(),
            10
        );
        assert!(values[10].as_ref().unwrap_err().contains("more than 10 schemas"));
        assert!(
            look_up(&memory, &keys)
                .await
                .iter()
                .all(|value| matches!(value, Ok(Some(_))))
        );
    });
}

#[test]
fn latest_is_the_upstreams_from_the_first_version_on() {
    run(async {
        let memory = world();
        give(&memory, PRIMARY, "/a/b/1.0.0", false);
        give(&memory, PRIMARY, "/a/b/1.2.0", true);
        assert_eq!(found(&memory, "uri/v1/a/b/1.0.0").await, in_primary("1.0.0"));
        assert_eq!(found(&memory, "uri/v1/a/b/latest").await, in_primary("1.2.0"));
        let _ = asked(&memory);
        give(&memory, PRIMARY, "/a/b/1.1.0", false);
        assert_eq!(found(&memory, "uri/v1/a/b/1.1.0").await, in_primary("1.1.0"));
        assert_eq!(asked(&memory), [format!("{PRIMARY}/a/b/1.1.0")]);

        let memory = world();
        give(&memory, PRIMARY, "/a/b/1.2.0", true);
        assert_eq!(
            found(&memory, "schema/v1/primary/a/b/latest").await,
            in_primary("1.2.0")
        );
        assert_eq!(found(&memory, "uri/v1/a/b/1.2.0").await, in_primary("1.2.0"));
        assert_eq!(asked(&memory), [format!("{PRIMARY}/a/b/latest")]);
    });
}

#[test]
fn latest_is_looked_at_again_once_a_minute_and_stays_when_the_upstream_fails() {
    run(async {
        let memory = world();
        give(&memory, PRIMARY, "/a/b/1.0.0", true);
        for key in ["uri/v1/a/b/latest", "schema/v1/primary/a/b/latest"] {
            memory.advance(100_000);
            assert_eq!(found(&memory, key).await, in_primary("1.0.0"));
        }
        let _ = asked(&memory);
        give(&memory, PRIMARY, "/a/b/1.1.0", true);
        for (after, key, requests, version) in [
            (0, "schema/v1/primary/a/b/latest", 1, "1.1.0"),
            (59_999, "uri/v1/a/b/latest", 0, "1.1.0"),
            (1, "uri/v1/a/b/latest", 1, "1.1.0"),
        ] {
            memory.advance(after);
            refresh(&memory, key).await;
            assert_eq!(asked(&memory).len(), requests, "{key}");
            assert_eq!(found(&memory, key).await, in_primary(version));
        }
        memory.advance(100_000);
        memory.fail("http", Fault::Before);
        refresh(&memory, "uri/v1/a/b/latest").await;
        assert_eq!(asked(&memory).len(), 0);
        assert_eq!(found(&memory, "uri/v1/a/b/latest").await, in_primary("1.1.0"));
        assert!(memory.lines().last().unwrap().contains("gives no /a/b/latest"));

        let others = [
            "uri/v1/a/b/1.0.0",
            "uri/v1/x/latest",
            "schema/v1/own/own/latest",
            "stream-config/v1",
        ];
        memory.heal();
        publish(&memory).await;
        for key in others {
            refresh(&memory, key).await;
        }
        assert!(asked(&memory).is_empty());
    });
}

#[test]
fn a_version_that_changed_upstream_stays_as_it_was_published() {
    run(async {
        let memory = world();
        give(&memory, PRIMARY, "/a/b/1.0.0", true);
        assert_eq!(found(&memory, "uri/v1/a/b/1.0.0").await, in_primary("1.0.0"));
        let before = memory.lines().len();
        let latest = format!("{PRIMARY}/a/b/latest");
        memory.answer_at(
            &latest,
            answer(200, r#"{"$id": "/a/b/1.0.0", "type": "object", "title": "t"}"#),
        );
        memory.advance(100_000);
        refresh(&memory, "uri/v1/a/b/latest").await;
        assert_eq!(
            memory.lines().len(),
            before,
            "the same in another form is no change"
        );
        memory.answer_at(
            &latest,
            answer(200, r#"{"$id": "/a/b/1.0.0", "type": "string", "title": "t"}"#),
        );
        memory.advance(100_000);
        refresh(&memory, "uri/v1/a/b/latest").await;
        assert!(memory.lines()[before].contains("upstream primary has changed /a/b/1.0.0"));
        let document = look_up(&memory, &["uri/v1/a/b/latest"])
            .await
            .remove(0)
            .unwrap()
            .unwrap();
        assert_eq!(document.yaml, Some(yaml("/a/b/1.0.0")));
    });
}

#[test]
fn cached_schemas_come_from_upstreams_and_latest_is_looked_at_in_the_background() {
    run(async {
        let memory = world();
        give(&memory, PRIMARY, "/a/b/1.0.0", true);
        let uris = [
            SchemaUri::parse("/a/b/latest").unwrap(),
            SchemaUri::parse("/a/x/1.0.0").unwrap(),
        ];
        let cache = SchemaCache::default();
        let id = |lookup: &Result<SchemaLookup, PortError>| match lookup {
            Ok(SchemaLookup::Found(schema)) => schema_id(schema),
            other => panic!("{other:?}"),
        };
        memory.answer_at(&format!("{PRIMARY}/a/x/1.0.0"), answer(500, ""));
        let reader = VersionReader::default();
        let found = load_schemas(&cache, &memory, &reader.from_now(), &uris).await;
        assert_eq!(id(&found[0]), "t");
        let error = found[1].as_ref().unwrap_err();
        assert!(error.kind == PortErrorKind::Unavailable && error.detail.contains("it answers 500"));
        memory.run_background().await;
        let _ = asked(&memory);

        memory.advance(60_000);
        let newer = yaml("/a/b/1.1.0").replace("title: t", "title: newer");
        memory.answer_at(&format!("{PRIMARY}/a/b/latest"), answer(200, newer));
        assert_eq!(
            id(&load_schemas(&cache, &memory, &reader.from_now(), &uris[..1]).await[0]),
            "t"
        );
        assert!(asked(&memory).is_empty(), "nobody waits for it");
        memory.run_background().await;
        assert_eq!(asked(&memory), [format!("{PRIMARY}/a/b/latest")]);
        memory.advance(60_000);
        assert_eq!(
            id(&load_schemas(&cache, &memory, &reader.from_now(), &uris[..1]).await[0]),
            "newer"
        );
    });
}

fn schema_id(schema: &Rc<Schema>) -> String {
    schema.title().unwrap_or_default().to_owned()
}

#[test]
fn different_schemas_are_fetched_side_by_side() {
    run(async {
        let memory = world();
        give(&memory, PRIMARY, "/a/b/1.0.0", true);
        give(&memory, PRIMARY, "/a/c/1.0.0", true);
        let begun: Millis = memory.now();
        let (one, other) = join(
            found(&memory, "uri/v1/a/b/1.0.0"),
            found(&memory, "uri/v1/a/c/1.0.0"),
        )
        .await;
        assert_eq!((one, other), (in_primary("1.0.0"), in_primary("1.0.0")));
        assert_eq!(memory.now(), begun, "neither waited");
    });
}
