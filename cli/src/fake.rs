//! A stand-in for a deployment, for tests: the stream config, the schemas of one repository, and events, in memory.

pub(crate) mod events;

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write};
use std::net::{TcpListener, TcpStream};
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::thread;

use clap::Parser as _;
use serde_json::{Value, json};

use crate::Arguments;
use crate::dead_letters::fake::{self, Letters};
use crate::target::Target;

/// What is published, and what was asked.
#[derive(Default)]
pub(crate) struct State {
    pub(crate) configs: Vec<String>,
    pub(crate) schemas: BTreeMap<String, String>,
    pub(crate) letters: Letters,
    pub(crate) requests: Vec<String>,
    pub(crate) events: events::Events,
    /// How many more requests are answered; all when `None`.
    pub(crate) answers_left: Option<usize>,
    /// Whether schemas are published without edge KV having them.
    pub(crate) is_kv_behind: bool,
}

/// Starts one; it ends with the test.
pub(crate) fn start() -> (Target, Arc<Mutex<State>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = Target::at(&format!("http://{}", listener.local_addr().unwrap()), "root");
    let state = Arc::new(Mutex::new(State::default()));
    let shared = Arc::clone(&state);
    thread::spawn(move || {
        for stream in listener.incoming() {
            serve(stream.unwrap(), &mut shared.lock().unwrap());
        }
    });
    (target, state)
}

/// Runs a command; gives whether it ended well, and what it told besides its output.
pub(crate) fn run<'w>(words: impl IntoIterator<Item = &'w str>, out: &mut dyn Write) -> (bool, String) {
    let mut log = Vec::new();
    let done = Arguments::try_parse_from(words).unwrap().run_on(out, &mut log);
    let mut log = String::from_utf8(log).unwrap();
    let is_good = match done {
        Ok(code) => code == ExitCode::SUCCESS,
        Err(error) => {
            log.push_str(&format!("error: {error:#}\n"));
            false
        }
    };
    (is_good, log)
}

fn serve(stream: TcpStream, state: &mut State) {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    let request = line.rsplit_once(' ').unwrap().0.to_owned();
    let mut headers = BTreeMap::new();
    loop {
        line.clear();
        reader.read_line(&mut line).unwrap();
        let Some((name, value)) = line.trim().split_once(": ") else {
            break;
        };
        headers.insert(name.to_lowercase(), value.to_owned());
    }
    let length = headers
        .get("content-length")
        .map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    if let Some(left) = &mut state.answers_left {
        if *left == 0 {
            return;
        }
        *left -= 1;
    }
    state.requests.push(request.clone());
    let body = String::from_utf8(body).unwrap();
    // Dead letters are posted one at a time.
    if request.contains("/dead-letters") || request.contains(" /v1/events") && !body.starts_with('[') {
        let answer = fake::answer(&mut state.letters, &request, &body);
        reader.into_inner().write_all(answer.as_bytes()).unwrap();
        return;
    }
    if let Some(bytes) = state.events.answer(&request, &headers, &body) {
        reader.into_inner().write_all(bytes.as_bytes()).unwrap();
        return;
    }
    let (status, tag, body) = answer(state, &request, &headers, &body);
    let tag = tag.map_or(String::new(), |tag| format!("etag: \"{tag}\"\r\n"));
    let head = format!(
        "HTTP/1.1 {status} x\r\ncontent-length: {}\r\nconnection: close\r\n{tag}\r\n",
        body.len()
    );
    reader
        .into_inner()
        .write_all(format!("{head}{body}").as_bytes())
        .unwrap();
}

fn answer(
    state: &mut State,
    request: &str,
    headers: &BTreeMap<String, String>,
    body: &str,
) -> (u16, Option<usize>, String) {
    if headers.get("authorization").map(String::as_str) != Some("Bearer root") {
        return (403, None, String::new());
    }
    let (path, query) = request.split_once('?').unwrap_or((request, ""));
    let number = query
        .strip_prefix("version=")
        .map(|number| number.parse::<usize>().unwrap());
    let count = state.configs.len();
    let current = match headers.get("if-match") {
        Some(tag) => tag == &format!("\"{count}\""),
        None => headers.contains_key("if-none-match") && count == 0,
    };
    match path {
        "GET /admin/v1/stream-configs" => {
            let number = number.unwrap_or(count);
            match number.checked_sub(1).and_then(|at| state.configs.get(at)) {
                Some(config) => (200, Some(number), config.clone()),
                None => (404, None, String::new()),
            }
        }
        "GET /admin/v1/stream-configs/history" => {
            let versions = (1..=count)
                .rev()
                .map(|version| json!({"version": version, "published": 0}));
            (
                200,
                None,
                json!({"versions": versions.collect::<Vec<_>>()}).to_string(),
            )
        }
        _ if path.contains("/stream-configs") && !current => (412, Some(count), String::new()),
        "PUT /admin/v1/stream-configs" => {
            state.configs.push(body.to_owned());
            (200, None, json!({"version": count + 1}).to_string())
        }
        "POST /admin/v1/stream-configs/rollback" => {
            state.configs.push(state.configs[number.unwrap() - 1].clone());
            (200, None, json!({"version": count + 1}).to_string())
        }
        "PUT /admin/v1/repositories/one/schemas" => (200, None, schemas(state, query, body).to_string()),
        _ => (404, None, String::new()),
    }
}

fn schemas(state: &mut State, query: &str, body: &str) -> Value {
    let body: Value = serde_json::from_str(body).unwrap();
    let (mut new, mut unchanged, mut conflicting) = (vec![], 0, vec![]);
    for schema in body["schemas"].as_array().unwrap() {
        let uri = format!(
            "/{}/{}",
            schema["title"].as_str().unwrap(),
            schema["version"].as_str().unwrap()
        );
        let json = schema["json"].as_str().unwrap();
        match state.schemas.get(&uri) {
            None => {
                if query != "dry_run=true" {
                    state.schemas.insert(uri.clone(), json.to_owned());
                }
                new.push(uri);
            }
            Some(known) if known == json => unchanged += 1,
            Some(_) => conflicting.push(uri),
        }
    }
    match query {
        "dry_run=true" => json!({"new": new, "unchanged": unchanged, "conflicting": conflicting}),
        _ => json!({"published": new.len(), "unchanged": unchanged, "in_kv": !state.is_kv_behind}),
    }
}
