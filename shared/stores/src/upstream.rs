//! Schema repositories elsewhere: a schema that the registry lacks is fetched from them, checked, and published here, so that it
//! is served from then on whatever becomes of the upstream.
//!
//! Source: `schema_base_uris` of EventGate, which fetches for each instance anew.

mod answer;
mod memory;
mod settings;

use std::time::Duration;

use eventstar_event::SchemaUri;
use eventstar_ports::{
    HttpClient, KeyValueWrite, Level, Platform, PortError, PortErrorKind, Published, RegistryError,
    RegistryRequest, SchemaFile, Sql,
};
use futures_util::StreamExt;
use serde_json::Value;

use crate::stored::{SchemaDocument, decode};
use crate::{SqlRegistry, keys};

use answer::{LIMITS, Unfit};
use memory::Outcome;
pub use memory::UpstreamMemory;
use settings::Upstream;
pub(crate) use settings::{bad_upstreams, has_upstreams, upstreams};

/// Schemas fetched at once: Workers allow six connections that wait for headers.
const FETCHES_AT_ONCE: usize = 6;

/// Most schemas fetched for one lookup. Each takes two requests of each upstream, and as many KV writes as publishing it.
const MAX_FETCHES: usize = 10;

/// How often to see whether the fetch of another request is over.
const WAIT: Duration = Duration::from_millis(50);

/// A registry with upstreams.
pub struct UpstreamRegistry<'m, S, K, P> {
    registry: SqlRegistry<S, K>,
    platform: P,
    memory: &'m UpstreamMemory,
    upstreams: Vec<Upstream>,
}

impl<'m, S: Sql, K: KeyValueWrite, P: Platform> UpstreamRegistry<'m, S, K, P> {
    /// The registry with the upstreams of the setting `SCHEMA_UPSTREAM`.
    pub fn new(registry: SqlRegistry<S, K>, platform: P, memory: &'m UpstreamMemory) -> Self {
        Self {
            upstreams: upstreams(&platform),
            registry,
            platform,
            memory,
        }
    }

    /// Answers one request, after a look at the upstreams where it needs one.
    ///
    /// # Errors
    /// [`RegistryError`].
    pub async fn ask(&self, request: RegistryRequest) -> Result<Published, RegistryError> {
        match request {
            RegistryRequest::Lookup { keys } if !self.upstreams.is_empty() => self.lookup(&keys).await,
            RegistryRequest::Refresh { keys } => self.refresh(&keys).await,
            other => self.registry.ask(other, self.platform.now()).await,
        }
    }

    async fn lookup(&self, keys: &[String]) -> Result<Published, RegistryError> {
        let mut values = Vec::with_capacity(keys.len());
        for key in keys {
            values.push(Ok(self.registry.value(key).await?));
        }
        let missing = values.iter().enumerate();
        let missing: Vec<usize> = missing
            .filter(|(_, value)| matches!(value, Ok(None)))
            .map(|(place, _)| place)
            .collect();
        let wanted: Vec<&String> = missing.iter().filter_map(|place| keys.get(*place)).collect();
        let failures = self.fetch_missing(&wanted).await;
        for (place, failure) in missing.into_iter().zip(failures) {
            let (Some(key), Some(value)) = (keys.get(place), values.get_mut(place)) else {
                continue;
            };
            // Besides the schema, its title's versions are there now.
            *value = match (self.registry.value(key).await?, failure) {
                (None, Some(why)) => Err(why),
                (found, _) => Ok(found),
            };
        }
        if values.iter().any(Result::is_err) {
            return Ok(Published::PartialValues(values));
        }
        Ok(Published::Values(values.into_iter().flatten().collect()))
    }

    /// Fetches the schemas that `keys` lead to; why not, for each that may exist and cannot be had.
    async fn fetch_missing(&self, keys: &[&String]) -> Vec<Option<String>> {
        let mut begun = 0;
        let fetches: Vec<_> = keys
            .iter()
            .map(|key| {
                let asked = keys::parse_schema(key).filter(|(_, uri)| is_version(uri.version()));
                begun += usize::from(asked.is_some());
                let too_many = begun > MAX_FETCHES;
                async move {
                    let (repository, uri) = asked?;
                    if too_many {
                        return Some(format!(
                            "more than {MAX_FETCHES} schemas would be fetched at once: try again"
                        ));
                    }
                    self.fetch_first(repository, &uri).await
                }
            })
            .collect();
        futures_util::stream::iter(fetches)
            .buffered(FETCHES_AT_ONCE)
            .collect()
            .await
    }

    /// Fetches from the first upstream that has the schema, or from that of `repository`.
    async fn fetch_first(&self, repository: Option<&str>, uri: &SchemaUri) -> Option<String> {
        let mut failure = None;
        for upstream in &self.upstreams {
            if repository.is_some_and(|name| name != upstream.repository) {
                continue;
            }
            match self.fetch(upstream, uri).await {
                Ok(true) => return None,
                Ok(false) => {}
                Err(why) => failure = failure.or(Some(why)),
            }
        }
        failure
    }

