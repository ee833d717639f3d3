//! Folders beside what nginx 1.22 answers for the same files, recorded with the configuration of schema.wikimedia.org.

use std::rc::Rc;

use eventstar_event::time::Millis;
use eventstar_http_api::Request;
use eventstar_platform_memory::Memory;
use eventstar_ports::{Body, Registry, RegistryRequest, SchemaFile};
use http::HeaderMap;
use serde_json::Value;

use crate::{Isolate, handle};

const DAY: Millis = 86_400_000;

/// Repository, title, version, milliseconds after the first, and whether there is YAML.
const FILES: [(&str, &str, &str, Millis, bool); 7] = [
    ("one", "a/b", "1.0.0", 0, true),
    ("one", "a/b", "1.1.0", 0, false),
    ("one", "Upper/x", "10.0.0", 0, true),
    ("one", "a/b/c", "0.0.1", 9 * DAY + 11_045_000, true),
    ("one", "a/b-c", "1.0.0", 9 * DAY + 11_045_000, true),
    ("one", "a/b", "1.2.0", 40 * DAY, true),
    ("two", "z_9/b.c", "1.0.0", 40 * DAY, true),
];

async fn world() -> Memory {
    let memory = Memory::new();
    let mut past = 0;
    for (repository, title, version, at, has_yaml) in FILES {
        memory.advance(at - past);
        past = at;
        let schema = SchemaFile {
            title: title.into(),
            version: version.into(),
            json: format!(r#"{{"title":"{title}","description":"{version}"}}"#),
            yaml: has_yaml.then(|| format!("title: {title}\ndescription: {version}\n")),
        };
        let publish = RegistryRequest::PublishSchemas {
            repository: repository.into(),
            schemas: vec![schema],
        };
        memory.ask(publish).await.unwrap();
    }
    memory
}

async fn get(memory: &Memory, path: &str) -> (u16, HeaderMap, String) {
    let mut request = Request::default();
    *request.uri_mut() = path.parse().unwrap();
    let response = handle(&Rc::new(Isolate::default()), memory.clone(), request).await;
    let (parts, body) = response.into_parts();
    let Body::Full(body) = body else { panic!("streams") };
    let body = String::from_utf8(body.to_vec()).unwrap();
    (parts.status.as_u16(), parts.headers, body)
}

#[test]
fn folders_are_answered_byte_for_byte_as_nginx_does() {
    pollster::block_on(async {
        let memory = world().await;
        let recorded: Vec<Value> = serde_json::from_str(include_str!("nginx-1.22.json")).unwrap();
        assert_eq!(recorded.len(), 19);
        for expected in recorded {
            let path = expected["path"].as_str().unwrap();
            let (status, headers, body) = get(&memory, path).await;
            assert_eq!(expected["status"], status, "{path}");
            let header = |name: &str| headers.get(name).map(|value| value.to_str().unwrap());
            assert_eq!(expected["location"].as_str(), header("location"), "{path}");
            if status == 200 {
                assert_eq!(
                    expected["cache-control"].as_str(),
                    header("cache-control"),
                    "{path}"
                );
                assert_eq!(expected["body"].as_str(), Some(body.as_str()), "{path}");
            }
        }
        let (_, _, empty) = get(&Memory::new(), "/repositories/").await;
        assert_eq!(empty, "[\r\n]");
    });
}
