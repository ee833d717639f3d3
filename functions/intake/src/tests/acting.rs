//! What happens to accepted events, and when the platform fails.

use eventstar_ports::Clock as _;
use futures_util::FutureExt as _;

use super::*;

#[test]
fn hasty_answers_202_before_anything_is_stored() {
    run(async {
        let (isolate, memory) = world().await;
        for (query, status) in [("?hasty=true", 202), ("?hasty=false", 202), ("?hasty=", 201)] {
            let mut sent = event("test.event");
            sent["test"] = json!(query);
            let mut request = request(sent);
            *request.uri_mut() = format!("/v1/events{query}").parse().unwrap();
            let before = texts(&memory, "test.event").await.len();
            assert_eq!(
                send(&isolate, &memory, request).await,
                (status, Value::Null),
                "{query}"
            );
            let at_once = texts(&memory, "test.event").await.len();
            assert_eq!(at_once, before + usize::from(status == 201), "{query}");
            memory.run_background().await;
            assert_eq!(texts(&memory, "test.event").await.len(), before + 1, "{query}");
        }
        let mut bad = request("{nope");
        *bad.uri_mut() = "/v1/events?hasty=true".parse().unwrap();
        assert_eq!(send(&isolate, &memory, bad).await.0, 400);
    });
}

#[test]
fn a_stream_that_takes_tokens_asks_for_one() {
    run(async {
        let (isolate, memory) = world().await;
        for (token, status) in [
            ("", 401),
            ("Bearer w1", 403),
            ("Bearer nope", 403),
            ("Bearer s1", 201),
        ] {
            let mut request = request(event("test.token"));
            if !token.is_empty() {
                request
                    .headers_mut()
                    .insert("authorization", HeaderValue::from_static(token));
            }
            assert_eq!(send(&isolate, &memory, request).await.0, status, "{token:?}");
        }
        let (status, _) = post(
            &isolate,
            &memory,
            json!([event("test.token"), event("test.event")]),
        )
        .await;
        assert_eq!(status, 207);
    });
}

#[test]
fn a_sink_that_fails_is_503_with_retry_after_and_never_a_false_201() {
    run(async {
        let (isolate, memory) = world().await;
        for (port, stream) in [("log", "test.event"), ("queue", "test.queue")] {
            for fault in [Fault::Before, Fault::After] {
                memory.fail(port, fault);
                let response = handle(&isolate, memory.clone(), request(event(stream))).await;
                assert_eq!(response.status(), 503, "{port} {fault:?}");
                assert!(response.headers().contains_key("retry-after"));
                let Body::Full(body) = response.into_body() else {
                    panic!("streams")
                };
                assert!(
                    !String::from_utf8_lossy(&body).contains("injected"),
                    "our words do not leave"
                );
                let (status, body) = post(&isolate, &memory, json!([event(stream), event("nope")])).await;
                assert_eq!((status, body["error"].as_array().unwrap().len()), (503, 2));
                memory.heal();
            }
        }
        memory.fail("queue", Fault::Before);
        let (status, _) = post(
            &isolate,
            &memory,
            json!([event("test.queue"), event("test.event")]),
        )
        .await;
        assert_eq!(status, 207);
    });
}

#[test]
fn schemas_and_config_that_cannot_be_read_are_503_and_kv_alone_is_made_up_for() {
    run(async {
        let (isolate, memory) = world().await;
        memory.fail("kv", Fault::Before);
        memory.fail("registry", Fault::Before);
        assert_eq!(post(&isolate, &memory, event("test.event")).await.0, 503);
        memory.heal();
        memory.fail("kv", Fault::Before);
        assert_eq!(post(&isolate, &memory, event("test.event")).await.0, 201);
    });
}

#[test]
fn a_schema_is_read_once_and_a_stale_kv_is_asked_of_the_registry() {
    run(async {
        let (isolate, memory) = world().await;
        let before = memory.kv_reads();
        let batch: Vec<Value> = (0..100).map(|_| event("test.event")).collect();
        assert_eq!(post(&isolate, &memory, json!(batch)).await.0, 201);
        assert_eq!(memory.kv_reads() - before, 2, "one schema and one config");
        assert_eq!(post(&isolate, &memory, json!(batch)).await.0, 201);
        assert_eq!(memory.kv_reads() - before, 2, "both are cached");
        memory.forget_kv();
        assert_eq!(
            post(&Rc::new(Isolate::default()), &memory, event("test.event"))
                .await
                .0,
            201
        );
    });
}

