//! What eventgate-wikimedia does for the events of production's streams.

use super::*;

async fn production() -> (Rc<Isolate>, Memory) {
    let (isolate, memory) = world().await;
    let schema = |title: &str| {
        json!({
            "title": title, "type": "object",
            "properties": {
                "dt": {"type": "string"}, "client_dt": {"type": "string"},
                "meta": {"type": "object", "properties": {"dt": {"type": "string"}, "domain": {"type": "string"}}},
            },
        })
        .to_string()
    };
    publish(
        &memory,
        &[
            ("analytics/legacy/test", &schema("analytics/legacy/test")),
            ("analytics/new", &schema("analytics/new")),
        ],
    )
    .await;
    configure(
        &memory,
        json!({
            "eventlogging_Test": {"schema_title": "analytics/legacy/test"},
            "analytics.new": {"schema_title": "analytics/new"},
        }),
    )
    .await;
    (isolate, memory)
}

/// Clients of migrated schemas send `client_dt` and leave `dt` to the intake.
#[test]
fn dt_is_filled_for_legacy_schemas_alone() {
    run(async {
        let now = "2024-01-01T00:00:00.000Z";
        let then = "2011-04-01T09:00:00.000Z";
        for (uri, stream, dt, expected) in [
            (
                "/analytics/legacy/test/1.0.0",
                "eventlogging_Test",
                None,
                json!(now),
            ),
            (
                "/analytics/legacy/test/1.0.0",
                "eventlogging_Test",
                Some(then),
                json!(then),
            ),
            ("/analytics/new/1.0.0", "analytics.new", None, Value::Null),
            ("/analytics/new/1.0.0", "analytics.new", Some(then), json!(then)),
        ] {
            let (isolate, memory) = production().await;
            let mut sent = json!({"$schema": uri, "meta": {"stream": stream}, "client_dt": then});
            if let Some(dt) = dt {
                sent["dt"] = dt.into();
            }
            assert_eq!(post(&isolate, &memory, &sent).await.0, 201, "{sent}");
            let stored: Value = serde_json::from_str(&texts(&memory, stream).await[0]).unwrap();
            assert_eq!(stored["dt"], expected, "{sent}");
            assert_eq!(
                (&stored["client_dt"], &stored["meta"]["dt"]),
                (&json!(then), &json!(now))
            );
        }
    });
}

#[test]
fn topics_of_legacy_streams_never_have_the_prefix() {
    run(async {
        let (isolate, memory) = production().await;
        let memory = memory.with("TOPIC_PREFIX", "eqiad.");
        for (uri, stream, topic) in [
            (
                "/analytics/legacy/test/1.0.0",
                "eventlogging_Test",
                "eventlogging_Test",
            ),
            ("/analytics/new/1.0.0", "analytics.new", "eqiad.analytics.new"),
        ] {
            let sent = json!({"$schema": uri, "meta": {"stream": stream}});
            assert_eq!(post(&isolate, &memory, &sent).await.0, 201, "{sent}");
            assert_eq!(texts(&memory, topic).await.len(), 1, "{topic}");
        }
    });
}

/// Canary events are events like others: who reads a stream leaves them out.
#[test]
fn canary_events_pass_through() {
    run(async {
        let (isolate, memory) = production().await;
        let sent = r#"{"$schema":"/analytics/new/1.0.0","meta":{"stream":"analytics.new","domain":"canary","dt":"2020-07-01T00:00:00Z"},"dt":"2020-07-01T00:00:00Z"}"#;
        assert_eq!(post(&isolate, &memory, sent).await, (201, Value::Null));
        let stored = texts(&memory, "analytics.new").await;
        assert_eq!(
            stored,
            [sent.replacen("2020-07-01T00:00:00Z", "2024-01-01T00:00:00.000Z", 1)]
        );
    });
}
