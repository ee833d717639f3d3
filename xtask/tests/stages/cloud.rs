//! A stand-in for Cloudflare's API: the routes that wrangler and `cargo xtask deploy` use, over workers, queues, KV namespaces and
//! routes in memory.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::mem;
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;

use serde_json::{Value, json};

pub(crate) const ACCOUNT: &str = "0123456789abcdef0123456789abcdef";
pub(crate) const ZONE: &str = "example.org";
const ZONE_ID: &str = "zone-1";

/// The API's code for a worker that does not exist.
const NO_WORKER: u64 = 10007;

/// A worker as it was uploaded last.
#[derive(Debug, Default, Clone, PartialEq)]
pub(crate) struct Script {
    /// Name of the binding, and the binding; secrets are apart.
    pub(crate) bindings: BTreeMap<String, Value>,
    pub(crate) secrets: BTreeMap<String, String>,
    pub(crate) limits: Value,
    pub(crate) is_on_workers_dev: bool,
    compatibility_date: Value,
    migration_tag: Value,
    /// The script and the modules beside it, as they came.
    code: Vec<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Queue {
    pub(crate) id: String,
    pub(crate) consumers: Vec<Value>,
}

/// All that an account has.
#[derive(Debug, Default, Clone, PartialEq)]
pub(crate) struct State {
    pub(crate) scripts: BTreeMap<String, Script>,
    pub(crate) queues: BTreeMap<String, Queue>,
    /// Id and title.
    pub(crate) namespaces: BTreeMap<String, String>,
    /// Pattern and script.
    pub(crate) routes: BTreeMap<String, String>,
}

impl State {
    /// Names of all there is.
    pub(crate) fn names(&self) -> Vec<String> {
        let routes = self
            .routes
            .iter()
            .map(|(pattern, script)| format!("{pattern} {script}"));
        let names = self
            .scripts
            .keys()
            .chain(self.queues.keys())
            .chain(self.namespaces.values());
        names.cloned().chain(routes).collect()
    }
}

#[derive(Debug, Default)]
pub(crate) struct Cloud {
    pub(crate) state: State,
    /// Method and path of each request that changes something.
    pub(crate) writes: Vec<String>,
    /// Requests that nothing here answers.
    pub(crate) unknown: Vec<String>,
    /// Part of the paths that the token has no right to.
    pub(crate) refused: Option<&'static str>,
    /// It may read there all the same.
    pub(crate) may_read: bool,
    /// The worker whose upload breaks off.
    pub(crate) breaks: Option<String>,
    next_id: usize,
}

/// The running stand-in; its thread ends with the test.
pub(crate) struct Running {
    pub(crate) base_url: String,
    cloud: Arc<Mutex<Cloud>>,
}

impl Running {
    pub(crate) fn start(state: State) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let base_url = format!("http://{}/client/v4", listener.local_addr().unwrap());
        let cloud = Arc::new(Mutex::new(Cloud {
            state,
            // Beyond the ids of that state.
            next_id: 1000,
            ..Cloud::default()
        }));
        let shared = Arc::clone(&cloud);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let cloud = Arc::clone(&shared);
                // Wrangler asks several things at once, and does not close what it may use again.
                thread::spawn(move || serve(stream.unwrap(), &cloud));
            }
        });
        Self { base_url, cloud }
    }

    pub(crate) fn cloud(&self) -> MutexGuard<'_, Cloud> {
        self.cloud.lock().unwrap()
    }
}

struct Request {
    method: String,
    /// Below the account, or from `/zones` on.
    path: String,
    query: String,
    body: Vec<u8>,
}

impl Request {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// Leaves the page of a list that was asked for.
    fn cut_to_page(&self, body: &mut Value) {
        let number = |name: &str| {
            let mut pairs = self.query.split('&').filter_map(|pair| pair.split_once('='));
            pairs.find(|(found, _)| *found == name)?.1.parse::<usize>().ok()
        };
        if let (Some(page), Some(size), Some(all)) =
            (number("page"), number("per_page"), body["result"].as_array())
        {
            let pages = all.len().div_ceil(size);
            let cut: Value = all.iter().skip((page - 1) * size).take(size).cloned().collect();
            body["result"] = cut;
            body["result_info"]["total_pages"] = json!(pages);
        }
    }