    /// Fetches what has not been of late, once for all requests that ask at the same time.
    async fn fetch(&self, upstream: &Upstream, uri: &SchemaUri) -> Outcome {
        let place = format!("{}{uri}", upstream.repository);
        loop {
            let now = self.platform.now();
            if let Some(known) = self.memory.outcome(&upstream.repository, &place, now) {
                return known;
            }
            let Some(_under_way) = self.memory.begin(&place, now) else {
                self.platform.sleep(WAIT).await;
                continue;
            };
            let outcome = self.fetch_and_publish(upstream, uri).await;
            self.memory.ended(&place, &outcome, self.platform.now());
            return outcome;
        }
    }

    async fn fetch_and_publish(&self, upstream: &Upstream, uri: &SchemaUri) -> Outcome {
        let Some(file) = self.get(upstream, uri).await? else {
            return Ok(false);
        };
        let mut files = vec![file];
        let versions = keys::versions(&upstream.repository, uri.title());
        let is_first = self
            .registry
            .value(&versions)
            .await
            .map_err(unavailable)?
            .is_none();
        // The only version of a title is its latest, which it need not be at the upstream.
        let latest = SchemaUri::parse(&format!("/{}/latest", uri.title())).ok();
        if let Some(latest) = latest.filter(|_| is_first && !uri.is_latest())
            && let Ok(Some(latest)) = self.get(upstream, &latest).await
        {
            files.push(latest);
        }
        files.dedup_by(|latest, file| latest.version == file.version);
        self.publish(upstream, files).await
    }

    /// The schema at `uri` as the upstream has it; `None` when it does not have it.
    async fn get(&self, upstream: &Upstream, uri: &SchemaUri) -> Result<Option<SchemaFile>, String> {
        if uri.is_latest() {
            let place = format!("{}{uri}", upstream.repository);
            self.memory.looked_at_latest(&place, self.platform.now());
        }
        let request = answer::request(upstream, uri).ok_or("it has no such URI")?;
        let answer = match self.platform.http().send(request, LIMITS).await {
            Ok(answer) => answer::schema(uri, &answer),
            Err(error) => Err(unfit(&error)),
        };
        answer.map_err(|Unfit { why, is_down }| {
            let why = format!("upstream {} gives no {uri}: {why}", upstream.repository);
            if is_down {
                self.memory
                    .is_down(&upstream.repository, &why, self.platform.now());
            }
            self.platform.log(Level::Warn, &why);
            why
        })
    }

    /// Publishes what was fetched. A version that is there stays as it is.
    async fn publish(&self, upstream: &Upstream, files: Vec<SchemaFile>) -> Outcome {
        let mut new = Vec::with_capacity(files.len());
        for file in files {
            if !self.is_published(upstream, &file).await.map_err(unavailable)? {
                new.push(file);
            }
        }
        let order: Vec<&str> = self
            .upstreams
            .iter()
            .map(|each| each.repository.as_str())
            .collect();
        let now = self.platform.now();
        match self
            .registry
            .publish_fetched(&order, &upstream.repository, &new, now)
            .await
        {
            Ok(()) => Ok(true),
            Err(error) => {
                let why = format!(
                    "what upstream {} gives is not published: {error}",
                    upstream.repository
                );
                self.platform.log(Level::Warn, &why);
                Err(why)
            }
        }
    }

    async fn is_published(&self, upstream: &Upstream, file: &SchemaFile) -> Result<bool, PortError> {
        let uri = SchemaUri::parse(&format!("/{}/{}", file.title, file.version))
            .map_err(|error| PortError::corrupt("http", error.to_string()))?;
        let key = keys::schema(&upstream.repository, &uri);
        let Some(value) = self.registry.value(&key).await? else {
            return Ok(false);
        };
        let published: SchemaDocument = decode(&key, &value)?;
        let value = |json: &str| serde_json::from_str::<Value>(json).ok();
        if value(&published.json) != value(&file.json) {
            self.platform.log(
                Level::Error,
                &format!(
                    "upstream {} has changed {uri}: a version never changes, so the one published here is kept",
                    upstream.repository
                ),
            );
        }
        Ok(true)
    }

    /// Looks whether upstreams have a newer version than `latest` under `keys`. What fails is logged, and stays as it is.
    async fn refresh(&self, keys: &[String]) -> Result<Published, RegistryError> {
        for key in keys {
            let Some((repository, uri)) = keys::parse_schema(key).filter(|(_, uri)| uri.is_latest()) else {
                continue;
            };
            let repository = match (repository, self.registry.value(key).await?) {
                (Some(repository), _) => repository.to_owned(),
                (None, Some(value)) => decode::<SchemaDocument>(key, &value)?.repository,
                (None, None) => continue,
            };
            let upstream = self
                .upstreams
                .iter()
                .find(|upstream| upstream.repository == repository);
            let place = format!("{repository}{uri}");
            if let Some(upstream) =
                upstream.filter(|_| !self.memory.knows_latest(&place, self.platform.now()))
            {
                let _logged = self.fetch(upstream, &uri).await;
            }
        }
        Ok(Published::Refreshed)
    }
}

/// Upstreams have files for `x.y.z` and for `latest`.
fn is_version(version: &str) -> bool {
    version == "latest" || semver::Version::parse(version).is_ok()
}

fn unfit(error: &PortError) -> Unfit {
    Unfit {
        why: error.to_string(),
        is_down: matches!(error.kind, PortErrorKind::Unavailable | PortErrorKind::Timeout),
    }
}

fn unavailable(error: PortError) -> String {
    error.to_string()
}

#[cfg(test)]
mod tests;
