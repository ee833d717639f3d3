//! The admin routes of a running Eventstar.

use std::fmt;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use ureq::http::{HeaderMap, Response, StatusCode};
use ureq::{Agent, Body};

use crate::diff::diff;
use crate::http::{self, detail, one_line};
use crate::{SchemaVersion, StreamConfigFile};

/// At most this many schemas in one request: the route's own limit.
const MAX_BATCH: usize = 100;

/// At most this many bytes of schema text in one request, well below the route's 10 MiB.
const MAX_BATCH_BYTES: usize = 4 * 1024 * 1024;

/// Longer than the registry needs to compile and store a full batch.
const TIMEOUT: Duration = Duration::from_secs(120);

/// A client of the admin routes.
#[derive(Debug)]
pub struct Admin {
    agent: Agent,
    base: String,
    token: String,
}

/// What publishing schemas did.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct PublishedSchemas {
    /// How many are new.
    pub published: u64,
    /// How many were there already.
    pub unchanged: u64,
    /// Whether some are not in edge KV yet; any later request of an administrator puts them there.
    pub is_kv_behind: bool,
}

/// What publishing schemas would do.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct SchemaPlan {
    /// The schema URIs that are new.
    pub(crate) new: Vec<String>,
    /// How many are there already.
    pub(crate) unchanged: usize,
    /// The schema URIs under which something else is published.
    pub(crate) conflicting: Vec<String>,
}

/// A version of the stream configuration.
#[derive(Debug)]
pub(crate) struct PublishedConfig {
    pub(crate) version: u64,
    pub(crate) config: Map<String, Value>,
}

/// An entry of the stream configuration's history.
#[derive(Debug, Deserialize)]
pub(crate) struct ConfigVersion {
    pub(crate) version: u64,
    /// Milliseconds since the epoch.
    pub(crate) published: u64,
}

#[derive(Deserialize)]
struct History {
    versions: Vec<ConfigVersion>,
}

/// What publishing the stream configuration did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PublishedStreams {
    /// The file is what is published already.
    Unchanged,
    /// It is published as this version.
    Version(u64),
}

impl fmt::Display for PublishedStreams {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unchanged => formatter.write_str("unchanged"),
            Self::Version(version) => write!(formatter, "published as version {version}"),
        }
    }
}

