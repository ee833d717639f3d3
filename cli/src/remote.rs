//! Schemas of other servers, kept on disk.
//!
//! A version never changes, so it is fetched once. Anything else, such as `latest`, is asked for again in each run, by its
//! `ETag`; where its server cannot be reached, what was kept stands in, with a warning.

use std::collections::HashMap;
use std::env;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::Args;
use clap::builder::FalseyValueParser;
use eventstar_schema_repository::{Remote, check_remote, redirect};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use ureq::http::{Response, StatusCode};
use ureq::{Agent, Body};

use crate::http::{one_line, plain};
use crate::schema_repository::version_file;

/// Largest schema that is read. The largest known has 23 kB.
const MAX_BYTES: u64 = 4 * 1024 * 1024;

/// Until the whole answer must be there.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Redirects of one request: as many as ureq follows by default.
const MAX_REDIRECTS: usize = 10;

/// The value of `--cache` for none.
const NO_CACHE: &str = "none";

/// How schemas of other servers are read.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct RemoteOptions {
    /// Asks no other server: schemas that were not read before are missing.
    #[arg(long, env = "EVENTSTAR_OFFLINE", value_parser = FalseyValueParser::new())]
    pub(crate) offline: bool,
    /// Folder that keeps schemas of other servers; `none` keeps none [default: ~/.cache/eventstar/schemas].
    #[arg(long, env = "EVENTSTAR_CACHE", value_name = "DIR")]
    pub(crate) cache: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) bases: Bases,
}

/// Further places of schemas that the user names, and so trusts.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Bases {
    /// One more place to look for what a `$ref` names: a folder, also outside the git work tree, or a URL. May be repeated.
    #[arg(long = "schema-base-uri", value_name = "URI")]
    pub(crate) uris: Vec<String>,
}

/// Reads schemas of other servers, each once.
#[derive(Debug)]
pub(crate) struct RemoteSchemas {
    agent: Agent,
    offline: bool,
    cache: Option<PathBuf>,
    bases: Bases,
    read: Mutex<HashMap<String, Answer>>,
    warnings: Mutex<Vec<String>>,
}

type Answer = Result<Option<String>, String>;

/// Why there is no answer.
enum Unasked {
    Failed(ureq::Error),
    Redirected(String),
}

/// A file of the cache.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    url: String,
    etag: Option<String>,
    text: String,
}

