use eventstar_log::Retention;
use serde_json::json;

use super::*;
use crate::Accept;

fn topics_of(config: &Value, stream: &str) -> Value {
    StreamConfigs::parse(config)
        .unwrap()
        .settings(stream)
        .unwrap()
        .get("topics")
        .cloned()
        .unwrap()
}

/// StreamConfigTest.php:450-564, the eight rows.
#[test]
fn topics_are_computed_as_eventstreamconfig_does() {
    let jobs = r"/^mediawiki\.job\..+/";
    let prefixes = json!(["eqiad.", "codfw."]);
    for (key, settings, stream, expected) in [
        (
            "nonya",
            json!({"topics": ["eqiad.nonya", "codfw.nonya"]}),
            "nonya",
            json!(["eqiad.nonya", "codfw.nonya"]),
        ),
        ("nonya", json!({}), "nonya", json!(["nonya"])),
        (
            "nonya",
            json!({"topic_prefixes": prefixes}),
            "nonya",
            json!(["eqiad.nonya", "codfw.nonya"]),
        ),
        (jobs, json!({}), jobs, json!([jobs])),
        (
            jobs,
            json!({"topic_prefixes": prefixes}),
            jobs,
            json!([r"/^(eqiad\.|codfw\.)mediawiki\.job\..+/"]),
        ),
        (
            jobs,
            json!({}),
            "mediawiki.job.workworkwork",
            json!(["mediawiki.job.workworkwork"]),
        ),
        (
            jobs,
            json!({"topic_prefixes": prefixes}),
            "mediawiki.job.workworkwork",
            json!([
                "eqiad.mediawiki.job.workworkwork",
                "codfw.mediawiki.job.workworkwork"
            ]),
        ),
        (
            jobs,
            json!({"topic_prefixes": prefixes, "topics": ["t"]}),
            "mediawiki.job.x",
            json!(["t"]),
        ),
    ] {
        assert_eq!(
            topics_of(&json!({key: settings}), stream),
            expected,
            "{key} {stream}"
        );
    }
}

#[test]
fn lookup_is_exact_first_and_then_the_first_regex_in_order() {
    let configs = StreamConfigs::parse(&json!({
        "/^a/": {"schema_title": "first"},
        "/^a\\.b/": {"schema_title": "second"},
        "a.b": {"schema_title": "exact"},
    }))
    .unwrap();
    let title = |stream: &str| {
        configs
            .stream(stream)
            .and_then(|stream| stream.schema_title.clone())
    };
    assert_eq!(title("a.b").as_deref(), Some("exact"));
    assert_eq!(title("a.b.c").as_deref(), Some("first"));
    assert_eq!(title("b"), None);
    assert_eq!(title("/^a/"), None);
}

#[test]
fn a_stream_has_the_names_that_its_aliases_give_it() {
    let configs = StreamConfigs::parse(&json!({
        "mediawiki.page-create": {"stream_aliases": ["page-create", "other", "new pages", "creation"]},
        "other": {"stream_aliases": ["page-create"]},
    }))
    .unwrap();
    for (name, expected) in [
        ("page-create", "mediawiki.page-create"),
        ("other", "other"),
        ("nope", "nope"),
    ] {
        assert_eq!(configs.name_of(name), expected);
    }
    let aliases: Vec<_> = configs.aliases().collect();
    assert_eq!(
        aliases,
        [
            ("creation", "mediawiki.page-create"),
            ("page-create", "mediawiki.page-create")
        ]
    );
}

#[test]
fn defaults_are_merged_under_every_stream() {
    let configs = StreamConfigs::parse(&json!({
        "defaults": {"topic_prefixes": ["eqiad."], "producers": {"auth": "token"}, "accept": "queue"},
        "streams": {"a": {"producers": {"tokens": ["x"]}}, "b": {"topic_prefixes": null, "accept": "log"}},
    }))
    .unwrap();
    let a = configs.stream("a").unwrap();
    assert!(a.token_required);
    assert_eq!(
        (a.tokens.as_slice(), a.topics.as_slice()),
        (&["x".to_owned()][..], &["eqiad.a".to_owned()][..])
    );
    assert_eq!(a.accept, Accept::Queue);
    let b = configs.stream("b").unwrap();
    assert_eq!(
        (b.topics.as_slice(), b.accept),
        (&["b".to_owned()][..], Accept::Log)
    );
}