impl Admin {
    /// A client of the Eventstar at `base`.
    pub fn new(base: &str, token: &str) -> Result<Self> {
        let base = http::secret_base_url(base)?;
        let token = http::token(token, "EVENTSTAR_ADMIN_TOKEN")?;
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(TIMEOUT))
            // A server may close an idle connection while the next request is on its way, which nobody repeats.
            .max_idle_connections(0)
            .build();
        Ok(Self {
            agent: config.into(),
            base,
            token,
        })
    }

    /// Publishes schema versions, telling `progress` after each batch how many are done.
    ///
    /// # Errors
    /// The first refusal. The batches before it are published: publishing again goes on behind them.
    pub fn publish_schemas(
        &self,
        repository: &str,
        schemas: &[SchemaVersion],
        progress: &mut dyn FnMut(usize),
    ) -> Result<PublishedSchemas> {
        let url = self.schemas_url(repository);
        let mut done = 0;
        let mut sum = PublishedSchemas::default();
        for batch in batches(schemas) {
            let answer = self.put_schemas(&url, batch)?;
            sum.published += number(&answer, "published");
            sum.unchanged += number(&answer, "unchanged");
            sum.is_kv_behind = answer.get("in_kv") == Some(&Value::Bool(false));
            done += batch.len();
            progress(done);
        }
        Ok(sum)
    }

    /// What publishing schema versions would do, telling `progress` after each batch how many are compared.
    pub(crate) fn plan_schemas(
        &self,
        repository: &str,
        schemas: &[SchemaVersion],
        progress: &mut dyn FnMut(usize),
    ) -> Result<SchemaPlan> {
        let url = format!("{}?dry_run=true", self.schemas_url(repository));
        let mut done = 0;
        let mut plan = SchemaPlan::default();
        for batch in batches(schemas) {
            let answer = self.put_schemas(&url, batch)?;
            let part: SchemaPlan = serde_json::from_value(answer)
                .with_context(|| format!("{url} answers no plan: is an older release deployed?"))?;
            plan.new.extend(part.new);
            plan.unchanged += part.unchanged;
            plan.conflicting.extend(part.conflicting);
            done += batch.len();
            progress(done);
        }
        Ok(plan)
    }

    fn schemas_url(&self, repository: &str) -> String {
        format!("{}/admin/v1/repositories/{repository}/schemas", self.base)
    }

    fn put_schemas(&self, url: &str, batch: &[SchemaVersion]) -> Result<Value> {
        let items: Vec<Value> = batch.iter().map(item).collect();
        let body = json!({ "schemas": items }).to_string();
        let (status, text) = self.put(url, &body, None)?;
        if status != StatusCode::OK {
            bail!("{}", refusal(status, &text, batch));
        }
        serde_json::from_str(&text).with_context(|| format!("{url} answered {}", one_line(&text)))
    }

    /// Publishes a stream configuration in place of the current one, unless they are the same.
    pub fn publish_streams(&self, config: &StreamConfigFile) -> Result<PublishedStreams> {
        let current = self.stream_config(None)?;
        if current
            .as_ref()
            .is_some_and(|current| diff(&current.config, config.value()).is_empty())
        {
            return Ok(PublishedStreams::Unchanged);
        }
        let version = self.replace_streams(config, current.map_or(0, |current| current.version))?;
        Ok(PublishedStreams::Version(version))
    }

    /// Publishes a stream configuration in place of `version`, 0 for none; returns the new version.
    pub(crate) fn replace_streams(&self, config: &StreamConfigFile, version: u64) -> Result<u64> {
        let url = self.streams_url("");
        let (status, text) = self.put(&url, config.json(), Some(condition(version)))?;
        let shown = config.path().display();
        match status {
            StatusCode::OK => new_version(&url, &text),
            StatusCode::PRECONDITION_FAILED => bail!("{shown}: somebody else published meanwhile: try again"),
            StatusCode::BAD_REQUEST => bail!("{shown}: {}", detail(&text)),
            status => bail!("{shown}: {url} answered {status}: {}", detail(&text)),
        }
    }

    /// Publishes the config of `earlier` once more, in place of `version`; returns the new version.
    pub(crate) fn rollback_streams(&self, earlier: u64, version: u64) -> Result<u64> {
        let url = self.streams_url(&format!("/rollback?version={earlier}"));
        let (name, value) = condition(version);
        let request = self.agent.post(&url).header("authorization", self.bearer());
        let answer = request.header(name, value).send_empty();
        let mut answer = answer.with_context(|| format!("{url} cannot be reached"))?;
        let text = read(&mut answer)?;
        match answer.status() {
            StatusCode::OK => new_version(&url, &text),
            StatusCode::PRECONDITION_FAILED => bail!("somebody else published meanwhile: try again"),
            status => bail!("{url} answered {status}: {}", detail(&text)),
        }
    }

    /// A version of the published stream configuration, the current one for `None`; `None` where there is none.
    pub(crate) fn stream_config(&self, version: Option<u64>) -> Result<Option<PublishedConfig>> {
        let url = match version {
            None => self.streams_url(""),
            Some(version) => self.streams_url(&format!("?version={version}")),
        };
        let (status, etag, text) = self.get(&url)?;
        match (status, etag.and_then(|etag| etag.trim_matches('"').parse().ok())) {
            (StatusCode::OK, Some(version)) => {
                let config = serde_json::from_str(&text)
                    .with_context(|| format!("{url} answers no stream configuration"))?;
                Ok(Some(PublishedConfig { version, config }))
            }
            (StatusCode::NOT_FOUND, _) => Ok(None),
            (status, _) => bail!("{url} answered {status}: {}", detail(&text)),
        }
    }

    /// The versions of the stream configuration, newest first.
    pub(crate) fn stream_history(&self) -> Result<Vec<ConfigVersion>> {
        let url = self.streams_url("/history");
        match self.get(&url)? {
            (StatusCode::OK, _, text) => {
                let history: History =
                    serde_json::from_str(&text).with_context(|| format!("{url} answers no history"))?;
                Ok(history.versions)
            }
            (status, _, text) => bail!("{url} answered {status}: {}", detail(&text)),
        }
    }

    /// Appends lines `{"dt": …, "event": {…}}` to a log of a stream as they are, or finds them there.
    pub fn append(&self, stream: &str, topic: &str, partition: usize, lines: &str) -> Result<()> {
        self.try_append(stream, topic, partition, lines)?.ok().map(|_| ())
    }

    /// The same; gives the answer whatever its status.
    pub(crate) fn try_append(
        &self,
        stream: &str,
        topic: &str,
        partition: usize,
        lines: &str,
    ) -> Result<Answer> {
        let path = format!("/admin/v1/streams/{stream}/events?topic={topic}&partition={partition}");
        self.post(&path, "application/x-ndjson", lines)
    }

    /// Delivers some of what waits for its delivery, on a host that does not do it by itself.
    pub fn drain(&self) -> Result<()> {
        let url = format!("{}/admin/v1/drain", self.base);
        let answer = self
            .agent
            .post(&url)
            .header("authorization", self.bearer())
            .send_empty();
        let mut answer = answer.with_context(|| format!("{url} cannot be reached"))?;
        match answer.status() {
            StatusCode::OK => Ok(()),
            status => bail!("{url} answered {status}: {}", detail(&read(&mut answer)?)),
        }
    }

    /// Asks for a path with a query, which is encoded; gives the answer whatever its status.
    pub(crate) fn get_query(&self, path: &str, query: &[(&str, String)]) -> Result<Answer> {
        let url = format!("{}{path}", self.base);
        let request = self.agent.get(&url).header("authorization", self.bearer());
        let answer = request.query_pairs(query.iter().map(|(name, value)| (name, value)));
        Answer::of(answer.call(), &url)
    }

    /// Posts a body to a path; gives the answer whatever its status.
    pub(crate) fn post(&self, path: &str, content_type: &str, body: &str) -> Result<Answer> {
        let url = format!("{}{path}", self.base);
        let request = self.agent.post(&url).header("authorization", self.bearer());
        let request = request.header("content-type", content_type);
        Answer::of(request.send(body), &url)
    }

    fn streams_url(&self, below: &str) -> String {
        format!("{}/admin/v1/stream-configs{below}", self.base)
    }

    fn get(&self, url: &str) -> Result<(StatusCode, Option<String>, String)> {
        let answer = self.agent.get(url).header("authorization", self.bearer()).call();
        let mut answer = answer.with_context(|| format!("{url} cannot be reached"))?;
        let etag = answer.headers().get("etag").and_then(|etag| etag.to_str().ok());
        let etag = etag.map(str::to_owned);
        Ok((answer.status(), etag, read(&mut answer)?))
    }

    fn put(&self, url: &str, body: &str, condition: Option<(&str, String)>) -> Result<(StatusCode, String)> {
        let mut request = self.agent.put(url).header("authorization", self.bearer());
        if let Some((name, value)) = condition {
            request = request.header(name, value);
        }
        let answer = request.header("content-type", "application/json").send(body);
        let mut answer = answer.with_context(|| format!("{url} cannot be reached"))?;
        Ok((answer.status(), read(&mut answer)?))
    }

    fn bearer(&self) -> String {
        format!("Bearer {}", self.token)
    }
}

