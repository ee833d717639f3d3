//! How many connections a client may have.

use std::mem::forget;
use std::net::IpAddr;

use eventstar_ports::{ClientAddress, Row, Sql, Statement};

use super::*;

const A: &str = "192.0.2.1";
const B: &str = "192.0.2.2";

async fn limited(limit: &str) -> (Rc<Isolate>, Memory) {
    let (isolate, memory) = world("*").await;
    (isolate, memory.with("MAX_CONNECTIONS_PER_CLIENT", limit))
}

fn request(method: Method, address: Option<&str>) -> Request {
    let mut request = Request::default();
    *request.method_mut() = method;
    *request.uri_mut() = "/v2/stream/a".parse().unwrap();
    if let Some(address) = address {
        let address: IpAddr = address.parse().unwrap();
        request.extensions_mut().insert(ClientAddress(address));
    }
    request
}

/// Opens a connection of the client at `address` in an isolate of its own; the status where it is refused.
async fn connect(memory: &Memory, address: &str) -> Result<ByteStream, u16> {
    let isolate = Rc::default();
    let response = handle(&isolate, memory.clone(), request(Method::GET, Some(address))).await;
    let status = response.status().as_u16();
    match response.into_body() {
        Body::Stream(mut stream) => {
            assert_eq!(stream.next().await.unwrap(), ":ok\n\n");
            Ok(stream)
        }
        Body::Full(_) => Err(status),
    }
}

async fn slots(memory: &Memory) -> Vec<Row> {
    let slots = Statement::new("SELECT client FROM lease", vec![]);
    memory.sql().query(slots).await.unwrap()
}

#[test]
fn a_client_has_as_many_connections_as_it_may_in_all_isolates_together() {
    run(async {
        let (isolate, memory) = limited("2").await;
        let first = connect(&memory, A).await.unwrap();
        let second = connect(&memory, A).await.unwrap();
        let response = handle(&isolate, memory.clone(), request(Method::GET, Some(A))).await;
        assert_eq!(response.status(), 429);
        let seconds: u32 = response.headers()["retry-after"]
            .to_str()
            .unwrap()
            .parse()
            .unwrap();
        assert!((15..=30).contains(&seconds), "{seconds}");
        let Body::Full(body) = response.into_body() else {
            panic!("streams")
        };
        assert_eq!(
            body,
            r#"{"status":429,"type":"too_many_requests","title":"Too Many Concurrent Connections From Your Client IP","detail":"Your HTTP client is likely opening too many concurrent connections.","method":"GET","uri":"/v2/stream/a"}"#
        );
        for method in [Method::HEAD, Method::OPTIONS] {
            let response = handle(&isolate, memory.clone(), request(method, Some(A))).await;
            assert_eq!(response.status(), 200);
        }
        drop(connect(&memory, B).await.unwrap());

        drop(first);
        memory.run_background().await;
        drop(connect(&memory, A).await.unwrap());
        drop(second);
    });
}

#[test]
fn what_takes_no_connection_takes_no_slot() {
    run(async {
        let (isolate, memory) = limited("1").await;
        for method in [Method::HEAD, Method::OPTIONS] {
            handle(&isolate, memory.clone(), request(method, Some(A))).await;
        }
        let mut unknown = request(Method::GET, Some(A));
        *unknown.uri_mut() = "/v2/stream/nope".parse().unwrap();
        handle(&isolate, memory.clone(), unknown).await;
        drop(connect(&memory, A).await.unwrap());
    });
}

#[test]
fn a_killed_connection_frees_its_slot_after_a_minute_and_a_living_one_keeps_it() {
    run(async {
        let (_, memory) = limited("2").await;
        let start = memory.now();
        let mut living = connect(&memory, A).await.unwrap();
        // As when its isolate is killed: nothing of it runs any more.
        forget(connect(&memory, A).await.unwrap());
        assert_eq!(connect(&memory, A).await.err(), Some(429));
        while memory.now() < start + 120_000 {
            assert_eq!(living.next().await.unwrap(), ":\n\n");
            memory.run_background().await;
            if memory.now() < start + 45_000 {
                assert_eq!(connect(&memory, A).await.err(), Some(429));
            }
        }
        let _second = connect(&memory, A).await.unwrap();
        assert_eq!(connect(&memory, A).await.err(), Some(429));
    });
}

