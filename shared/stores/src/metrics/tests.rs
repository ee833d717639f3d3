use eventstar_platform_memory::MemorySql;
use eventstar_ports::PortErrorKind;

use super::*;
use crate::object_api::{add_metrics_request, metrics_result, read_metrics_request, report_gauges_request};

fn run<T>(future: impl Future<Output = T>) -> T {
    pollster::block_on(future)
}

fn sample(name: &str, labels: &str, value: u64) -> Sample {
    Sample {
        name: name.to_owned(),
        labels: labels.to_owned(),
        value,
    }
}

async fn ask(sql: &MemorySql, request: http::Request<Bytes>, now: Millis) -> Result<Vec<Sample>, PortError> {
    let response = metrics_object(sql.clone(), request, now).await;
    let status = response.status();
    let Body::Full(body) = response.into_body() else {
        panic!("streams")
    };
    metrics_result(status, &body)
}

#[test]
fn gauges_are_added_up_over_isolates_and_replace_what_an_isolate_said_before() {
    run(async {
        let sql = MemorySql::default();
        let report = |holder: &str, values: &[(&str, u64)]| {
            let gauges = values.iter().map(|(labels, value)| sample("g", labels, *value));
            report_gauges_request(holder, gauges.collect())
        };
        let read = async |now| ask(&sql, read_metrics_request(), now).await.unwrap();
        assert_eq!(read(0).await, []);
        ask(&sql, report("1", &[("a", 2), ("b", 1)]), 0).await.unwrap();
        ask(&sql, report("2", &[("a", 5)]), 1000).await.unwrap();
        assert_eq!(read(1000).await, [sample("g", "a", 7), sample("g", "b", 1)]);
        ask(&sql, report("1", &[("a", 1)]), 2000).await.unwrap();
        assert_eq!(read(2000).await, [sample("g", "a", 6)]);
        ask(&sql, report("2", &[]), 3000).await.unwrap();
        assert_eq!(read(3000).await, [sample("g", "a", 1)]);
    });
}

#[test]
fn what_an_isolate_had_is_forgotten_a_minute_after_it_said_so() {
    run(async {
        let sql = MemorySql::default();
        let metrics = SqlMetrics::new(sql.clone());
        metrics.add(vec![sample("c", "", 3)]).await.unwrap();
        metrics.report("1", &[sample("g", "", 1)], 0).await.unwrap();
        metrics.report("2", &[sample("g", "", 1)], 30_000).await.unwrap();
        for (now, gauge) in [(59_999, Some(2)), (60_000, Some(1)), (90_000, None)] {
            let read = metrics.read(now).await.unwrap();
            let of = |name: &str| read.iter().find(|sample| sample.name == name).map(|s| s.value);
            assert_eq!((of("c"), of("g")), (Some(3), gauge), "{now}");
        }
        metrics.report("3", &[sample("g", "", 1)], 90_000).await.unwrap();
        let rows = Statement::new("SELECT COUNT(*) FROM gauge", vec![]);
        assert_eq!(sql.query(rows).await.unwrap()[0].integer(0), 1);
    });
}

#[test]
fn a_report_writes_one_row_however_many_gauges_it_has() {
    run(async {
        let sql = MemorySql::default();
        let metrics = SqlMetrics::new(sql.clone());
        let gauges: Vec<Sample> = (0..50).map(|n| sample("g", &n.to_string(), 1)).collect();
        metrics.report("1", &gauges, 0).await.unwrap();
        let before = sql.total_changes();
        metrics.report("1", &gauges, 15_000).await.unwrap();
        assert_eq!(sql.total_changes() - before, 1);
    });
}

#[test]
fn gauges_of_another_version_are_passed_over() {
    run(async {
        let sql = MemorySql::default();
        let metrics = SqlMetrics::new(sql.clone());
        metrics.report("1", &[sample("g", "", 1)], 0).await.unwrap();
        let other = Statement::new("INSERT INTO gauge VALUES ('2', 60000, '{\"v\":9}')", vec![]);
        sql.write(vec![other]).await.unwrap();
        assert_eq!(metrics.read(1).await.unwrap(), [sample("g", "", 1)]);
    });
}

/// What functions of this version and of the one before send.
#[test]
fn requests_to_the_object_have_the_form_that_was_agreed() {
    run(async {
        let add = add_metrics_request(&[sample("c", "l", 1)]);
        assert_eq!(add.uri().path(), "/metrics");
        assert_eq!(*add.body(), r#"[{"name":"c","labels":"l","value":1}]"#);
        let report = report_gauges_request("h", vec![sample("g", "l", 1)]);
        assert_eq!(report.uri().path(), "/gauges");
        assert_eq!(
            *report.body(),
            r#"{"holder":"h","gauges":[{"name":"g","labels":"l","value":1}]}"#
        );

        let sql = MemorySql::default();
        ask(&sql, add, 0).await.unwrap();
        // An object of the version before takes every body for counters: it must not take gauges for some.
        let mut to_the_one_before = report;
        *to_the_one_before.uri_mut() = "https://object/metrics".parse().unwrap();
        let refused = ask(&sql, to_the_one_before, 0).await.unwrap_err();
        assert_eq!(refused.kind, PortErrorKind::Rejected);
        let read = ask(&sql, read_metrics_request(), 0).await.unwrap();
        assert_eq!(read, [sample("c", "l", 1)]);
    });
}
