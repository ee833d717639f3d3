//! Who may publish, what is refused at publishing, and when a change is in force.

use eventstar_tests::admin::{
    STREAM_CONFIGS, add_known_streams, add_streams, comes_into_force, etag, publish_schema,
};
use eventstar_tests::events::{PrivateStream, array};
use eventstar_tests::random::fresh_uuid;
use eventstar_tests::{Events, Instance, Request, golden};
use serde_json::{Value, json};

fn unique(prefix: &str) -> String {
    format!("{prefix}{}", &fresh_uuid().replace('-', "")[..12])
}

fn schema(title: &str, version: &str, properties: Value) -> Value {
    let mut all = json!({
        "$schema": {"type": "string"},
        "meta": {
            "type": "object",
            "required": ["stream"],
            "properties": {"stream": {"type": "string"}, "id": {"type": "string"}, "dt": {"type": "string"}}
        }
    });
    all.as_object_mut()
        .unwrap()
        .extend(properties.as_object().unwrap().clone());
    json!({
        "title": title,
        "$id": format!("/{title}/{version}"),
        "$schema": "https://json-schema.org/draft-07/schema#",
        "type": "object",
        "required": ["$schema", "meta"],
        "properties": all
    })
}

#[test]
fn admin_routes_are_closed_without_the_token() {
    let instance = Instance::from_env();
    let schemas = publish_schema("access/x", "1.0.0", "{}");
    for (name, request) in [
        ("publish_schemas", schemas),
        (
            "publish_streams",
            Request::put_json(STREAM_CONFIGS, "{}").header("if-match", "*"),
        ),
        ("read_streams", Request::get(STREAM_CONFIGS)),
        ("history", Request::get("/admin/v1/stream-configs/history")),
        ("drain", Request::new("POST", "/admin/v1/drain")),
        ("unknown", Request::get("/admin/v1/no/such/route")),
    ] {
        let answer = instance.send(&request).expect(401);
        assert!(
            answer
                .header("www-authenticate")
                .is_some_and(|value| value.starts_with("Bearer")),
            "{answer:?}"
        );
        golden::check(&format!("access/no_token_{name}"), &request, &answer, &[]);
        let answer = instance.send(&request.clone().bearer("wrong")).expect(403);
        golden::check(&format!("access/wrong_token_{name}"), &request, &answer, &[]);
        let short = &instance.admin_token[..instance.admin_token.len() - 1];
        let _ = instance.send(&request.clone().bearer(short)).expect(403);
        let _ = instance
            .send(&request.bearer(&instance.producer_token))
            .expect(403);
    }
}

#[test]
fn stream_configs_are_published_only_with_a_condition() {
    let instance = Instance::from_env();
    let current = instance.admin(Request::get(STREAM_CONFIGS)).expect(200);
    let request = Request::put_json(STREAM_CONFIGS, current.text());
    let answer = instance.admin(request.clone()).expect(428);
    golden::check("access/no_condition", &request, &answer, &[]);
    for (name, value) in [
        ("if-match", "\"999999\""),
        ("if-match", "\"0\""),
        ("if-none-match", "*"),
    ] {
        let answer = instance.admin(request.clone().header(name, value)).expect(412);
        let detail = answer.json()["detail"].as_str().unwrap_or_default().to_owned();
        assert!(detail.contains("If-Match"), "what to do: {detail}");
    }
    let _ = instance
        .admin(request.header("if-match", "seventeen"))
        .expect(400);
}

#[test]
fn a_published_stream_config_has_a_new_version_and_the_old_one_stays_in_the_history() {
    let instance = Instance::from_env();
    let name = unique("access.history_");
    let first = add_streams(
        &instance,
        &json!({&name: {"schema_title": "test/event", "description": "first"}}),
    );
    let second = add_streams(
        &instance,
        &json!({&name: {"schema_title": "test/event", "description": "second"}}),
    );
    assert!(second > first);
    for (version, description) in [(first, "first"), (second, "second")] {
        let answer = instance
            .admin(Request::get(&format!("{STREAM_CONFIGS}?version={version}")))
            .expect(200);
        assert_eq!(etag(&answer), format!("\"{version}\""));
        assert_eq!(answer.json()[&name]["description"], description);
    }
    let history = instance
        .admin(Request::get("/admin/v1/stream-configs/history"))
        .expect(200)
        .json();
    let text = history.to_string();
    let place = |version: u64| {
        text.find(&format!("\"version\":{version},"))
            .unwrap_or_else(|| panic!("{version} in {text}"))
    };
    assert!(place(second) < place(first), "newest first: {text}");
    let _ = instance
        .admin(Request::get(&format!("{STREAM_CONFIGS}?version=999999")))
        .expect(404);
}

