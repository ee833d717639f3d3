use bytes::Bytes;
use eventstar_platform_memory::{Fault, Memory};
use eventstar_ports::Body;
use eventstar_ports::Clock as _;

use super::*;

fn run<T>(future: impl Future<Output = T>) -> T {
    pollster::block_on(future)
}

async fn scrape(memory: &Memory) -> String {
    let mut request = eventstar_http_api::Request::new(Bytes::new());
    request
        .headers_mut()
        .insert("authorization", "Bearer root".parse().unwrap());
    let Body::Full(body) = page(memory, &request).await.into_body() else {
        panic!("streams")
    };
    String::from_utf8(body.to_vec()).unwrap()
}

#[test]
fn what_isolates_count_is_added_up_in_prometheus_text() {
    run(async {
        let memory = Memory::new().with("ADMIN_TOKEN", "root");
        for _isolate in 0..2 {
            let counters = Rc::new(Counters::default());
            counters.add(
                "eventstar_intake_events_total",
                &[("stream", "a\"b"), ("outcome", "accepted")],
                3,
            );
            counters.observe("eventstar_intake_request_duration_seconds", &[], 7);
            counters.flush_soon(&memory);
            memory.run_background().await;
        }
        let text = scrape(&memory).await;
        let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(
            lines,
            [
                "eventstar_intake_events_total{stream=\"a\\\"b\",outcome=\"accepted\"} 6",
                "eventstar_intake_request_duration_seconds_bucket{le=\"0.01\"} 2",
                "eventstar_intake_request_duration_seconds_bucket{le=\"0.025\"} 2",
                "eventstar_intake_request_duration_seconds_bucket{le=\"0.05\"} 2",
                "eventstar_intake_request_duration_seconds_bucket{le=\"0.1\"} 2",
                "eventstar_intake_request_duration_seconds_bucket{le=\"0.25\"} 2",
                "eventstar_intake_request_duration_seconds_bucket{le=\"0.5\"} 2",
                "eventstar_intake_request_duration_seconds_bucket{le=\"1\"} 2",
                "eventstar_intake_request_duration_seconds_bucket{le=\"2.5\"} 2",
                "eventstar_intake_request_duration_seconds_bucket{le=\"10\"} 2",
                "eventstar_intake_request_duration_seconds_bucket{le=\"+Inf\"} 2",
                "eventstar_intake_request_duration_seconds_count 2",
                "eventstar_intake_request_duration_seconds_sum 0.014",
            ]
        );
        assert!(text.starts_with("# HELP eventstar_intake_events_total "));
    });
}

#[test]
fn what_the_store_refuses_is_kept_for_the_next_flush() {
    run(async {
        let memory = Memory::new().with("ADMIN_TOKEN", "root");
        let counters = Rc::new(Counters::default());
        counters.add("eventstar_intake_error_events_lost_total", &[], 1);
        counters.observe("eventstar_intake_request_duration_seconds", &[], 3);
        memory.fail("metrics", Fault::Before);
        counters.flush(&memory).await;
        memory.heal();
        counters.add("eventstar_intake_error_events_lost_total", &[], 2);
        counters.observe("eventstar_intake_request_duration_seconds", &[], 70_000);
        counters.flush_soon(&memory);
        // One flush is enough, however many requests there are.
        counters.flush_soon(&memory);
        memory.run_background().await;
        counters.flush(&memory).await;
        let text = scrape(&memory).await;
        for line in [
            "eventstar_intake_error_events_lost_total 3\n",
            "eventstar_intake_request_duration_seconds_bucket{le=\"10\"} 1\n",
            "eventstar_intake_request_duration_seconds_count 2\n",
            "eventstar_intake_request_duration_seconds_sum 70.003\n",
        ] {
            assert!(text.contains(line), "{line} is not in {text}");
        }
    });
}

