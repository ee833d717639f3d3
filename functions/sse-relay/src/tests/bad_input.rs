//! Positions and streams that nobody should ask for: bounded work, and a clear answer.

use super::*;

async fn refused(path: &str, id: Option<&str>) -> (u16, String) {
    let (isolate, memory) = world("*").await;
    append(&memory, "a", 0, 0..3).await;
    let headers: Vec<_> = id.iter().map(|id| ("last-event-id", *id)).collect();
    let (response, stream) = open(&isolate, &memory, path, &headers).await;
    assert!(stream.is_none(), "{path}");
    let status = response.status().as_u16();
    let Body::Full(body) = response.into_body() else {
        panic!("streams")
    };
    (status, String::from_utf8(body.to_vec()).unwrap())
}

#[test]
fn ids_that_are_too_long_or_not_of_their_form_are_400_with_a_short_answer() {
    run(async {
        let entry = r#"{"topic":"a","partition":0,"offset":1},"#;
        let megabyte = format!("[\"{}\"]", "x".repeat(1024 * 1024));
        let partitions = format!("[{}\"a\"]", entry.repeat(10_000));
        let deep = format!("{}1{}", "[".repeat(30_000), "]".repeat(30_000));
        for id in [
            megabyte.as_str(),
            &partitions,
            &deep,
            r#"[{"topic":"a","partition":-1,"offset":0}]"#,
            r#"[{"topic":"a","partition":0,"offset":1.5}]"#,
            r#"[{"topic":"a","partition":0,"offset":1e30}]"#,
            r#"[{"topic":"a","partition":0,"offset":99999999999999999999}]"#,
            r#"[{"topic":"a","partition":0,"timestamp":-5}]"#,
            r#"[{"topic":"a","partition":4294967296,"offset":0}]"#,
            r#"[{"topic":7,"partition":0,"offset":0}]"#,
        ] {
            let (status, body) = refused("/v2/stream/a", Some(id)).await;
            let shown: String = id.chars().take(80).collect();
            assert_eq!(status, 400, "{shown}: {body}");
            assert!(body.contains("InvalidAssignmentError"), "{shown}: {body}");
            assert!(body.len() < 2000, "{shown}: {} bytes", body.len());
        }
    });
}

#[test]
fn an_id_that_names_a_partition_often_reads_it_once() {
    run(async {
        let (isolate, memory) = world("*").await;
        append(&memory, "a", 0, 0..3).await;
        let id = format!(
            "[{}\"a\"]",
            r#"{"topic":"a","partition":0,"offset":1},"#.repeat(1000)
        );
        let (_, stream) = open(&isolate, &memory, "/v2/stream/a", &[("last-event-id", &id)]).await;
        let events = read(&mut stream.unwrap(), 2).await;
        assert_eq!(numbers(&events), [1, 2]);
        assert!(events[0].0.len() < 100, "{}", events[0].0);
    });
}

#[test]
fn offsets_and_times_beyond_everything_mean_the_end() {
    run(async {
        let (isolate, memory) = world("*").await;
        append(&memory, "a", 0, 0..3).await;
        let at = |offset: i64| Some(json!([{"topic": "a", "partition": 0, "offset": offset}]).to_string());
        for (nth, (path, id)) in [
            ("/v2/stream/a", at(i64::MAX)),
            ("/v2/stream/a", at(99_999_999_999)),
            ("/v2/stream/a", at(-1)),
            ("/v2/stream/a?since=9999-12-31T23:59:59Z", None),
            ("/v2/stream/a?since=18446744073709551615", None),
            (
                "/v2/stream/a",
                Some(r#"[{"topic":"a","partition":0,"timestamp":18446744073709551615}]"#.to_owned()),
            ),
        ]
        .into_iter()
        .enumerate()
        {
            let headers: Vec<_> = id.iter().map(|id| ("last-event-id", id.as_str())).collect();
            let (_, stream) = open(&isolate, &memory, path, &headers).await;
            let mut stream = stream.unwrap();
            assert_eq!(stream.next().await.unwrap(), ":ok\n\n");
            let next = 100 + nth as u64;
            append(&memory, "a", 0, next..next + 1).await;
            assert_eq!(numbers(&read(&mut stream, 1).await), [next], "{path} {id:?}");
        }
    });
}

#[test]
fn the_beginning_is_offset_0_or_what_kafka_calls_minus_2() {
    run(async {
        let (isolate, memory) = world("*").await;
        append(&memory, "a", 0, 0..3).await;
        for offset in [0, -2] {
            let id = json!([{"topic": "a", "partition": 0, "offset": offset}]).to_string();
            let (_, stream) = open(&isolate, &memory, "/v2/stream/a", &[("last-event-id", &id)]).await;
            assert_eq!(numbers(&read(&mut stream.unwrap(), 3).await), [0, 1, 2]);
        }
    });
}

#[test]
fn thousands_of_streams_are_refused_with_a_short_list() {
    run(async {
        let many: Vec<String> = (0..5000).map(|n| format!("no.such.{n}")).collect();
        let (status, body) = refused(&format!("/v2/stream/{}", many.join(",")), None).await;
        assert_eq!(status, 400);
        let body: Value = serde_json::from_str(&body).unwrap();
        let detail = body["detail"].as_str().unwrap();
        assert!(
            detail.starts_with("Invalid streams: no.such.0,no.such.1,"),
            "{detail}"
        );
        assert!(detail.ends_with(",no.such.19"), "{detail}");
        let same = vec!["a"; 5000].join(",");
        let (isolate, memory) = world("*").await;
        let (response, stream) = open(&isolate, &memory, &format!("/v2/stream/{same}"), &[]).await;
        assert_eq!((response.status().as_u16(), stream.is_some()), (200, true));
    });
}
