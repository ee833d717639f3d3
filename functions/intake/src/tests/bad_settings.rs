//! Bad settings: told to the operator once, and passed over.

use super::bad_values::loose_world;
use super::*;

#[test]
fn a_bad_setting_is_told_once_with_what_it_must_be() {
    run(async {
        for (name, value, part) in [
            (
                "MAX_EVENT_BYTES",
                "abc",
                "'abc' but must be a whole number from 1 to 1048576: 1048576 is used",
            ),
            ("MAX_EVENT_BYTES", "0", ": 1048576 is used"),
            ("MAX_EVENT_BYTES", "-1", ": 1048576 is used"),
            ("MAX_EVENT_BYTES", "1 MB", ": 1048576 is used"),
            ("MAX_EVENT_BYTES", "4194304", ": 1048576 is used"),
            (
                "TRUSTED_PROXIES",
                "10.0.0.1 nonsense",
                "'nonsense' but must be a list of addresses and networks",
            ),
            ("TRUSTED_PROXIES", "10.0.0.0/33", "'10.0.0.0/33' but"),
            (
                "CLIENT_ADDRESS_HEADER",
                "X-Client-IP, Forwarded",
                "must be the name of one header, such as X-Client-IP or Forwarded: no header is believed",
            ),
            (
                "TEST_EVENTS",
                "not json",
                "TEST_EVENTS must be a JSON array of events",
            ),
            ("TEST_EVENTS", "[]", "TEST_EVENTS must be a JSON array of events"),
            ("RETRY_WINDOW_MS", "-1", ": 300000 is used"),
            ("STREAM_CONFIG_TTL_MS", "soon", ": 30000 is used"),
            (
                "ERROR_EVENTS_PER_MINUTE",
                "many",
                "'many' but must be a whole number from 0 to 4294967295: 600 is used",
            ),
            (
                "ERROR_STREAM",
                "a b",
                "must be the name of a stream: error events are lost",
            ),
            (
                "PATH_PREFIXES",
                "/ok evt-103e",
                "'evt-103e' but must be a list of paths",
            ),
            ("PATH_PREFIXES", "/", "'/' but must be"),
            (
                "CORS_ORIGINS",
                "https://a.org/",
                "'https://a.org/' but must be a list of origins",
            ),
            ("CORS_ORIGINS", "a.org", "'a.org' but must be"),
            ("CORS_ORIGINS", "https://A.org", "'https://A.org' but must be"),
            ("CORS_ORIGINS", "*", "'*' but must be"),
            ("TOPIC_PREFIX", "a/b", "the beginning of topic names"),
            ("ALLOW_INSECURE_SCHEMAS", "1", "must be true or false"),
        ] {
            let (isolate, memory) = loose_world().await;
            let memory = memory.with(name, value);
            // Told once, whatever comes, and the rest goes on.
            for _ in 0..2 {
                let (status, _) = post(&isolate, &memory, event("test.event")).await;
                assert_eq!(
                    status,
                    if name == "TOPIC_PREFIX" { 400 } else { 201 },
                    "{name}={value}"
                );
            }
            let lines: Vec<String> = memory.lines();
            let records: Vec<Value> = lines
                .iter()
                .map(|line| serde_json::from_str(line).unwrap())
                .collect();
            let told: Vec<&Value> = records
                .iter()
                .filter(|record| record["level"] == "error")
                .collect();
            assert_eq!(told.len(), 1, "{name}={value}: {lines:?}");
            let message = told[0]["message"].as_str().unwrap();
            assert!(message.contains(name) && message.contains(part), "{message}");
            assert!(message.ends_with(" until it is corrected"), "{message}");
        }
        let fine = [
            ("MAX_EVENT_BYTES", "1000"),
            ("TRUSTED_PROXIES", "10.0.0.1,10.0.0.0/8 2001:db8::/32"),
            ("CLIENT_ADDRESS_HEADER", "X-Client-IP"),
            ("TEST_EVENTS", "[{\"a\":1}]"),
            ("RETRY_WINDOW_MS", "0"),
            ("ERROR_EVENTS_PER_MINUTE", "0"),
            ("ERROR_STREAM", "intake.error"),
            ("PATH_PREFIXES", "/evt-103e, /ins-502b/"),
            (
                "CORS_ORIGINS",
                "https://a.org,https://*.a.org http://localhost:8080",
            ),
            ("TOPIC_PREFIX", "eqiad."),
            ("EVENT_SERVICE", "any text"),
        ];
        let (isolate, memory) = loose_world().await;
        let memory = fine
            .into_iter()
            .fold(memory, |memory, (name, value)| memory.with(name, value));
        assert_eq!(
            post(&isolate, &memory, event("job.x")).await.0,
            400,
            "of no service"
        );
        assert!(
            memory.lines().iter().all(|line| !line.contains("must be")),
            "{:?}",
            memory.lines()
        );
    });
}

/// What a bad setting means for those who call.
#[test]
fn what_bad_settings_leave_as_it_was() {
    run(async {
        let (isolate, memory) = loose_world().await;
        let memory = [
            ("TEST_EVENTS", "not json"),
            ("PATH_PREFIXES", "evt-103e / //"),
            ("CORS_ORIGINS", "https://a.org/ *"),
        ]
        .into_iter()
        .fold(memory, |memory, (name, value)| memory.with(name, value));
        for (method, path, status) in [
            ("GET", "/v1/_test/events", 400),
            ("POST", "/v1/events", 201),
            ("POST", "/evt-103e/v1/events", 404),
            ("POST", "//v1/events", 404),
        ] {
            let mut request = request(event("test.event"));
            *request.method_mut() = method.parse().unwrap();
            *request.uri_mut() = path.parse().unwrap();
            let headers = request.headers_mut();
            headers.insert("origin", HeaderValue::from_static("https://a.org"));
            let response = handle(&isolate, memory.clone(), request).await;
            assert_eq!(response.status().as_u16(), status, "{method} {path}");
            assert_eq!(response.headers()["access-control-allow-origin"], "*", "{path}");
        }
    });
}
