use std::io::{BufRead as _, BufReader, Read as _};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::thread;

use clap::Parser as _;

use super::*;

/// A server that has some texts, each with the tag `"1"`.
struct Server {
    base: String,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    texts: HashMap<String, Vec<u8>>,
    /// Where paths redirect to.
    redirects: HashMap<String, String>,
    /// What every answer says instead, if anything.
    status: Option<u16>,
    /// Path and `If-None-Match` of each request.
    requests: Vec<String>,
}

impl Server {
    fn start(texts: &[(&str, &[u8])]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = Self {
            base: format!("http://{}", listener.local_addr().unwrap()),
            state: Arc::default(),
        };
        for (path, text) in texts {
            server
                .state
                .lock()
                .unwrap()
                .texts
                .insert((*path).to_owned(), text.to_vec());
        }
        let state = Arc::clone(&server.state);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = BufReader::new(stream.unwrap());
                let mut head = Vec::new();
                let lines = stream.by_ref().lines().map(Result::unwrap);
                head.extend(lines.take_while(|line| !line.is_empty()));
                let answer = state.lock().unwrap().answer(&head);
                stream.get_mut().write_all(&answer).unwrap();
            }
        });
        server
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    fn fail_with(&self, status: u16) {
        self.state.lock().unwrap().status = Some(status);
    }

    fn requests(&self) -> Vec<String> {
        self.state.lock().unwrap().requests.clone()
    }
}

impl State {
    fn answer(&mut self, head: &[String]) -> Vec<u8> {
        let path = head[0].split(' ').nth(1).unwrap();
        let tag = head.iter().find_map(|line| line.strip_prefix("if-none-match: "));
        self.requests.push(
            format!("{path} {}", tag.unwrap_or_default())
                .trim_end()
                .to_owned(),
        );
        if let Some(location) = self.redirects.get(path) {
            let head = format!(
                "HTTP/1.1 302 x\r\nlocation: {location}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
            );
            return head.into_bytes();
        }
        let (status, body) = match (self.status, self.texts.get(path)) {
            (Some(status), _) => (status, &[][..]),
            (None, None) => (404, &[][..]),
            (None, Some(_)) if tag == Some("\"1\"") => (304, &[][..]),
            (None, Some(text)) => (200, text.as_slice()),
        };
        let head = format!(
            "HTTP/1.1 {status} x\r\ncontent-length: {}\r\netag: \"1\"\r\nconnection: close\r\n\r\n",
            body.len()
        );
        [head.as_bytes(), body].concat()
    }
}

/// A run of the command: what it reads, and what it warns of.
fn run(cache: &Path, offline: bool, url: &str) -> (Answer, String) {
    let remote = RemoteSchemas::new(&RemoteOptions {
        offline,
        cache: Some(cache.to_owned()),
        ..RemoteOptions::default()
    });
    let answer = remote.read(url);
    assert_eq!(remote.read(url), answer, "asked once a run");
    let mut log = Vec::new();
    remote.show_warnings(&mut log).unwrap();
    (answer, String::from_utf8(log).unwrap())
}

fn text(text: &str) -> (Answer, String) {
    (Ok(Some(text.to_owned())), String::new())
}

#[test]
fn a_version_is_fetched_once() {
    let cache = tempfile::tempdir().unwrap();
    let server = Server::start(&[("/a/1.0.0", b"type: object\n"), ("/a/1.0.0.json", b"{}")]);
    for (path, expected) in [("/a/1.0.0", "type: object\n"), ("/a/1.0.0.json", "{}")] {
        let url = server.url(path);
        assert_eq!(run(cache.path(), false, &url), text(expected));
        server.fail_with(500);
        assert_eq!(run(cache.path(), false, &url), text(expected));
        assert_eq!(run(cache.path(), true, &url), text(expected));
        server.state.lock().unwrap().status = None;
    }
    assert_eq!(server.requests(), ["/a/1.0.0", "/a/1.0.0.json"]);
    let (answer, _) = run(Path::new("none"), true, &server.url("/a/1.0.0"));
    assert!(answer.unwrap_err().contains("--offline"));
}

#[test]
fn latest_is_asked_for_again_and_stands_in_with_a_warning() {
    let cache = tempfile::tempdir().unwrap();
    let server = Server::start(&[("/a/latest", b"a: 1\n")]);
    let url = server.url("/a/latest");
    assert_eq!(run(cache.path(), false, &url), text("a: 1\n"));
    assert_eq!(run(cache.path(), false, &url), text("a: 1\n"));
    assert_eq!(server.requests(), ["/a/latest", "/a/latest \"1\""]);
    server.fail_with(503);
    for (offline, why) in [
        (false, "the server answers 503"),
        (true, "nothing is fetched (--offline)"),
    ] {
        let (answer, log) = run(cache.path(), offline, &url);
        assert_eq!(answer.unwrap().unwrap(), "a: 1\n");
        assert!(log.starts_with("warning: ") && log.contains(why), "{log}");
    }
    assert_eq!(server.requests().len(), 3);
    // Gone is an answer.
    server.fail_with(410);
    assert_eq!(run(cache.path(), false, &url), (Ok(None), String::new()));
}