impl RemoteSchemas {
    pub(crate) fn new(options: &RemoteOptions) -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(TIMEOUT))
            // Followed here, and only on the same server.
            .max_redirects(0)
            .user_agent(concat!("eventstar/", env!("CARGO_PKG_VERSION")))
            .build();
        let cache = options.cache.clone().or_else(default_folder);
        Self {
            agent: config.into(),
            offline: options.offline,
            cache: cache.filter(|folder| folder != Path::new(NO_CACHE)),
            bases: options.bases.clone(),
            read: Mutex::default(),
            warnings: Mutex::default(),
        }
    }

    /// The places that the user names.
    pub(crate) fn bases(&self) -> &[String] {
        &self.bases.uris
    }

    /// Tells what was odd.
    pub(crate) fn show_warnings(&self, log: &mut dyn Write) -> io::Result<()> {
        let warnings = self.warnings.lock().unwrap_or_else(PoisonError::into_inner);
        warnings
            .iter()
            .try_for_each(|warning| writeln!(log, "warning: {}", plain(warning)))
    }

    fn warn(&self, warning: String) {
        let mut warnings = self.warnings.lock().unwrap_or_else(PoisonError::into_inner);
        warnings.push(warning);
    }

    /// The schema at a URL, from the cache where that is sure to be what the server has.
    fn find(&self, url: &str) -> Answer {
        let kept = self.kept(url);
        if let Some(kept) = &kept
            && is_version(url)
        {
            return Ok(Some(kept.text.clone()));
        }
        if self.offline {
            return self.stale(
                url,
                kept,
                "nothing is fetched (--offline), and it is not in the cache",
            );
        }
        let etag = kept.as_ref().and_then(|kept| kept.etag.as_deref());
        let mut answer = match self.ask(url, etag) {
            Ok(answer) => answer,
            Err(Unasked::Failed(error)) => return self.stale(url, kept, &error.to_string()),
            Err(Unasked::Redirected(why)) => return Err(why),
        };
        match (answer.status(), kept) {
            (StatusCode::NOT_MODIFIED, Some(kept)) => Ok(Some(kept.text)),
            (StatusCode::NOT_FOUND | StatusCode::GONE, _) => Ok(None),
            (StatusCode::OK, kept) => {
                let etag = answer.headers().get("etag").and_then(|etag| etag.to_str().ok());
                let etag = etag.map(str::to_owned);
                let bytes = match answer.body_mut().with_config().limit(MAX_BYTES).read_to_vec() {
                    Ok(bytes) => bytes,
                    Err(ureq::Error::BodyExceedsLimit(_)) => {
                        return Err(format!("it is larger than {MAX_BYTES} bytes"));
                    }
                    Err(error) => return self.stale(url, kept, &error.to_string()),
                };
                let text = String::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned())?;
                // What is no schema, such as the page of a portal, must not be kept as one.
                check_remote(url, &text)?;
                self.keep(&Kept {
                    url: url.to_owned(),
                    etag,
                    text: text.clone(),
                });
                Ok(Some(text))
            }
            (status, kept) if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {
                self.stale(url, kept, &format!("the server answers {status}"))
            }
            (status, _) => Err(format!("the server answers {status}")),
        }
    }

    /// The answer of the server, through redirects to itself.
    fn ask(&self, url: &str, etag: Option<&str>) -> Result<Response<Body>, Unasked> {
        let mut at = url.to_owned();
        for _ in 0..=MAX_REDIRECTS {
            let mut request = self.agent.get(&at);
            if let Some(etag) = etag {
                request = request.header("if-none-match", etag);
            }
            let answer = request.call().map_err(Unasked::Failed)?;
            let location = answer
                .headers()
                .get("location")
                .filter(|_| answer.status().is_redirection() && answer.status() != StatusCode::NOT_MODIFIED);
            let Some(location) = location else {
                return Ok(answer);
            };
            let location = String::from_utf8_lossy(location.as_bytes());
            at = redirect(&at, &location).ok_or_else(|| {
                let location = one_line(&location);
                Unasked::Redirected(format!(
                    "it redirects to {location}, on another server: name the base URL there under schemaBaseUris"
                ))
            })?;
        }
        Err(Unasked::Redirected(format!(
            "it redirects more than {MAX_REDIRECTS} times"
        )))
    }

    /// What was kept, with a warning, where the server could not be asked.
    fn stale(&self, url: &str, kept: Option<Kept>, why: &str) -> Answer {
        match kept {
            Some(kept) => {
                let why = if self.offline {
                    "nothing is fetched (--offline)"
                } else {
                    why
                };
                self.warn(format!(
                    "{url} is as it was read before, and may have changed: {why}"
                ));
                Ok(Some(kept.text))
            }
            None => Err(why.to_owned()),
        }
    }

    fn file(&self, url: &str) -> Option<PathBuf> {
        let digest = Sha256::digest(url.as_bytes());
        let name: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        Some(self.cache.as_ref()?.join(format!("{name}.json")))
    }

    /// What the cache has; what cannot be read there is fetched again.
    fn kept(&self, url: &str) -> Option<Kept> {
        let text = fs::read_to_string(self.file(url)?).ok()?;
        let kept: Kept = serde_json::from_str(&text).ok()?;
        (kept.url == url).then_some(kept)
    }

    /// Without a cache all works as well, only slower.
    fn keep(&self, kept: &Kept) {
        if let Some(file) = self.file(&kept.url)
            && let Err(error) = write(&file, kept)
        {
            self.warn(format!("{} is not kept: {error:#}", kept.url));
        }
    }
}

impl Remote for RemoteSchemas {
    fn read(&self, url: &str) -> Answer {
        // Held while it is read, so that two threads do not fetch the same.
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(answer) = read.get(url) {
            return answer.clone();
        }
        let answer = self.find(url);
        read.insert(url.to_owned(), answer.clone());
        answer
    }
}

/// Writes beside the file and renames, so that nobody ever reads half of it.
fn write(file: &Path, kept: &Kept) -> Result<()> {
    let shown = file.display();
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    }
    let beside = file.with_extension(format!("{}.tmp", std::process::id()));
    fs::write(&beside, serde_json::to_vec(kept)?)
        .and_then(|()| fs::rename(&beside, file))
        .with_context(|| format!("{shown} cannot be written"))
}

/// Whether a URL ends with a version, perhaps with an extension.
fn is_version(url: &str) -> bool {
    url.rsplit('/')
        .next()
        .is_some_and(|name| version_file(name).is_some())
}

fn default_folder() -> Option<PathBuf> {
    let base = match env::var_os("XDG_CACHE_HOME").filter(|base| !base.is_empty()) {
        Some(base) => PathBuf::from(base),
        None => Path::new(&env::var_os("HOME")?).join(".cache"),
    };
    Some(base.join("eventstar/schemas"))
}

#[cfg(test)]
mod tests;