/// StreamConfigsTest.php:14-381.
#[test]
fn streams_are_selected_by_name_and_by_constraints() {
    let jobs = r"/^mediawiki\.job\..+/";
    let configs = StreamConfigs::parse(&json!({
        "defaults": {"topic_prefixes": ["eqiad.", "codfw."]},
        "streams": {
            "plain": {"schema_title": "plain_schema", "destination_event_service": "eventgate-main"},
            "nonya": {
                "schema_title": "mediawiki/nonya", "sample": {"rate": 0.5},
                "destination_event_service": "eventgate-analytics", "topics": ["nonya_topic"],
            },
            "eventlogging_Test": {
                "schema_title": "analytics/legacy/test", "sample": {"rate": 1.0, "unit": "session"},
                "destination_event_service": "eventgate-analytics", "topic_prefixes": null,
            },
            "test.event": {
                "schema_title": "test/event", "sample": {"rate": 1.0, "unit": "session"},
                "destination_event_service": "eventgate-main", "topic_prefixes": ["dc1.", "dc2."],
            },
            jobs: {
                "schema_title": "mediawiki/job", "sample": {"rate": 0.8},
                "destination_event_service": "eventgate-main",
            },
        },
    }))
    .unwrap();
    let nonya = ("nonya", "nonya", json!(["nonya_topic"]));
    let plain = ("plain", "plain", json!(["eqiad.plain", "codfw.plain"]));
    let test = (
        "test.event",
        "test.event",
        json!(["dc1.test.event", "dc2.test.event"]),
    );
    let legacy = (
        "eventlogging_Test",
        "eventlogging_Test",
        json!(["eventlogging_Test"]),
    );
    let all_jobs = (jobs, jobs, json!([r"/^(eqiad\.|codfw\.)mediawiki\.job\..+/"]));
    let job = |name: &'static str| {
        (
            name,
            jobs,
            json!([format!("eqiad.{name}"), format!("codfw.{name}")]),
        )
    };
    let main = "destination_event_service=eventgate-main";
    for (streams, constraint, expected) in [
        (Some(vec!["nonya"]), "", vec![nonya.clone()]),
        (
            Some(vec!["test.event", "nonya"]),
            "",
            vec![test.clone(), nonya.clone()],
        ),
        (
            Some(vec!["nonya", "mediawiki.job.A", "mediawiki.job.B"]),
            "",
            vec![nonya.clone(), job("mediawiki.job.A"), job("mediawiki.job.B")],
        ),
        (Some(vec!["unconfigured-stream-name"]), "", vec![]),
        (Some(vec![]), "", vec![]),
        (Some(vec!["nonya", "nonya"]), "", vec![nonya.clone()]),
        (Some(vec![jobs]), "", vec![all_jobs.clone()]),
        (
            None,
            "",
            vec![
                plain.clone(),
                nonya.clone(),
                legacy,
                test.clone(),
                all_jobs.clone(),
            ],
        ),
        (None, main, vec![plain, test.clone(), all_jobs.clone()]),
        (
            Some(vec!["mediawiki.job.A", "nonya"]),
            main,
            vec![job("mediawiki.job.A")],
        ),
        (None, "stream=mediawiki.job.A", vec![all_jobs]),
        (None, "topic_prefixes[0]=dc2.", vec![test]),
        // Topics that are made of prefixes are no settings.
        (None, "topics[0]=nonya_topic", vec![nonya]),
        (None, "topics[0]=eqiad.plain", vec![]),
        (None, "schema_title=nope", vec![]),
    ] {
        let streams: Option<Vec<String>> =
            streams.map(|streams| streams.into_iter().map(str::to_owned).collect());
        let selected = configs.select(streams.as_deref(), &Constraints::parse([constraint]).unwrap());
        let got: Vec<_> = selected
            .iter()
            .map(|(name, settings)| {
                (
                    name.as_str(),
                    settings["stream"].as_str().unwrap(),
                    settings["topics"].clone(),
                )
            })
            .collect();
        assert_eq!(got, expected, "{streams:?} {constraint}");
    }
    let nonya = configs.select(Some(&["nonya".to_owned()]), &Constraints::default());
    assert_eq!(
        json!(nonya).to_string(),
        r#"{"nonya":{"topic_prefixes":["eqiad.","codfw."],"schema_title":"mediawiki/nonya","sample":{"rate":0.5},"destination_event_service":"eventgate-analytics","topics":["nonya_topic"],"stream":"nonya"}}"#,
        "defaults first, then in the config's order"
    );
}

