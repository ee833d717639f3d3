use http::header::CONTENT_TYPE;

use super::*;

const PARTITION: Partition<'_> = Partition {
    topic: "test.event",
    partition: 2,
};

fn proxy(dialect: Dialect) -> Proxy {
    Proxy::new("http://bridge:8080/kafka", dialect, None).unwrap()
}

fn consumer() -> Consumer {
    Consumer {
        group: "g".into(),
        instance: "i-1".into(),
    }
}

fn answer(status: u16, content_type: &str, body: &str) -> Response<Bytes> {
    let answer = Response::builder()
        .status(status)
        .header(CONTENT_TYPE, content_type);
    answer.body(Bytes::from(body.to_owned())).unwrap()
}

fn json_answer(status: u16, body: &str) -> Response<Bytes> {
    answer(status, PLAIN, body)
}

/// Method, URI, content type and body; without the base, which is the same in all.
fn text(request: &Request<Bytes>) -> String {
    let header = |name| {
        request
            .headers()
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    };
    let uri = request.uri().to_string();
    format!(
        "{} {} [{}] {}",
        request.method(),
        uri.strip_prefix("http://bridge:8080/kafka").unwrap(),
        header(CONTENT_TYPE),
        std::str::from_utf8(request.body()).unwrap()
    )
}

#[test]
fn instances_are_created_as_each_dialect_has_it() {
    for (dialect, body) in [
        (
            Dialect::Strimzi,
            r#"{"name":"i-1","format":"binary","auto.offset.reset":"earliest","enable.auto.commit":false,"fetch.min.bytes":1,"isolation.level":"read_committed"}"#,
        ),
        (
            Dialect::ConfluentV2,
            r#"{"name":"i-1","format":"binary","auto.offset.reset":"earliest","auto.commit.enable":"false","fetch.min.bytes":1,"consumer.request.timeout.ms":5000}"#,
        ),
    ] {
        let request = proxy(dialect).create_consumer("g", "i-1", Duration::from_secs(5));
        assert_eq!(
            text(&request),
            format!("POST /consumers/g [application/vnd.kafka.v2+json] {body}")
        );
    }
}

#[test]
fn an_instance_is_below_the_configured_url_whatever_host_the_proxy_names() {
    let body = r#"{"instance_id":"i/1","base_uri":"http://evil.example.org/consumers/g/instances/i"}"#;
    let proxy = proxy(Dialect::Strimzi);
    let consumer = proxy.consumer_created("g", &json_answer(200, body)).unwrap();
    assert_eq!(
        text(&proxy.delete_consumer(&consumer)),
        "DELETE /consumers/g/instances/i%2F1 [] "
    );
}

#[test]
fn instances_are_told_what_to_read() {
    const POST: &str = "POST /consumers/g/instances/i-1/";
    const TYPE: &str = "[application/vnd.kafka.v2+json]";
    const PARTITIONS: &str = r#"{"partitions":[{"topic":"test.event","partition":2}]}"#;
    let proxy = proxy(Dialect::Strimzi);
    let seek = |seek| text(&proxy.seek(&consumer(), PARTITION, seek));
    for (request, expected) in [
        (
            text(&proxy.assign(&consumer(), PARTITION)),
            format!("{POST}assignments {TYPE} {PARTITIONS}"),
        ),
        (
            seek(Seek::Beginning),
            format!("{POST}positions/beginning {TYPE} {PARTITIONS}"),
        ),
        (
            seek(Seek::End),
            format!("{POST}positions/end {TYPE} {PARTITIONS}"),
        ),
        (
            seek(Seek::Offset(9_007_199_254_740_993)),
            format!(
                r#"{POST}positions {TYPE} {{"offsets":[{{"topic":"test.event","partition":2,"offset":9007199254740993}}]}}"#
            ),
        ),
        (
            text(&proxy.poll(&consumer(), Duration::from_millis(1500), 4096)),
            "GET /consumers/g/instances/i-1/records?timeout=1500&max_bytes=4096 [] ".into(),
        ),
        (
            text(&proxy.offsets(PARTITION)),
            "GET /topics/test.event/partitions/2/offsets [] ".into(),
        ),
    ] {
        assert_eq!(request, expected);
    }
    let request = proxy.poll(&consumer(), Duration::ZERO, 1);
    // The bridge compares the whole text.
    assert_eq!(request.headers()[ACCEPT], "application/vnd.kafka.binary.v2+json");
    assert_eq!(proxy.offsets(PARTITION).headers()[ACCEPT], PLAIN);
}

#[test]
fn confluents_proxy_finds_a_time_by_itself() {
    let seek = |dialect| proxy(dialect).seek_time(&consumer(), PARTITION, 1_593_561_600_000);
    assert_eq!(
        text(&seek(Dialect::ConfluentV2).unwrap()),
        r#"POST /consumers/g/instances/i-1/positions [application/vnd.kafka.v2+json] {"timestamps":[{"topic":"test.event","partition":2,"timestamp":"2020-07-01T00:00:00.000Z"}]}"#
    );
    assert!(seek(Dialect::Strimzi).is_none());
}