#[test]
fn unknown_streams_do_not_make_every_request_read() {
    run(async {
        let (isolate, memory) = world().await;
        assert_eq!(post(&isolate, &memory, event("nope")).await.0, 400);
        let (reads, calls, begun) = (memory.kv_reads(), memory.calls(), memory.now());
        let nine: Vec<Value> = (0..9).map(|_| event("nope")).collect();
        for _ in 0..3 {
            assert_eq!(post(&isolate, &memory, json!(nine)).await.0, 400);
        }
        assert_eq!(memory.kv_reads(), reads);
        assert_eq!(
            memory.calls() - calls,
            3,
            "one look a second at the registry's version"
        );
        assert!(memory.now() - begun >= 2_000);
    });
}

/// A client that posts the same event all the time, to any of three isolates, before, while and after its schema and then its
/// stream are published.
#[test]
fn what_is_published_is_accepted_from_the_next_request_on_and_never_refused_again() {
    run(async {
        let (first, memory) = world().await;
        let isolates = [first, Rc::default(), Rc::default()];
        let fresh = || json!({"$schema": "/fresh/1.0.0", "meta": {"stream": "fresh"}});
        let posted = async |times: usize| {
            let mut statuses = Vec::new();
            for isolate in isolates.iter().cycle().take(times) {
                memory.advance(10);
                let (status, body) = post(isolate, &memory, fresh()).await;
                let code = body.pointer("/error/0/context/message").map(Value::to_string);
                statuses.push((status, code.unwrap_or_default()));
            }
            statuses
        };
        for (status, why) in posted(30).await {
            assert!(
                status == 400 && why.contains("no repository has it"),
                "{status} {why}"
            );
        }
        publish(
            &memory,
            &[(
                "fresh",
                &SCHEMA.replace("\"test\", \"$id\"", "\"fresh\", \"$id\""),
            )],
        )
        .await;
        for (status, why) in posted(30).await {
            assert!(
                status == 400 && why.contains("is not configured"),
                "{status} {why}"
            );
        }
        configure(&memory, json!({"fresh": {"schema_title": "fresh"}})).await;
        for (status, why) in posted(30).await {
            assert_eq!(status, 201, "{why}");
        }
    });
}