#[test]
fn what_is_no_schema_is_told_and_not_kept() {
    let cache = tempfile::tempdir().unwrap();
    let large = vec![b' '; MAX_BYTES as usize + 1];
    let server = Server::start(&[
        ("/large/1.0.0", &large),
        ("/latin/1.0.0", b"title: \xff"),
        ("/page/1.0.0", b"<!DOCTYPE html>\n<title>Log in</title>"),
        ("/link/1.0.0", b"1.0.0.yaml"),
        ("/twice/1.0.0", b"a: 1\na: 2\n"),
    ]);
    for (path, expected) in [
        ("/large/1.0.0", "larger than 4194304 bytes"),
        ("/latin/1.0.0", "not UTF-8"),
        ("/page/1.0.0", "the root must be an object"),
        ("/link/1.0.0", "the root must be an object"),
        ("/twice/1.0.0", "/a: the member appears twice"),
    ] {
        let why = run(cache.path(), false, &server.url(path)).0.unwrap_err();
        assert!(why.contains(expected), "{path}: {why}");
    }
    server.fail_with(403);
    let why = run(cache.path(), false, &server.url("/a/1.0.0")).0.unwrap_err();
    assert_eq!(why, "the server answers 403 Forbidden");
    let gone = run(cache.path(), false, "http://127.0.0.1:1/a/1.0.0")
        .0
        .unwrap_err();
    assert!(gone.contains("refused"), "{gone}");
    assert_eq!(fs::read_dir(cache.path()).unwrap().count(), 0);
}

#[test]
fn a_cache_that_is_broken_or_cannot_be_written_is_done_without() {
    let cache = tempfile::tempdir().unwrap();
    let server = Server::start(&[("/a/1.0.0", b"a: 1\n")]);
    let url = server.url("/a/1.0.0");
    run(cache.path(), false, &url).0.unwrap();
    let file = fs::read_dir(cache.path())
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    fs::write(&file, "{\"url\": ").unwrap();
    assert_eq!(run(cache.path(), false, &url), text("a: 1\n"));
    assert_eq!(server.requests().len(), 2);
    // A folder cannot be made below a file.
    let (answer, log) = run(&file, false, &url);
    assert_eq!(answer.unwrap().unwrap(), "a: 1\n");
    assert!(log.contains("is not kept"), "{log}");
}

#[test]
fn the_commands_resolve_remote_references_or_write_nothing() {
    let (cache, dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let server = Server::start(&[("/jsonschema/f/1.0.0", b"properties:\n  name: {type: string}\n")]);
    let write = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
    fs::create_dir(dir.path().join("a")).unwrap();
    let config = format!(
        "contentTypes: [yaml]\nschemaBaseUris: [., '{}']\n",
        server.url("/jsonschema/")
    );
    write(".jsonschema-tools.yaml", &config);
    write(
        "a/current.yaml",
        "title: a\n$id: /a/1.0.0\ntype: object\nallOf: [{$ref: '/f/1.0.0#'}]\n",
    );
    let run = |command: &[&str], cache: &Path| {
        let words = ["eventstar", "schema"]
            .iter()
            .chain(command)
            .map(|word| (*word).to_owned());
        let place = ["--cache", cache.to_str().unwrap(), dir.path().to_str().unwrap()];
        let words = words.chain(place.map(str::to_owned));
        let (mut out, mut log) = (Vec::new(), Vec::new());
        let done = crate::Arguments::parse_from(words).run_on(&mut out, &mut log);
        let out = String::from_utf8(out).unwrap();
        (done.map_err(|error| format!("{error:#}")), out)
    };
    let none = Path::new("none");
    server.fail_with(500);
    let (done, _) = run(&["materialize-all"], cache.path());
    let refusal = done.unwrap_err();
    let expected = format!(
        "a/current.yaml: /allOf/0/$ref: $ref /f/1.0.0#: {} cannot be used: the server answers 500",
        server.url("/jsonschema/f/1.0.0")
    );
    assert!(refusal.contains(&expected), "{refusal}");
    let (_, report) = run(&["check"], cache.path());
    assert!(
        report.contains(&expected[expected.find("$ref /").unwrap()..]),
        "{report}"
    );
    assert_eq!(fs::read_dir(dir.path().join("a")).unwrap().count(), 1);

    server.state.lock().unwrap().status = None;
    run(&["materialize-all"], cache.path()).0.unwrap();
    let text = fs::read_to_string(dir.path().join("a/1.0.0.yaml")).unwrap();
    assert!(text.contains("name:\n    type: string\n"), "{text}");
    let (code, report) = run(&["check", "--offline"], cache.path());
    assert_eq!(code, Ok(std::process::ExitCode::SUCCESS), "{report}");
    assert!(run(&["materialize-all", "--offline"], none).0.is_err());
}

#[test]
fn a_redirect_is_followed_on_its_own_server_only() {
    let server = Server::start(&[("/a/1.0.0", b"a: 1\n")]);
    let other = Server::start(&[("/secret", b"token: x\n")]);
    let cache = tempfile::tempdir().unwrap();
    for (from, to) in [
        ("/here", "/a/1.0.0".to_owned()),
        ("/there", other.url("/secret")),
        ("/file", "file:///etc/passwd".to_owned()),
        ("/loop", "/loop".to_owned()),
    ] {
        server.state.lock().unwrap().redirects.insert(from.to_owned(), to);
    }
    assert_eq!(run(cache.path(), false, &server.url("/here")), text("a: 1\n"));
    for (path, expected) in [
        ("/there", "/secret, on another server: name the base URL there"),
        ("/file", "it redirects to file:///etc/passwd, on another server"),
        ("/loop", "it redirects more than 10 times"),
    ] {
        let why = run(cache.path(), false, &server.url(path)).0.unwrap_err();
        assert!(why.contains(expected), "{why}");
    }
    assert!(other.requests().is_empty());
}