    /// The parts of an upload: name and content.
    fn parts(&self) -> Vec<(String, String)> {
        let text = String::from_utf8_lossy(&self.body);
        let boundary = text.lines().next().unwrap().to_owned();
        let parts = text.split(boundary.as_str()).filter_map(|part| {
            let (head, content) = part.split_once("\r\n\r\n")?;
            let name = head.split_once("name=\"")?.1.split_once('"')?.0;
            Some((name.to_owned(), content.trim_end_matches("\r\n").to_owned()))
        });
        parts.collect()
    }
}

fn serve(stream: TcpStream, cloud: &Mutex<Cloud>) {
    let mut reader = BufReader::new(stream);
    let mut first = String::new();
    reader.read_line(&mut first).unwrap();
    let mut words = first.split_whitespace();
    let (Some(method), Some(target)) = (words.next(), words.next()) else {
        return;
    };
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let path = path.strip_prefix("/client/v4").unwrap();
    let path = path.strip_prefix(&format!("/accounts/{ACCOUNT}")).unwrap_or(path);
    let mut request = Request {
        method: method.to_owned(),
        path: path.to_owned(),
        query: query.to_owned(),
        body: Vec::new(),
    };
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        let Some((name, value)) = line.trim().split_once(':') else {
            break;
        };
        headers.insert(name.to_lowercase(), value.trim().to_owned());
    }
    assert_eq!(headers["authorization"], "Bearer test-token");
    let breaks = cloud.lock().unwrap().breaks.clone();
    if method != "GET" && breaks.is_some_and(|script| path.starts_with(&format!("/workers/scripts/{script}")))
    {
        // The connection ends in the middle of the upload.
        let _ = reader.read(&mut [0; 100]);
        return;
    }
    match headers.get("content-length") {
        Some(length) => {
            request.body.resize(length.parse().unwrap(), 0);
            reader.read_exact(&mut request.body).unwrap();
        }
        None if headers.contains_key("transfer-encoding") => read_chunks(&mut reader, &mut request.body),
        None => {}
    }
    let (status, mut body) = cloud.lock().unwrap().answer(&request);
    request.cut_to_page(&mut body);
    let body = body.to_string();
    let head = format!(
        "HTTP/1.1 {status} OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    let mut stream = reader.into_inner();
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(body.as_bytes()).unwrap();
}

fn read_chunks(reader: &mut BufReader<TcpStream>, body: &mut Vec<u8>) {
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        let length = usize::from_str_radix(line.trim(), 16).unwrap();
        let mut chunk = vec![0; length + 2];
        reader.read_exact(&mut chunk).unwrap();
        body.extend_from_slice(&chunk[..length]);
        if length == 0 {
            return;
        }
    }
}

fn good(result: Value) -> (u16, Value) {
    let info = json!({ "page": 1, "per_page": 50, "total_pages": 1 });
    (
        200,
        json!({ "success": true, "errors": [], "messages": [], "result": result, "result_info": info }),
    )
}

fn bad(status: u16, code: u64, message: &str) -> (u16, Value) {
    let errors = json!([{ "code": code, "message": message }]);
    (
        status,
        json!({ "success": false, "errors": errors, "messages": [], "result": null }),
    )
}

fn no_worker() -> (u16, Value) {
    bad(404, NO_WORKER, "This Worker does not exist on your account.")
}

impl Cloud {
    fn id(&mut self) -> String {
        self.next_id += 1;
        format!("{:032x}", self.next_id)
    }