/// StreamConfigTest.php:52-143.
#[test]
fn defaults_are_merged_deeply() {
    let configs = StreamConfigs::parse(&json!({
        "defaults": {"consumers": {
            "analytics_hadoop_ingestion": {"job_name": "event_default", "enabled": true},
            "analytics_hive_ingestion": {"enabled": false},
        }},
        "streams": {"nonya": {
            "schema_title": "mediawiki/nonya", "destination_event_service": "eventgate-analytics", "topics": ["nonya"],
            "consumers": {"analytics_hadoop_ingestion": {"job_name": "nonya"}},
        }},
    }))
    .unwrap();
    assert_eq!(
        Value::Object(configs.settings("nonya").unwrap()),
        json!({
            "consumers": {
                "analytics_hadoop_ingestion": {"job_name": "nonya", "enabled": true},
                "analytics_hive_ingestion": {"enabled": false},
            },
            "schema_title": "mediawiki/nonya", "destination_event_service": "eventgate-analytics",
            "topics": ["nonya"], "stream": "nonya",
        })
    );
}

#[test]
fn a_stream_may_be_called_streams() {
    let configs = StreamConfigs::parse(&json!({"streams": {"schema_title": "x"}, "other": {}}));
    assert_eq!(configs.unwrap().names().collect::<Vec<_>>(), ["streams", "other"]);
}

#[test]
fn retention_is_seven_days_unless_the_stream_says_otherwise() {
    let week = 7 * 24 * 60 * 60 * 1000;
    for (retention, ms, bytes) in [
        (json!(null), Some(week), 8_000_000_000),
        (json!({}), Some(week), 8_000_000_000),
        (json!({"ms": 1000}), Some(1000), 8_000_000_000),
        (json!({"bytes": 1}), Some(week), 1),
        (json!({"ms": -1, "bytes": -1}), None, 8_000_000_000),
    ] {
        let configs = StreamConfigs::parse(&json!({"a": {"retention": retention}})).unwrap();
        let expected = Retention { ms, bytes };
        assert_eq!(configs.stream("a").unwrap().retention, expected, "{retention}");
    }
}

#[test]
fn what_is_wrong_is_named_by_its_pointer() {
    for (config, pointer) in [
        (json!([]), ""),
        (json!({"a b": {}}), "/a b"),
        (json!({"a": 1}), "/a"),
        (json!({"/(/": {}}), "/~1(~1"),
        (json!({"defaults": 1, "streams": {}}), "/defaults"),
        (json!({"streams": []}), "/streams"),
        (
            json!({"defaults": {}, "streams": {"a": {"accept": "maybe"}}}),
            "/streams/a/accept",
        ),
        (json!({"a": {"schema_title": 1}}), "/a/schema_title"),
        (json!({"a": {"topics": "x"}}), "/a/topics"),
        (json!({"a": {"partitions": 0}}), "/a/partitions"),
        (json!({"a": {"partitions": 65}}), "/a/partitions"),
        (json!({"a": {"retention": 1000}}), "/a/retention"),
        (json!({"a": {"retention": {"ms": 999}}}), "/a/retention/ms"),
        (json!({"a": {"retention": {"ms": "7d"}}}), "/a/retention/ms"),
        (
            json!({"a": {"retention": {"ms": 3_155_760_000_001_u64}}}),
            "/a/retention/ms",
        ),
        (json!({"a": {"retention": {"bytes": 0}}}), "/a/retention/bytes"),
        (
            json!({"a": {"retention": {"bytes": 8_000_000_001_u64}}}),
            "/a/retention/bytes",
        ),
        (
            json!({"a": {"message_key_fields": {"k": 1}}}),
            "/a/message_key_fields/k",
        ),
        (json!({"a": {"producers": {"auth": "yes"}}}), "/a/producers/auth"),
        (
            json!({"a": {"producers": {"tokens": "x"}}}),
            "/a/producers/tokens",
        ),
    ] {
        let error = StreamConfigs::parse(&config).err().unwrap();
        assert_eq!(error.pointer, pointer, "{config}: {error}");
    }
}

#[test]
fn a_stream_that_names_tokens_takes_tokens_only_unless_it_says_otherwise() {
    let configs = StreamConfigs::parse(&json!({
        "named": {"producers": {"tokens": ["shop"]}},
        "none": {"producers": {"auth": "none", "tokens": ["shop"]}},
        "empty": {"producers": {"tokens": []}},
        "any": {"producers": {"auth": "token"}},
        "open": {},
    }))
    .unwrap();
    let required = |name: &str| configs.stream(name).unwrap().token_required;
    assert_eq!(
        ["named", "none", "empty", "any", "open"].map(required),
        [true, false, true, true, false]
    );
}

