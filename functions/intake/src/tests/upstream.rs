//! Schemas that come from an upstream.

use std::time::Duration;

use super::*;

const AT: &str = "https://a.org/primary/up/1.0.0";

async fn world_with_upstream() -> (Rc<Isolate>, Memory) {
    let (isolate, memory) = world().await;
    let config = json!({"up.event": {"schema_title": "up"}, "test.event": {"schema_title": "test"}});
    configure(&memory, config).await;
    (
        isolate,
        memory.with("SCHEMA_UPSTREAM", "primary=https://a.org/primary"),
    )
}

fn answer(status: u16, body: impl Into<Bytes>) -> http::Response<Bytes> {
    http::Response::builder()
        .status(status)
        .body(body.into())
        .unwrap()
}

const YAML: &str = "title: up\n$id: /up/1.0.0\ntype: object\nproperties:\n  test: {type: string}\n";

fn of_upstream() -> Value {
    json!({"$schema": "/up/1.0.0", "meta": {"stream": "up.event"}, "test": "v"})
}

#[test]
fn an_event_of_a_schema_that_only_an_upstream_has_is_accepted_and_still_is_when_that_is_down() {
    run(async {
        let (isolate, memory) = world_with_upstream().await;
        memory.answer_at(AT, answer(200, YAML));
        assert_eq!(post(&isolate, &memory, of_upstream()).await, (201, Value::Null));
        let mut wrong = of_upstream();
        wrong["test"] = json!(5);
        let (status, body) = post(&isolate, &memory, wrong).await;
        assert_eq!(status, 400);
        assert_eq!(
            body["invalid"][0]["context"]["errorsText"],
            "'.test' should be string"
        );

        memory.fail("http", Fault::Before);
        memory.forget_upstreams();
        for _ in 0..2 {
            let fresh = Rc::new(Isolate::default());
            assert_eq!(post(&fresh, &memory, of_upstream()).await.0, 201);
            memory.forget_kv();
        }
    });
}

#[test]
fn while_an_upstream_fails_its_events_are_refused_for_now_and_others_are_not() {
    run(async {
        let fail: [&dyn Fn(&Memory); 7] = [
            &|memory| memory.fail("http", Fault::Before),
            &|memory| memory.fail("http", Fault::After),
            &|memory| memory.answer_after(Duration::from_secs(3600)),
            &|memory| memory.answer_at(AT, answer(500, "")),
            &|memory| memory.answer_at(AT, answer(200, "<html>Be right back</html>")),
            &|memory| memory.answer_at(AT, answer(200, YAML.replace("/up/", "/down/"))),
            &|memory| memory.answer_at(AT, answer(200, vec![0xff; 10])),
        ];
        for fail in fail {
            let (isolate, memory) = world_with_upstream().await;
            memory.answer_at(AT, answer(200, YAML));
            fail(&memory);
            let (status, body) = post(&isolate, &memory, of_upstream()).await;
            assert_eq!(status, 503, "{body}");
            assert!(!body.to_string().contains("upstream primary"), "{body}");
            let (status, body) = post(&isolate, &memory, json!([event("test.event"), of_upstream()])).await;
            assert_eq!(
                (status, body["error"].as_array().unwrap().len()),
                (207, 1),
                "{body}"
            );
            assert!(
                memory
                    .lines()
                    .iter()
                    .any(|line| line.contains("upstream primary gives no /up/1.0.0")),
                "{:?}",
                memory.lines()
            );

            memory.heal();
            memory.answer_after(Duration::ZERO);
            memory.answer_at(AT, answer(200, YAML));
            memory.advance(5_000);
            assert_eq!(post(&isolate, &memory, of_upstream()).await.0, 201);
        }
    });
}

#[test]
fn a_schema_that_no_upstream_has_is_unknown_for_five_seconds() {
    run(async {
        let (isolate, memory) = world_with_upstream().await;
        let (status, body) = post(&isolate, &memory, of_upstream()).await;
        assert!(
            status == 400
                && message(&body).contains("Failed loading schema at /up/1.0.0: no repository has it"),
            "{body}"
        );
        // Looked for once more: nothing says yet that nothing was published meanwhile.
        assert_eq!(post(&isolate, &memory, of_upstream()).await.0, 400);
        memory.answer_at(AT, answer(200, YAML));
        memory.advance(3_999);
        assert_eq!(post(&isolate, &memory, of_upstream()).await.0, 400);
        memory.advance(1);
        assert_eq!(post(&isolate, &memory, of_upstream()).await.0, 201);
    });
}