/// An answer, read.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
    url: String,
}

impl Answer {
    fn of(answer: Result<Response<Body>, ureq::Error>, url: &str) -> Result<Self> {
        let mut answer = answer.with_context(|| format!("{url} cannot be reached"))?;
        Ok(Self {
            status: answer.status(),
            headers: answer.headers().clone(),
            text: read(&mut answer)?,
            url: url.to_owned(),
        })
    }

    /// The answer, if it is 200.
    pub(crate) fn ok(self) -> Result<Self> {
        match self.status {
            StatusCode::OK => Ok(self),
            _ => bail!("{}", self.refusal()),
        }
    }

    /// What it says, where it is a refusal.
    pub(crate) fn refusal(&self) -> String {
        format!("{} answered {}: {}", self.url, self.status, detail(&self.text))
    }
}

/// The header that makes a publish depend on the version that is current, 0 for none.
fn condition(version: u64) -> (&'static str, String) {
    match version {
        0 => ("if-none-match", "*".to_owned()),
        version => ("if-match", format!("\"{version}\"")),
    }
}

fn new_version(url: &str, text: &str) -> Result<u64> {
    let answer: Value =
        serde_json::from_str(text).with_context(|| format!("{url} answered {}", one_line(text)))?;
    Ok(number(&answer, "version"))
}

fn read(answer: &mut Response<Body>) -> Result<String> {
    answer
        .body_mut()
        .read_to_string()
        .context("the answer ended early")
}