#[test]
fn connections_that_cannot_be_counted_are_let_in_and_told_once() {
    run(async {
        for fault in [Fault::Before, Fault::After] {
            let (isolate, memory) = limited("1").await;
            memory.fail("leases", fault);
            for _ in 0..3 {
                let response = handle(&isolate, memory.clone(), request(Method::GET, Some(A))).await;
                assert_eq!(response.status(), 200, "{fault:?}");
                drop(response);
                memory.run_background().await;
            }
            let told = memory.lines();
            let told = told.iter().filter(|line| line.contains("cannot be counted"));
            assert_eq!(told.count(), 1, "{fault:?}");
            memory.heal();
            // What was taken without an answer was given back, or is free after a minute.
            memory.advance(60_000);
            let _only = connect(&memory, A).await.unwrap();
            assert_eq!(connect(&memory, A).await.err(), Some(429));
        }
    });
}

#[test]
fn a_connection_that_was_not_counted_ends_when_others_have_all_slots() {
    run(async {
        let (_, memory) = limited("1").await;
        memory.fail("leases", Fault::Before);
        let mut uncounted = connect(&memory, A).await.unwrap();
        memory.heal();
        forget(connect(&memory, A).await.unwrap());
        let mut last = Bytes::new();
        while let Some(piece) = uncounted.next().await {
            memory.run_background().await;
            last = piece;
        }
        let last = std::str::from_utf8(&last).unwrap();
        assert!(last.starts_with("event: error\n"), "{last}");
        assert!(
            last.contains("\"name\":\"TooManyConnectionsError\",\"statusCode\":429"),
            "{last}"
        );
    });
}

#[test]
fn a_slot_that_is_renewed_while_its_connection_ends_is_free_all_the_same() {
    run(async {
        let (_, memory) = limited("1").await;
        let mut stream = connect(&memory, A).await.unwrap();
        for _ in 0..3 {
            assert_eq!(stream.next().await.unwrap(), ":\n\n");
        }
        // Its renewal has not run yet; what was spawned last runs first.
        drop(stream);
        memory.run_background().await;
        assert!(slots(&memory).await.is_empty());
    });
}

#[test]
fn a_client_without_an_address_is_refused_only_where_connections_are_limited() {
    run(async {
        let (isolate, memory) = limited("1").await;
        let response = handle(&isolate, memory.clone(), request(Method::GET, None)).await;
        assert_eq!(response.status(), 400);
        let Body::Full(body) = response.into_body() else {
            panic!("streams")
        };
        let body: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body["type"], "bad_request");
        assert_eq!(body["title"], "Missing Required X-Client-IP Header");
        assert_eq!(body["detail"], "X-Client-IP is a required request header");
        for limit in ["", "0"] {
            let (isolate, memory) = limited(limit).await;
            let response = handle(&isolate, memory, request(Method::GET, None)).await;
            assert_eq!(response.status(), 200);
        }
    });
}

#[test]
fn behind_a_trusted_proxy_its_clients_are_counted() {
    run(async {
        for (trusted, status) in [("192.0.2.0/24", 200), ("10.0.0.0/8", 429)] {
            let (isolate, memory) = limited("1").await;
            let memory = memory.with("TRUSTED_PROXIES", trusted);
            let behind = |client: &'static str| {
                let mut request = request(Method::GET, Some(A));
                let client = HeaderValue::from_static(client);
                request.headers_mut().insert("x-forwarded-for", client);
                request
            };
            let first = handle(&isolate, memory.clone(), behind("203.0.113.1")).await;
            assert_eq!(first.status(), 200);
            let second = handle(&isolate, memory.clone(), behind("203.0.113.2")).await;
            assert_eq!(second.status(), status, "{trusted}");
        }
    });
}

#[test]
fn addresses_are_neither_stored_nor_logged() {
    run(async {
        let (_, memory) = limited("1").await;
        let _stream = connect(&memory, A).await.unwrap();
        memory.fail("leases", Fault::Before);
        drop(connect(&memory, A).await.unwrap());
        let slots = slots(&memory).await;
        assert_eq!(slots.len(), 1);
        assert!(!slots[0].text(0).is_empty() && !slots[0].text(0).contains(A));
        let told = memory.lines().concat();
        assert!(told.contains("cannot be counted") && !told.contains(A), "{told}");
    });
}