    fn answer(&mut self, request: &Request) -> (u16, Value) {
        let method = request.method.as_str();
        let is_refused = self.refused.is_some_and(|part| request.path.contains(part));
        if is_refused && !(method == "GET" && self.may_read) {
            return bad(403, 10000, "Authentication error");
        }
        if method != "GET" {
            self.writes.push(format!("{method} {}", request.path));
        }
        let parts: Vec<&str> = request.path.split('/').skip(1).collect();
        match (method, parts.as_slice()) {
            ("GET", ["zones"]) => self.zones(request),
            ("GET", ["zones", ZONE_ID, "workers", "routes"]) => good(self.list_routes()),
            ("POST", ["zones", ZONE_ID, "workers", "routes"]) => {
                let route = request.json();
                let of = |member: &str| route[member].as_str().unwrap().to_owned();
                self.state.routes.insert(of("pattern"), of("script"));
                good(route)
            }
            ("DELETE", ["zones", ZONE_ID, "workers", "routes", id]) => {
                self.state.routes.retain(|pattern, _| route_id(pattern) != *id);
                good(json!({ "id": id }))
            }
            ("GET", ["storage", "kv", "namespaces"]) => {
                let all = self.state.namespaces.iter();
                good(
                    all.map(|(id, title)| json!({ "id": id, "title": title }))
                        .collect(),
                )
            }
            ("POST", ["storage", "kv", "namespaces"]) => {
                let (id, title) = (self.id(), request.json()["title"].as_str().unwrap().to_owned());
                self.state.namespaces.insert(id.clone(), title.clone());
                good(json!({ "id": id, "title": title }))
            }
            ("DELETE", ["storage", "kv", "namespaces", id]) => {
                self.state.namespaces.remove(*id).unwrap();
                good(json!({}))
            }
            (_, ["queues", rest @ ..]) => self.queues(request, rest),
            ("GET", ["workers", "scripts"]) => {
                let tagged = self.state.scripts.iter();
                good(
                    tagged
                        .map(|(id, script)| json!({ "id": id, "migration_tag": script.migration_tag }))
                        .collect(),
                )
            }
            (_, ["workers", "scripts", name, rest @ ..]) => self.script(request, name, rest),
            (_, ["workers", "services", name]) => self.service(method, name),
            ("GET", ["workers", "subdomain"]) => good(json!({ "subdomain": "test" })),
            _ => {
                self.unknown
                    .push(format!("{method} {}?{}", request.path, request.query));
                bad(404, 7003, "No route for that URI")
            }
        }
    }

    fn zones(&self, request: &Request) -> (u16, Value) {
        let ours = json!({ "id": ZONE_ID, "name": ZONE });
        let is_named = !request.query.contains("name=") || request.query.contains(&format!("name={ZONE}"));
        good(if is_named { json!([ours]) } else { json!([]) })
    }

    fn list_routes(&self) -> Value {
        let all = self.state.routes.iter();
        all.map(|(pattern, script)| json!({ "id": route_id(pattern), "pattern": pattern, "script": script }))
            .collect()
    }

    fn queues(&mut self, request: &Request, rest: &[&str]) -> (u16, Value) {
        let is = |queue: &Queue, id: &str| queue.id == id;
        match (request.method.as_str(), rest) {
            ("GET", []) => {
                let names: Vec<&str> = request
                    .query
                    .split('&')
                    .filter_map(|pair| pair.strip_prefix("name="))
                    .collect();
                let all = self
                    .state
                    .queues
                    .iter()
                    .filter(|(name, _)| names.is_empty() || names.contains(&name.as_str()));
                good(all.map(|(name, queue)| json!({ "queue_id": queue.id, "queue_name": name, "consumers": queue.consumers })).collect())
            }
            ("POST", []) => {
                let name = request.json()["queue_name"].as_str().unwrap().to_owned();
                let id = self.id();
                let queue = Queue {
                    id: id.clone(),
                    consumers: Vec::new(),
                };
                if self.state.queues.insert(name.clone(), queue).is_some() {
                    return bad(409, 11009, "Queue name is already taken");
                }
                good(json!({ "queue_id": id, "queue_name": name }))
            }
            ("DELETE", [id]) => {
                self.state.queues.retain(|_, queue| !is(queue, id));
                good(json!({}))
            }
            (method @ ("POST" | "PUT" | "DELETE"), [id, "consumers", rest @ ..]) => {
                let new_id = self.id();
                let queue = self
                    .state
                    .queues
                    .values_mut()
                    .find(|queue| is(queue, id))
                    .unwrap();
                if let [old] = rest {
                    queue
                        .consumers
                        .retain(|consumer| consumer["consumer_id"] != **old);
                }
                if method == "DELETE" {
                    return good(json!({}));
                }
                let mut consumer = request.json();
                consumer["script"] = consumer["script_name"].take();
                consumer["consumer_id"] = json!(rest.first().map_or(new_id, |old| (*old).to_owned()));
                queue.consumers.push(consumer.clone());
                good(consumer)
            }
            _ => bad(405, 1, "method"),
        }
    }