#[test]
fn events_go_to_the_topic_and_partition_of_their_stream() {
    run(async {
        let (isolate, memory) = world().await;
        assert_eq!(post(&isolate, &memory, event("test.prefixed")).await.0, 201);
        assert_eq!(texts(&memory, "eqiad.test.prefixed").await.len(), 1);
        let memory = memory.with("TOPIC_PREFIX", "dc1.");
        assert_eq!(post(&isolate, &memory, event("job.x")).await.0, 201);
        assert_eq!(texts(&memory, "dc1.job.x").await.len(), 1);
        let memory = memory.with("TOPIC_PREFIX", "");
        let mut by_key: BTreeMap<String, Vec<u32>> = BTreeMap::new();
        for n in 0..40 {
            let mut keyed = event("test.keyed");
            keyed["key"] = json!(n % 8);
            keyed["test"] = json!(n.to_string());
            assert_eq!(post(&isolate, &memory, keyed).await.0, 201);
        }
        for partition in 0..4 {
            for envelope in stored(&memory, "test.keyed", partition).await {
                by_key.entry(envelope.key.unwrap()).or_default().push(partition);
            }
        }
        assert_eq!(by_key.keys().next().map(String::as_str), Some(r#"{"k":0}"#));
        assert!(
            by_key
                .values()
                .all(|partitions| partitions.len() == 5 && partitions.iter().all(|p| *p == partitions[0]))
        );
        assert!(
            by_key
                .values()
                .map(|partitions| partitions[0])
                .collect::<std::collections::BTreeSet<_>>()
                .len()
                > 1
        );
    });
}

#[test]
fn a_queued_stream_is_sent_to_the_queue_and_what_fits_no_message_to_the_log() {
    run(async {
        let (isolate, memory) = world().await;
        let mut large = event("test.queue");
        large["test"] = json!("a".repeat(200_000));
        assert_eq!(
            post(
                &isolate,
                &memory,
                json!([event("test.queue"), large, event("test.queue")])
            )
            .await
            .0,
            201
        );
        assert_eq!(texts(&memory, "test.queue").await.len(), 1);
        let queued = memory.take_queue();
        assert_eq!(queued.len(), 1);
        assert_eq!(
            eventstar_delivery::QueueMessage::decode(&queued[0])
                .unwrap()
                .events
                .len(),
            2
        );
    });
}

#[test]
fn a_hundred_events_of_as_many_streams_and_schemas_take_fifty_subrequests_at_most() {
    run(async {
        let (isolate, memory) = world().await;
        let schema = |n: usize| {
            (
                format!("s{n}"),
                SCHEMA.replace("\"test\", \"$id\"", &format!("\"s{n}\", \"$id\"")),
            )
        };
        let schemas: Vec<(String, String)> = (0..90).map(schema).collect();
        let schemas: Vec<(&str, &str)> = schemas
            .iter()
            .map(|(title, json)| (title.as_str(), json.as_str()))
            .collect();
        publish(&memory, &schemas).await;
        let streams = (0..100).map(|n| (format!("stream.{n}"), json!({"schema_title": format!("s{n}")})));
        configure(&memory, Value::Object(streams.collect())).await;
        let events: Vec<Value> = (0..100)
            .map(|n| json!({"$schema": format!("/s{n}/1.0.0"), "meta": {"stream": format!("stream.{n}")}}))
            .collect();
        let before = memory.calls();
        let (status, body) = post(&isolate, &memory, json!(events)).await;
        memory.run_background().await;
        let calls = memory.calls() - before;
        assert!(calls <= 50, "{calls}");
        assert_eq!(status, 207);
        assert_eq!(
            body["error"].as_array().unwrap().len(),
            10,
            "no repository has s90 to s99"
        );
        let mut logged = 0;
        for n in 0..90 {
            logged += texts(&memory, &format!("stream.{n}")).await.len();
        }
        let queued: usize = memory
            .take_queue()
            .iter()
            .map(|message| {
                eventstar_delivery::QueueMessage::decode(message)
                    .unwrap()
                    .events
                    .len()
            })
            .sum();
        assert_eq!((logged, queued), (limits::MAX_APPENDS, 90 - limits::MAX_APPENDS));
    });
}

#[test]
fn different_schemas_of_one_request_are_bounded() {
    run(async {
        let (isolate, memory) = world().await;
        let unknown: Vec<Value> = (0..=limits::MAX_SCHEMAS)
            .map(|n| json!({"$schema": format!("/no/{n}/1.0.0"), "meta": {"stream": "test.event"}}))
            .collect();
        let (status, body) = post(&isolate, &memory, json!(unknown)).await;
        assert_eq!(status, 400);
        assert_eq!(
            body.to_string()
                .matches("more than 100 different schemas")
                .count(),
            1
        );
    });
}

#[test]
fn cold_requests_wait_for_nobody_and_read_a_schema_once_each() {
    run(async {
        let (isolate, memory) = world().await;
        let before = memory.kv_reads();
        let mut requests: Vec<_> = (0..50)
            .map(|n| {
                let (isolate, memory) = (Rc::clone(&isolate), memory.clone());
                let mut sent = event("test.event");
                sent["test"] = json!(n.to_string());
                async move { post(&isolate, &memory, json!([sent, sent])).await.0 }.boxed_local()
            })
            .collect();
        // All have begun to read; then the client of the first goes away.
        for request in &mut requests {
            assert!(request.now_or_never().is_none());
        }
        drop(requests.remove(0));
        assert_eq!(futures_util::future::join_all(requests).await, [201; 49]);
        assert_eq!(texts(&memory, "test.event").await.len(), 49);
        assert!(memory.kv_reads() - before <= 100, "a schema and the config each");
    });
}

#[test]
fn the_null_sink_accepts_and_stores_nothing() {
    run(async {
        let (isolate, memory) = world().await;
        let memory = memory.with("SINK", "null");
        assert_eq!(post(&isolate, &memory, event("test.event")).await.0, 201);
        assert!(texts(&memory, "test.event").await.is_empty());
    });
}