#[test]
fn records_are_read_with_what_the_dialect_tells_of_them() {
    let body = r#"[
        {"topic":"test.event","key":"aw==","value":"e30=","partition":2,"offset":7,"timestamp":1591897790000,
         "headers":[{"key":"id","value":"/wA="},{"key":"empty","value":null}]},
        {"topic":"test.event","key":null,"value":null,"partition":2,"offset":9,"timestamp":-1},
        {"topic":"test.event","key":null,"value":"","partition":2,"offset":10}
    ]"#;
    let records = polled(&answer(200, BINARY, body)).unwrap();
    let bytes = Bytes::from_static;
    let bare = |offset| Consumed {
        offset,
        key: None,
        value: None,
        timestamp: None,
        headers: vec![],
    };
    assert_eq!(
        records,
        [
            Consumed {
                key: Some(bytes(b"k")),
                value: Some(bytes(b"{}")),
                timestamp: Some(1_591_897_790_000),
                headers: vec![("id".into(), bytes(b"\xff\x00")), ("empty".into(), bytes(b""))],
                ..bare(7)
            },
            bare(9),
            Consumed {
                value: Some(bytes(b"")),
                ..bare(10)
            },
        ]
    );
    assert_eq!(polled(&answer(200, BINARY, "[]")), Ok(vec![]));
}

#[test]
fn offsets_are_read() {
    let offsets = offsets_read(&json_answer(200, r#"{"beginning_offset":10,"end_offset":50}"#));
    assert_eq!(
        offsets,
        Ok(Offsets {
            beginning: 10,
            end: 50
        })
    );
}

#[test]
fn refusals_say_whether_a_new_instance_helps() {
    const FORGOTTEN: &str =
        r#"{"error_code":404,"message":"The specified consumer instance was not found."}"#;
    const PAGE: &str = "<html>";
    let page = |status| answer(status, "text/html", PAGE);
    let refused = r#"{"error_code":400,"message":"Validation error on: Schema validation error"}"#;
    let conflict = r#"{"error_code":40902,"message":"Consumer with specified consumer ID already exists in the specified consumer group."}"#;
    let large = r#"{"error_code":422,"message":"Response exceeds the maximum number of bytes the consumer can receive"}"#;
    type Read = fn(&Response<Bytes>) -> Result<(), ConsumerError>;
    type Kind = fn(String) -> ConsumerError;
    let created: Read = |answer| proxy(Dialect::Strimzi).consumer_created("g", answer).map(drop);
    let polled: Read = |answer| polled(answer).map(drop);
    let offsets: Read = |answer| offsets_read(answer).map(drop);
    let cases: [(Read, Response<Bytes>, Kind, &str); 20] = [
        (created, json_answer(409, conflict), Conflict, "already exists"),
        (
            created,
            json_answer(400, refused),
            Refused,
            "check the URL, the dialect",
        ),
        (
            created,
            json_answer(422, r#"{"error_code":42204,"message":"no"}"#),
            Refused,
            "answers 422: no",
        ),
        (created, page(404), Refused, "check the URL of the proxy"),
        (created, page(401), Refused, "check KAFKA_REST_AUTHORIZATION"),
        (created, page(301), Refused, "leads to nowhere"),
        (created, page(200), Malformed, "no consumer instance"),
        (created, json_answer(503, ""), Unavailable, "answers 503"),
        (done, json_answer(404, FORGOTTEN), Forgotten, "was not found"),
        (
            done,
            json_answer(409, r#"{"error_code":40903,"message":"Illegal state: no"}"#),
            Conflict,
            "Illegal state",
        ),
        (polled, json_answer(404, FORGOTTEN), Forgotten, "was not found"),
        (polled, json_answer(422, large), TooLarge, "exceeds the maximum"),
        (
            polled,
            json_answer(406, r#"{"error_code":40601,"message":"no"}"#),
            Refused,
            "answers 406: no",
        ),
        (polled, json_answer(500, ""), Unavailable, "answers 500"),
        (polled, page(429), Unavailable, "answers 429"),
        (polled, answer(200, BINARY, "{}"), Malformed, "no list of records"),
        (
            polled,
            answer(200, BINARY, r#"[{"offset":1,"value":"?"}]"#),
            Malformed,
            "no list of records",
        ),
        (
            offsets,
            json_answer(404, r#"{"error_code":40402,"message":"Partition not found."}"#),
            Missing,
            "Partition not found",
        ),
        (offsets, json_answer(200, "{}"), Malformed, "no offsets"),
        (offsets, page(502), Unavailable, "answers 502"),
    ];
    for (read, answer, kind, reason) in cases {
        let error = read(&answer).unwrap_err();
        assert_eq!(error, kind(error.to_string()), "{answer:?}");
        assert!(error.to_string().contains(reason), "{error}");
    }
}