    fn service(&mut self, method: &str, name: &str) -> (u16, Value) {
        if !self.state.scripts.contains_key(name) {
            return no_worker();
        }
        if method == "GET" {
            let script =
                json!({ "tag": format!("tag-{name}"), "tags": [], "last_deployed_from": "wrangler" });
            return good(
                json!({ "id": name, "default_environment": { "environment": "production", "script": script } }),
            );
        }
        let consumers = self.state.queues.values().flat_map(|queue| &queue.consumers);
        if consumers.into_iter().any(|consumer| consumer["script"] == name) {
            return bad(
                400,
                10064,
                "Cannot delete this Worker as it is a consumer for a Queue.",
            );
        }
        self.state.scripts.remove(name);
        good(json!({}))
    }

    fn script(&mut self, request: &Request, name: &str, rest: &[&str]) -> (u16, Value) {
        let method = request.method.as_str();
        if let ("PUT", []) | ("POST", ["versions"]) = (method, rest) {
            self.upload(request, name);
            let script = json!({ "script": { "etag": "e" } });
            let id = "11111111222233334444555555555555";
            return good(json!({ "id": id, "deployment_id": id, "startup_time_ms": 1, "resources": script }));
        }
        if let ("PUT", ["routes"]) = (method, rest) {
            self.state.routes.retain(|_, script| script != name);
            for route in request.json().as_array().unwrap() {
                assert_eq!(route["zone_name"], ZONE);
                self.state
                    .routes
                    .insert(route["pattern"].as_str().unwrap().to_owned(), name.to_owned());
            }
            return good(request.json());
        }
        let Some(script) = self.state.scripts.get_mut(name) else {
            return no_worker();
        };
        match (method, rest) {
            ("GET", ["settings"]) => {
                let secrets = script
                    .secrets
                    .keys()
                    .map(|name| json!({ "name": name, "type": "secret_text" }));
                let bindings: Value = script.bindings.values().cloned().chain(secrets).collect();
                good(
                    json!({ "bindings": bindings, "limits": script.limits, "compatibility_date": script.compatibility_date }),
                )
            }
            ("GET", ["secrets"]) => {
                let secrets = script.secrets.keys();
                good(
                    secrets
                        .map(|name| json!({ "name": name, "type": "secret_text" }))
                        .collect(),
                )
            }
            ("PATCH", ["secrets-bulk"]) => {
                for (name, secret) in request.json()["secrets"].as_object().unwrap() {
                    match secret["text"].as_str() {
                        Some(text) => script.secrets.insert(name.clone(), text.to_owned()),
                        None => script.secrets.remove(name),
                    };
                }
                good(json!({}))
            }
            ("GET", ["deployments"]) => good(
                json!({ "deployments": [{ "id": "d", "versions": [{ "version_id": "v", "percentage": 100 }] }] }),
            ),
            ("POST", ["deployments"]) => good(json!({ "id": "d" })),
            ("PATCH", ["script-settings"]) => good(json!({})),
            ("GET", ["subdomain"]) => {
                good(json!({ "enabled": script.is_on_workers_dev, "previews_enabled": false }))
            }
            ("POST", ["subdomain"]) => {
                script.is_on_workers_dev = request.json()["enabled"] == true;
                good(request.json())
            }
            _ => {
                self.unknown
                    .push(format!("{method} {}?{}", request.path, request.query));
                bad(404, 7003, "No route for that URI")
            }
        }
    }

    /// Takes a worker as the API does: variables and bindings are those of the upload, secrets stay.
    fn upload(&mut self, request: &Request, name: &str) {
        let mut parts = request.parts();
        let at = parts.iter().position(|(name, _)| name == "metadata").unwrap();
        let metadata: Value = serde_json::from_str(&parts.remove(at).1).unwrap();
        let script = self.state.scripts.entry(name.to_owned()).or_default();
        let before = mem::take(&mut script.bindings);
        for binding in metadata["bindings"].as_array().unwrap() {
            let name = binding["name"].as_str().unwrap().to_owned();
            assert_ne!(binding["type"], "secret_text", "secrets come by themselves");
            // Wrangler says so of what is there already.
            let is_inherited = binding["type"] == "inherit";
            let binding = if is_inherited { &before[&name] } else { binding };
            script.bindings.insert(name, binding.clone());
        }
        script.limits = metadata["limits"].clone();
        script.compatibility_date = metadata["compatibility_date"].clone();
        if let Some(tag) = metadata["migrations"].get("new_tag") {
            script.migration_tag = tag.clone();
        }
        script.code = parts.into_iter().map(|(_, content)| content).collect();
    }
}

fn route_id(pattern: &str) -> String {
    pattern.replace(['/', '*'], "-")
}