#[test]
fn the_tokens_of_a_stream_replace_those_of_the_defaults() {
    let configs = StreamConfigs::parse(&json!({
        "defaults": {"producers": {"auth": "token", "tokens": ["a", "b"]}},
        "streams": {
            "own": {"producers": {"tokens": ["c"]}},
            "default": {"producers": {"auth": "token"}},
            "other": {"topics": ["t"]},
        },
    }))
    .unwrap();
    let tokens = |name: &str| configs.stream(name).unwrap().tokens.clone();
    assert_eq!(tokens("own"), ["c"]);
    assert_eq!(tokens("default"), ["a", "b"]);
    assert_eq!(tokens("other"), ["a", "b"]);
    let merged = configs.settings("own").unwrap();
    assert_eq!(merged["producers"], json!({"auth": "token", "tokens": ["c"]}));
}

#[test]
fn a_stream_that_names_tokens_is_not_opened_by_the_defaults() {
    let configs = StreamConfigs::parse(&json!({
        "defaults": {"producers": {"auth": "none"}},
        "streams": {"a": {"producers": {"tokens": ["c"]}}, "b": {"producers": {"auth": "none", "tokens": ["c"]}}},
    }))
    .unwrap();
    assert!(configs.stream("a").unwrap().token_required);
    assert!(!configs.stream("b").unwrap().token_required);
}

#[test]
fn remembered_lookups_are_bounded() {
    let configs = StreamConfigs::parse(&json!({"/./": {}})).unwrap();
    for n in 0..=MAX_REMEMBERED {
        assert!(configs.stream(&format!("s{n}")).is_some());
    }
    assert!(configs.remembered.borrow().len() <= MAX_REMEMBERED);
}

#[test]
fn the_key_of_a_regex_is_no_name_of_a_stream() {
    let configs = StreamConfigs::parse(&json!({
        "/^a/": {"topics": ["all"], "stream_aliases": ["letters"], "partitions": 2},
        "//": {"topics": ["rest"]},
        "b": {"stream_aliases": ["/^a/"]},
    }))
    .unwrap();
    for name in ["/^a/", "//", "letters/", "", "a b", "é"] {
        assert!(configs.stream(name).is_none(), "{name}");
    }
    assert_eq!(configs.stream("ab").unwrap().topics, ["all"]);
    assert_eq!(configs.name_of("letters"), "letters");
    assert_eq!(configs.name_of("/^a/"), "/^a/");
    assert_eq!(configs.aliases().count(), 0);
    // EventStreamConfig answers for a regex, too.
    assert_eq!(configs.settings("/^a/").unwrap()["stream"], "/^a/");
    let entries: Vec<_> = configs
        .entries()
        .map(|(key, stream)| (key, stream.topics, stream.partitions))
        .collect();
    let one = |topic: &str| vec![topic.to_owned()];
    assert_eq!(
        entries,
        [
            ("/^a/", one("all"), 2),
            ("//", one("rest"), 1),
            ("b", one("b"), 1)
        ]
    );
}

/// Anybody names streams: a name of a megabyte must not stay in the isolate, nor thousands that no stream has.
#[test]
fn names_that_no_stream_has_are_not_remembered() {
    let configs = StreamConfigs::parse(&json!({"a": {}, "/^job\\./": {}})).unwrap();
    let long = "x".repeat(1_000_000);
    for name in [&format!("job.{long}"), &long, "nope", "/^job\\./", "job. "] {
        assert!(configs.stream(name).is_none());
    }
    assert_eq!(configs.remembered.borrow().len(), 0);
    let longest = format!("job.{}", "x".repeat(245));
    for name in ["a", "job.x", &longest, "a"] {
        assert!(configs.stream(name).is_some(), "{name}");
    }
    assert_eq!(configs.remembered.borrow().len(), 3);
}

#[test]
fn a_topic_is_known_by_the_streams_that_have_it() {
    let configs = StreamConfigs::parse(&json!({
        "a": {},
        "b": {"topic_prefixes": ["eqiad.", "codfw."]},
        "/^job\\./": {},
        "/^run\\./": {"topic_prefixes": ["eqiad."]},
        "/^all\\./": {"topics": ["every"]},
        "/^none/": {"topic_prefixes": []},
    }))
    .unwrap();
    for (topic, known) in [
        ("a", true),
        ("b", false),
        ("codfw.b", true),
        ("eqiad.a", false),
        ("job.x", true),
        ("eqiad.job.x", false),
        ("eqiad.run.x", true),
        ("run.x", false),
        ("every", true),
        ("all.x", false),
        ("nonesuch", false),
        ("", false),
    ] {
        assert_eq!(configs.has_topic(topic), known, "{topic}");
    }
}