#[test]
fn two_who_publish_from_the_same_version_cannot_both_win() {
    let instance = Instance::from_env();
    let statuses = loop {
        let current = instance.admin(Request::get(STREAM_CONFIGS)).expect(200);
        let publish = || {
            let request =
                Request::put_json(STREAM_CONFIGS, current.text()).header("if-match", &etag(&current));
            instance.admin(request).status
        };
        let mut statuses = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(publish)).collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .collect::<Vec<_>>()
        });
        statuses.sort_unstable();
        // Another test of this suite may have published in between: then all four come too late.
        if statuses != [412; 4] {
            break statuses;
        }
    };
    assert_eq!(statuses, [200, 412, 412, 412]);
}

#[test]
fn a_new_schema_and_stream_take_events_once_published() {
    let instance = Instance::from_env();
    let (title, stream) = (unique("access/fresh_"), unique("access.fresh_"));
    let json = schema(&title, "1.0.0", json!({"n": {"type": "integer"}})).to_string();
    let answer = instance.admin(publish_schema(&title, "1.0.0", &json)).expect(200);
    assert_eq!(
        answer.json(),
        json!({"published": 1, "unchanged": 0, "in_kv": true})
    );
    let alias = unique("access.fresh_alias_");
    let settings = json!({"schema_title": &title, "stream_aliases": [&alias]});
    add_known_streams(&instance, &json!({&stream: settings}));
    let id = fresh_uuid();
    let event = format!(r#"{{"$schema":"/{title}/1.0.0","meta":{{"stream":"{stream}","id":"{id}"}},"n":1}}"#);
    let _ = instance.post(event).expect(201);
    let config = instance.get(&format!("/v1/stream-configs/{stream}")).expect(200);
    assert!(config.json()[&stream].is_object(), "{config:?}");
    let spec = instance.get("/?spec").expect(200).json();
    for name in [&stream, &alias] {
        let mut events = Events::open(&instance.origin, &format!("/v2/stream/{name}?since=2020-01-01"));
        assert_eq!(events.next_event().meta_id(), id);
        assert!(spec["paths"][format!("/v2/stream/{name}")].is_object(), "{name}");
    }
    let served = instance
        .get(&format!("/repositories/examples/jsonschema/{title}/1.0.0.json"))
        .expect(200);
    assert_eq!(served.text(), json, "the JSON text as it was published");
    let _ = instance
        .get(&format!("/repositories/examples/jsonschema/{title}/latest"))
        .expect(200);
}

#[test]
fn an_unknown_schema_is_known_as_soon_as_it_is_published() {
    let instance = Instance::from_env();
    let (title, stream) = (unique("access/miss_"), unique("access.miss_"));
    add_known_streams(&instance, &json!({&stream: {"schema_title": &title}}));
    let event = format!(r#"{{"$schema":"/{title}/1.0.0","meta":{{"stream":"{stream}"}}}}"#);
    let _ = instance.post(event.clone()).expect(400);
    let json = schema(&title, "1.0.0", json!({})).to_string();
    let _ = instance.admin(publish_schema(&title, "1.0.0", &json)).expect(200);
    comes_into_force("the schema", || instance.post(event.clone()).status == 201);
}

#[test]
fn latest_moves_to_a_newer_version_and_never_back() {
    let instance = Instance::from_env();
    let title = unique("access/latest_");
    for version in ["1.2.0", "1.10.0", "1.9.0"] {
        let json = schema(&title, version, json!({})).to_string();
        let _ = instance.admin(publish_schema(&title, version, &json)).expect(200);
    }
    comes_into_force("the latest version", || {
        let answer = instance.get(&format!("/repositories/examples/jsonschema/{title}/latest.json"));
        answer.status == 200 && answer.json()["$id"] == format!("/{title}/1.10.0")
    });
}

#[test]
fn a_published_schema_version_never_changes() {
    let instance = Instance::from_env();
    let title = unique("access/immutable_");
    let json = schema(&title, "1.0.0", json!({})).to_string();
    let _ = instance.admin(publish_schema(&title, "1.0.0", &json)).expect(200);
    let again = instance.admin(publish_schema(&title, "1.0.0", &json)).expect(200);
    assert_eq!(
        again.json(),
        json!({"published": 0, "unchanged": 1, "in_kv": true})
    );

    let changed = schema(&title, "1.0.0", json!({"n": {"type": "integer"}})).to_string();
    let request = publish_schema(&title, "1.0.0", &changed);
    let answer = instance.admin(request.clone()).expect(409);
    assert!(
        answer.text().contains(&format!("/{title}/1.0.0")),
        "{}",
        answer.text()
    );
    golden::check("access/immutable", &request, &answer, &[(&title, "<title>")]);
    let served = instance
        .get(&format!("/repositories/examples/jsonschema/{title}/1.0.0.json"))
        .expect(200);
    assert_eq!(served.text(), json);
}

#[test]
fn a_batch_with_one_conflict_publishes_nothing() {
    let instance = Instance::from_env();
    let (title, other) = (unique("access/batch_"), unique("access/batch_"));
    let json = schema(&title, "1.0.0", json!({})).to_string();
    let _ = instance.admin(publish_schema(&title, "1.0.0", &json)).expect(200);
    let changed = schema(&title, "1.0.0", json!({"n": {"type": "integer"}})).to_string();
    let body = json!({"schemas": [
        {"title": other, "version": "1.0.0", "json": schema(&other, "1.0.0", json!({})).to_string()},
        {"title": title, "version": "1.0.0", "json": changed}
    ]});
    let request = Request::put_json("/admin/v1/repositories/examples/schemas", body.to_string());
    let _ = instance.admin(request).expect(409);
    let _ = instance
        .get(&format!("/repositories/examples/jsonschema/{other}/1.0.0"))
        .expect(404);
}

/// KV holds 25 MiB a value, a row of the registry less, and a body must be smaller than both.
#[test]
fn a_schema_too_large_to_be_stored_is_refused_and_nothing_of_its_batch_is_published() {
    let instance = Instance::from_env();
    for (megabytes, status, limit) in [(2, 400, "1900000"), (11, 413, "10485760"), (26, 413, "10485760")] {
        let (title, other) = (unique("access/large_"), unique("access/large_"));
        let large = json!({"description": "x".repeat(megabytes * 1024 * 1024)}).to_string();
        let body = json!({"schemas": [
            {"title": other, "version": "1.0.0", "json": "{}"},
            {"title": title, "version": "1.0.0", "json": large}
        ]});
        let request = Request::put_json("/admin/v1/repositories/examples/schemas", body.to_string());
        let answer = instance.admin(request).expect(status).json();
        let detail = answer["detail"].as_str().unwrap_or_default();
        assert!(detail.contains(limit), "{detail}");
        for title in [title, other] {
            let _ = instance
                .get(&format!("/repositories/examples/jsonschema/{title}/1.0.0"))
                .expect(404);
        }
    }
}

#[test]
fn a_publication_that_is_not_utf8_or_names_no_repository_is_refused() {
    let instance = Instance::from_env();
    let title = unique("access/refused_");
    let body =
        |json: &str| json!({"schemas": [{"title": title, "version": "1.0.0", "json": json}]}).to_string();
    let mut not_utf8 = body("{ }").into_bytes();
    let space = not_utf8
        .windows(3)
        .position(|bytes| bytes == b"{ }")
        .expect("the schema");
    not_utf8[space + 1] = 0xff;
    let schemas = "/admin/v1/repositories/examples/schemas";
    let refused = |request: Request, text: &str| {
        let answer = instance.admin(request).expect(400).json();
        let detail = answer["detail"].as_str().unwrap_or_default();
        assert!(detail.contains(text), "{detail}");
    };
    refused(Request::put_json(schemas, not_utf8), "expected {\"schemas\"");
    let config = Request::put_json(STREAM_CONFIGS, &b"{\"a\":{\"description\":\"\xff\"}}"[..]);
    refused(config.header("if-match", "*"), "not valid JSON");
    for repository in ["a%2Fb", "a.b", "%20", "", &"a".repeat(51)] {
        let path = format!("/admin/v1/repositories/{repository}/schemas");
        refused(Request::put_json(&path, body("{}")), "is no repository name");
    }
    let _ = instance
        .get(&format!("/repositories/examples/jsonschema/{title}/1.0.0"))
        .expect(404);
    let names = instance.get("/repositories").expect(200).text();
    assert!(
        names.starts_with("[\"examples\"") && !names.contains("a.b"),
        "{names}"
    );
}

#[test]
fn a_malformed_schema_is_refused_with_its_uri_and_pointer() {
    let instance = Instance::from_env();
    let good = schema("access/bad", "1.0.0", json!({}));
    let with = |pointer: &str, value: Value| {
        let mut schema = good.clone();
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        schema.pointer_mut(parent).unwrap()[name] = value;
        schema.to_string()
    };
    for (name, json, pointer) in [
        (
            "type",
            with("/properties/meta/type", json!("strng")),
            "/properties/meta/type",
        ),
        ("properties", with("/properties", json!([])), "/properties"),
        (
            "maximum",
            with("/properties/n", json!({"type": "integer", "maximum": "9"})),
            "/properties/n/maximum",
        ),
        (
            "pattern",
            with(
                "/properties/p",
                json!({"type": "string", "maxLength": 9, "pattern": "("}),
            ),
            "/properties/p/pattern",
        ),
        ("no_object", "[]".to_owned(), "/access/bad/1.0.0"),
        ("no_json", "{nope".to_owned(), "/access/bad/1.0.0"),
    ] {
        let request = publish_schema("access/bad", "1.0.0", &json);
        let answer = instance.admin(request.clone()).expect(400);
        let detail = answer.json()["detail"].as_str().unwrap_or_default().to_owned();
        assert!(
            detail.contains("/access/bad/1.0.0"),
            "{name} names the schema: {detail}"
        );
        assert!(detail.contains(pointer), "{name} names {pointer}: {detail}");
        golden::check(&format!("access/bad_schema_{name}"), &request, &answer, &[]);
    }
    let _ = instance
        .get("/repositories/examples/jsonschema/access/bad/1.0.0")
        .expect(404);
}

#[test]
fn a_schema_under_a_bad_name_is_refused() {
    let instance = Instance::from_env();
    let json = schema("access/name", "1.0.0", json!({})).to_string();
    for (name, request) in [
        ("version", publish_schema("access/name", "one", &json)),
        ("latest", publish_schema("access/name", "latest", &json)),
        ("title", publish_schema("../name", "1.0.0", &json)),
        (
            "body",
            Request::put_json("/admin/v1/repositories/examples/schemas", "{}"),
        ),
        (
            "no_json",
            Request::put_json("/admin/v1/repositories/examples/schemas", "{nope"),
        ),
    ] {
        let answer = instance.admin(request.clone()).expect(400);
        golden::check(&format!("access/bad_name_{name}"), &request, &answer, &[]);
    }
}

#[test]
fn a_malformed_stream_config_is_refused_with_its_pointer_and_changes_nothing() {
    let instance = Instance::from_env();
    for (name, config, pointer) in [
        ("root", json!([]), "the root"),
        ("settings", json!({"a": 1}), "/a"),
        (
            "schema_title",
            json!({"a": {"schema_title": 5}}),
            "/a/schema_title",
        ),
        ("accept", json!({"a": {"accept": "maybe"}}), "/a/accept"),
        ("sinks", json!({"a": {"sinks": ["log", "redis"]}}), "/a/sinks"),
        (
            "no_kafka",
            json!({"a": {"sinks": ["kafka"]}}),
            "stream a has the sink kafka",
        ),
        ("partitions", json!({"a": {"partitions": 0}}), "/a/partitions"),
        (
            "key",
            json!({"a": {"message_key_fields": {"k": 1}}}),
            "/a/message_key_fields/k",
        ),
        (
            "auth",
            json!({"a": {"producers": {"auth": "password"}}}),
            "/a/producers/auth",
        ),
        ("regex", json!({"/(/": {}}), "/~1(~1"),
        ("name", json!({"no such name": {}}), "/no such name"),
        (
            "nested",
            json!({"defaults": {}, "streams": {"a": {"topics": "a"}}}),
            "/streams/a/topics",
        ),
    ] {
        let request = Request::put_json(STREAM_CONFIGS, config.to_string());
        let answer = instance
            .admin(request.clone().header("if-match", "*"))
            .expect(400);
        let detail = answer.json()["detail"].as_str().unwrap_or_default().to_owned();
        assert!(detail.contains(pointer), "{name} names {pointer}: {detail}");
        golden::check(&format!("access/bad_streams_{name}"), &request, &answer, &[]);
    }
    let request = Request::put_json(STREAM_CONFIGS, "{nope").header("if-match", "*");
    let _ = instance.admin(request).expect(400);
    let config = instance.admin(Request::get(STREAM_CONFIGS)).expect(200).json();
    assert!(
        config["test.event"].is_object() && config["a"].is_null(),
        "{config}"
    );
}

#[test]
fn a_stream_may_name_the_tokens_that_are_good_for_it() {
    let instance = Instance::from_env();
    let stream = unique("access.named_");
    let settings =
        json!({"schema_title": "test/event", "producers": {"auth": "token", "tokens": ["somebody-else"]}});
    add_known_streams(&instance, &json!({&stream: settings}));
    let event = format!(
        r#"{{"$schema":"/test/event/1.0.0","meta":{{"stream":"{stream}"}},"dt":"2026-01-01T00:00:00Z","test":"x"}}"#
    );
    let request = Request::post_json("/v1/events", event);
    let _ = instance.send(&request).expect(401);
    let _ = instance
        .send(&request.clone().bearer(&instance.producer_token))
        .expect(403);
}

#[test]
fn a_stream_that_is_taken_out_takes_no_more_events() {
    let instance = Instance::from_env();
    let stream = unique("access.gone_");
    add_known_streams(&instance, &json!({&stream: {"schema_title": "test/event"}}));
    let event = format!(
        r#"{{"$schema":"/test/event/1.0.0","meta":{{"stream":"{stream}"}},"dt":"2026-01-01T00:00:00Z","test":"x"}}"#
    );
    let _ = instance.post(event.clone()).expect(201);
    loop {
        let current = instance.admin(Request::get(STREAM_CONFIGS)).expect(200);
        let mut config = current.json();
        config.as_object_mut().unwrap().remove(&stream);
        let request =
            Request::put_json(STREAM_CONFIGS, config.to_string()).header("if-match", &etag(&current));
        if instance.admin(request).status == 200 {
            break;
        }
    }
    comes_into_force("its removal", || instance.post(event.clone()).status == 400);
}

#[test]
fn an_error_stream_is_readable_only_where_it_is_allowed_by_name() {
    let instance = Instance::from_env();
    let hidden = unique("access.error_");
    add_known_streams(&instance, &json!({&hidden: {"schema_title": "error"}}));
    let request = Request::get(&format!("/v2/stream/test.event,{hidden}"));
    let answer = instance.send(&request).expect(400);
    assert_eq!(answer.json()["detail"], format!("Invalid streams: {hidden}"));
    let _ = Events::open(&instance.origin, "/v2/stream/intake.error.validation");
}

#[test]
fn one_post_may_hold_a_hundred_events_of_fifty_streams() {
    let instance = Instance::from_env();
    let streams: Vec<PrivateStream> = (0..50).map(|n| PrivateStream::new(&format!("fan{n}"))).collect();
    let ids: Vec<String> = (0..100).map(|_| fresh_uuid()).collect();
    let events: Vec<String> = ids
        .iter()
        .enumerate()
        .map(|(nth, id)| streams[nth % 50].event(id))
        .collect();
    let _ = instance.post(array(&events)).expect(201);
    for (nth, stream) in streams.iter().enumerate() {
        let seen = Events::open(&instance.origin, &stream.from_the_beginning()).take(2);
        assert_eq!(
            [seen[0].meta_id(), seen[1].meta_id()],
            [ids[nth].clone(), ids[nth + 50].clone()]
        );
    }
}