#[test]
fn what_comes_at_once_is_handed_on_soon_and_what_comes_all_the_time_every_15_s() {
    run(async {
        let memory = Memory::new();
        let counters = Rc::new(Counters::default());
        let handed_on_after = async || {
            let counted = memory.now();
            counters.add("eventstar_intake_error_events_lost_total", &[], 1);
            assert!(counters.flush_soon(&memory));
            memory.run_background().await;
            memory.now() - counted
        };
        for expected in [2_000, 15_000, 15_000] {
            assert_eq!(handed_on_after().await, expected);
        }
        memory.advance(60_000);
        assert_eq!(handed_on_after().await, 2_000);
    });
}

#[test]
fn gauges_show_what_all_isolates_have_now() {
    run(async {
        const GAUGE: &str = "eventstar_relay_connected_clients";
        let memory = Memory::new().with("ADMIN_TOKEN", "root");
        let isolates: Vec<Rc<Counters>> = (0..3).map(|_| Rc::default()).collect();
        let shown = async || {
            let text = scrape(&memory).await;
            assert!(text.contains(&format!("# TYPE {GAUGE} gauge\n")));
            let lines = text.lines().filter(|line| line.starts_with(GAUGE));
            lines.map(str::to_owned).collect::<Vec<_>>()
        };
        for isolate in &isolates {
            isolate.up(GAUGE, &[("stream", "a")]);
            isolate.up(GAUGE, &[("stream", "a")]);
            isolate.up(GAUGE, &[("stream", "b")]);
            isolate.flush(&memory).await;
        }
        let a = |value| format!("{GAUGE}{{stream=\"a\"}} {value}");
        let b = |value| format!("{GAUGE}{{stream=\"b\"}} {value}");
        assert_eq!(shown().await, [a(6), b(3)]);

        isolates[0].down(GAUGE, &[("stream", "a")]);
        isolates[0].down(GAUGE, &[("stream", "b")]);
        isolates[0].flush(&memory).await;
        assert_eq!(shown().await, [a(5), b(2)]);

        // One is told anew, one has nothing left, and one was killed.
        memory.advance(59_000);
        isolates[0].flush(&memory).await;
        isolates[1].down(GAUGE, &[("stream", "a")]);
        isolates[1].down(GAUGE, &[("stream", "a")]);
        isolates[1].down(GAUGE, &[("stream", "b")]);
        isolates[1].flush(&memory).await;
        memory.advance(1_000);
        assert_eq!(shown().await, [a(1)]);
    });
}

#[test]
fn gauges_that_could_not_be_told_are_told_at_the_next_flush_and_nothing_is_told_of_nothing() {
    run(async {
        const GAUGE: &str = "eventstar_relay_connected_clients";
        for fault in [Fault::Before, Fault::After] {
            let memory = Memory::new().with("ADMIN_TOKEN", "root");
            let counters = Rc::new(Counters::default());
            counters.flush(&memory).await;
            assert_eq!(memory.calls(), 0);
            counters.up(GAUGE, &[]);
            memory.fail("metrics", fault);
            counters.flush(&memory).await;
            counters.down(GAUGE, &[]);
            counters.flush(&memory).await;
            memory.heal();
            assert!(counters.flush_soon(&memory), "{fault:?}");
            memory.run_background().await;
            assert!(!scrape(&memory).await.contains(&format!("\n{GAUGE} ")));
            assert!(!counters.flush_soon(&memory), "{fault:?}");
        }
    });
}

#[test]
fn a_scrape_needs_the_admin_token() {
    run(async {
        let memory = Memory::new()
            .with("ADMIN_TOKEN", "root")
            .with("PRODUCER_TOKENS", "a=b");
        for (token, status) in [
            ("", 401),
            ("Bearer b", 403),
            ("Bearer x", 403),
            ("Bearer root", 200),
        ] {
            let mut request = eventstar_http_api::Request::new(Bytes::new());
            if !token.is_empty() {
                request
                    .headers_mut()
                    .insert("authorization", token.parse().unwrap());
            }
            assert_eq!(page(&memory, &request).await.status(), status, "{token}");
        }
        memory.fail("metrics", Fault::Before);
        let mut request = eventstar_http_api::Request::new(Bytes::new());
        request
            .headers_mut()
            .insert("authorization", "Bearer root".parse().unwrap());
        let response = page(&memory, &request).await;
        assert_eq!(response.status(), 503);
        assert!(response.headers().contains_key("retry-after"));
    });
}