fn number(answer: &Value, member: &str) -> u64 {
    answer.get(member).and_then(Value::as_u64).unwrap_or_default()
}

fn item(schema: &SchemaVersion) -> Value {
    let mut item = Map::new();
    let members = [
        ("title", Some(&schema.title)),
        ("version", Some(&schema.version)),
        ("json", Some(&schema.json)),
    ];
    for (name, text) in members.into_iter().chain([("yaml", schema.yaml.as_ref())]) {
        item.extend(text.map(|text| (name.to_owned(), Value::from(text.as_str()))));
    }
    Value::from(item)
}

/// How many bytes the registry takes for a schema: its forms as JSON strings.
pub(crate) fn stored_bytes(schema: &SchemaVersion) -> usize {
    item(schema).to_string().len()
}

/// Splits into runs that stay below both limits; a schema larger than the limit goes alone.
fn batches(schemas: &[SchemaVersion]) -> Vec<&[SchemaVersion]> {
    let mut batches = Vec::new();
    let mut rest = schemas;
    while !rest.is_empty() {
        let mut bytes = 0;
        let fits = |schema: &&SchemaVersion| {
            bytes += schema.json.len() + schema.yaml.as_ref().map_or(0, String::len);
            bytes <= MAX_BATCH_BYTES
        };
        let count = rest.iter().take(MAX_BATCH).take_while(fits).count().max(1);
        let (batch, others) = rest.split_at(count);
        batches.push(batch);
        rest = others;
    }
    batches
}

/// The server's refusal with the file it is about, as far as the answer tells.
fn refusal(status: StatusCode, text: &str, batch: &[SchemaVersion]) -> String {
    let detail = detail(text);
    match batch.iter().find(|schema| names(&detail, &schema.uri())) {
        Some(schema) => format!("{}: {detail}", schema.path.display()),
        None => format!("the server refused the schemas ({status}): {detail}"),
    }
}

/// Whether a text names a URI, not a longer one.
fn names(text: &str, uri: &str) -> bool {
    text.match_indices(uri).any(|(at, _)| {
        let after = text.get(at + uri.len()..).and_then(|rest| rest.chars().next());
        !after.is_some_and(|letter| letter.is_ascii_digit())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema(version: &str, bytes: usize) -> SchemaVersion {
        SchemaVersion {
            title: "a".to_owned(),
            version: version.to_owned(),
            json: " ".repeat(bytes),
            yaml: None,
            path: format!("repo/a/{version}.yaml").into(),
        }
    }

    #[test]
    fn batches_stay_below_both_limits() {
        let sizes = |schemas: &[SchemaVersion]| {
            batches(schemas)
                .iter()
                .map(|batch| batch.len())
                .collect::<Vec<_>>()
        };
        assert_eq!(sizes(&vec![schema("1.0.0", 10); MAX_BATCH]), [MAX_BATCH]);
        assert_eq!(sizes(&vec![schema("1.0.0", 10); MAX_BATCH + 1]), [MAX_BATCH, 1]);
        assert_eq!(sizes(&vec![schema("1.0.0", MAX_BATCH_BYTES / 2); 3]), [2, 1]);
        assert_eq!(
            sizes(&[schema("1.0.0", MAX_BATCH_BYTES + 1), schema("1.0.1", 1)]),
            [1, 1]
        );
        assert!(sizes(&[]).is_empty());
    }

    #[test]
    fn a_refusal_names_the_file_it_is_about() {
        let batch = [schema("1.0.1", 1), schema("1.0.10", 1)];
        let text = r#"{"message":"/a/1.0.10: /type must be a string"}"#;
        let refusal = refusal(StatusCode::BAD_REQUEST, text, &batch);
        assert_eq!(refusal, "repo/a/1.0.10.yaml: /a/1.0.10: /type must be a string");
    }

    #[test]
    fn a_token_no_header_can_hold_is_refused_before_any_request() {
        assert!(Admin::new("http://127.0.0.1:1", "a b").is_err());
        assert!(Admin::new("http://127.0.0.1:1", "").is_err());
        assert!(Admin::new("127.0.0.1:1", "token").is_err());
        assert!(Admin::new("http://127.0.0.1:1", "token").is_ok());
        let error = Admin::new("http://events.example.org", "token").unwrap_err();
        assert!(error.to_string().contains("unencrypted"), "{error}");
    }
}
