//! Compiled schemas, cached in the isolate.
//!
//! A published version never changes, so it never expires. `latest` lives 60 s, and that a schema is unknown is
//! remembered for at most 5 s, and no longer than nothing is published. Nothing of one request is awaited by another: a request that finds nothing in the
//! cache loads for itself, and within one request the caller loads each schema once.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use eventstar_event::SchemaUri;
use eventstar_event::time::Millis;
use eventstar_ports::{
    KeyValue, Level, Platform, PortError, Published, Registry, RegistryError, RegistryRequest,
};
use eventstar_validation::Schema;

use crate::expiring::Expiring;
use crate::keys;
use crate::stored::{SchemaDocument, decode};
use crate::upstream::has_upstreams;
use crate::version::VersionFromNow;

/// Most schemas cached; a compiled one takes some tens of kilobytes of an isolate's 128 MB.
const MAX_CACHED: usize = 512;

/// How long `latest` is taken to be what it was, in milliseconds.
const LATEST_LIFE: Millis = 60_000;

/// How long an unknown or broken schema is taken to be so, in milliseconds: with the second that the registry takes an
/// upstream to lack it, five seconds.
const MISS_LIFE: Millis = 4_000;

/// What a schema URI leads to.
#[derive(Debug, Clone)]
pub enum SchemaLookup {
    /// A schema.
    Found(Rc<Schema>),
    /// No repository has it.
    Unknown,
    /// It is published, but cannot be used; the text says why.
    Broken(String),
    /// It is published, but events of strangers could be slow to check against it; the text says where.
    Insecure(String),
}

#[derive(Debug)]
struct Cached {
    schema: Rc<Schema>,
    until: Millis,
    used: u64,
}

/// The cache of one isolate.
#[derive(Debug, Default)]
pub struct SchemaCache {
    entries: RefCell<HashMap<SchemaUri, Cached>>,
    /// The URIs that nothing usable is at, apart from the schemas: strangers can ask for any number of them. With each, how
    /// often schemas had been published before it was looked for, where that was known.
    missing: Expiring<(SchemaLookup, Option<u64>)>,
    uses: Cell<u64>,
    hits: Cell<u64>,
    misses: Cell<u64>,
    latest: LatestChecks,
}

impl SchemaCache {
    /// The schema at `uri`, where it is here at `now`.
    fn get(&self, uri: &SchemaUri, now: Millis) -> Option<SchemaLookup> {
        let mut entries = self.entries.borrow_mut();
        let cached = entries.get_mut(uri).filter(|cached| cached.until > now)?;
        self.uses.set(self.uses.get() + 1);
        cached.used = self.uses.get();
        Some(SchemaLookup::Found(Rc::clone(&cached.schema)))
    }

    /// How many lookups found their schema here, and how many did not, since this was last asked.
    #[must_use]
    pub fn take_counts(&self) -> (u64, u64) {
        (self.hits.take(), self.misses.take())
    }

    /// Keeps what `uri` leads to, which was looked for when schemas had been `published` that often.
    fn put(&self, uri: SchemaUri, lookup: &SchemaLookup, published: Option<u64>, now: Millis) {
        let SchemaLookup::Found(schema) = lookup else {
            let missing = (lookup.clone(), published);
            return self.missing.put(&uri.to_string(), missing, now, MISS_LIFE);
        };
        self.missing.remove(&uri.to_string());
        let until = match uri.is_latest() {
            true => now + LATEST_LIFE,
            false => Millis::MAX,
        };
        let mut entries = self.entries.borrow_mut();
        if entries.len() >= MAX_CACHED && !entries.contains_key(&uri) {
            let oldest = entries
                .iter()
                .min_by_key(|(_, cached)| cached.used)
                .map(|(uri, _)| uri.clone());
            oldest.map(|uri| entries.remove(&uri));
        }
        self.uses.set(self.uses.get() + 1);
        entries.insert(
            uri,
            Cached {
                schema: Rc::clone(schema),
                until,
                used: self.uses.get(),
            },
        );
    }
}

/// Looks `uris` up: in the cache, in edge KV, and once in the registry before they count as unknown; one read of each
/// however many they are. The results are in the order of `uris`; one is an error when KV fails and the registry too.
/// `version` is as of the beginning of the request: with it, what nothing usable was at is looked up again if schemas were
/// published since.
pub async fn load_schemas<P: Platform>(
    cache: &SchemaCache,
    platform: &P,
    version: &VersionFromNow<'_>,
    uris: &[SchemaUri],
) -> Vec<Result<SchemaLookup, PortError>> {
    let now = platform.now();
    let mut found: Vec<Result<SchemaLookup, PortError>> = Vec::with_capacity(uris.len());
    let mut cold = Vec::new();
    for (place, uri) in uris.iter().enumerate() {
        let mut known = cache.get(uri, now);
        if known.is_none()
            && let Some((missing, published)) = cache.missing.get(&uri.to_string(), now)
        {
            // A version that was published stays as it is.
            let may_change = matches!(missing, SchemaLookup::Unknown) || uri.is_latest();
            let newest = match may_change {
                true => version.get(platform).await.map(|version| version.schemas),
                false => None,
            };
            known = Some(missing).filter(|_| newest.is_none() || newest == published);
        }
        let count = if known.is_some() {
            &cache.hits
        } else {
            &cache.misses
        };
        count.set(count.get() + 1);
        if known.is_none() {
            cold.push((place, uri));
        }
        found.push(Ok(known.unwrap_or(SchemaLookup::Unknown)));
    }
    if cold.is_empty() {
        return found;
    }
    let published = version.known().map(|version| version.schemas);
    let keys: Vec<String> = cold.iter().map(|(_, uri)| keys::uri(uri)).collect();
    let values = read_many_through(platform, &keys).await;
    let latest = cold.iter().zip(&keys).filter(|((_, uri), _)| uri.is_latest());
    cache
        .latest
        .check_later(platform, latest.map(|(_, key)| key.as_str()));
    for (((place, uri), key), value) in cold.into_iter().zip(&keys).zip(values) {
        let lookup = value.and_then(|value| compiled(platform, key, value));
        if let Ok(lookup) = &lookup {
            cache.put(uri.clone(), lookup, published, platform.now());
        }
        if let Some(found) = found.get_mut(place) {
            *found = lookup;
        }
    }
    found
}

fn compiled<P: Platform>(platform: &P, key: &str, value: Option<Vec<u8>>) -> Result<SchemaLookup, PortError> {
    let Some(value) = value else {
        return Ok(SchemaLookup::Unknown);
    };
    let document: SchemaDocument = decode(key, &value)?;
    Ok(match Schema::compile(&document.json) {
        Ok(schema) => match schema.insecurity().filter(|_| !allowed(platform)) {
            None => SchemaLookup::Found(Rc::new(schema)),
            Some(error) => SchemaLookup::Insecure(error.to_string()),
        },
        Err(error) => SchemaLookup::Broken(error.to_string()),
    })
}

/// Whether insecure schemas may be used: EventGate's `allowInsecureSchemas`.
fn allowed<P: Platform>(platform: &P) -> bool {
    platform.get("ALLOW_INSECURE_SCHEMAS").as_deref() == Some("true")
}

/// The value under `key`: KV's, or the registry's where KV has none or fails. KV may not have heard of a write yet.
///
/// # Errors
/// The registry's.
pub async fn read_through<P: Platform>(platform: &P, key: &str) -> Result<Option<Vec<u8>>, PortError> {
    let values = read_many_through(platform, &[key.to_owned()]).await;
    values.into_iter().next().unwrap_or(Ok(None))
}

/// The same for at most 100 keys, in their order.
pub async fn read_many_through<P: Platform>(
    platform: &P,
    keys: &[String],
) -> Vec<Result<Option<Vec<u8>>, PortError>> {
    let values = match platform.kv().get_many(keys).await {
        Ok(values) => values,
        Err(_) => vec![None; keys.len()],
    };
    let missing: Vec<String> = keys
        .iter()
        .zip(&values)
        .filter(|(_, value)| value.is_none())
        .map(|(key, _)| key.clone())
        .collect();
    if missing.is_empty() {
        return values.into_iter().map(Ok).collect();
    }
    let mut found = look_up(platform, missing).await.into_iter();
    values
        .into_iter()
        .map(|value| match value {
            Some(value) => Ok(Some(value)),
            None => found.next().unwrap_or(Ok(None)),
        })
        .collect()
}

/// The registry's values under `keys`, in their order.
pub(crate) async fn look_up<P: Platform>(
    platform: &P,
    keys: Vec<String>,
) -> Vec<Result<Option<Vec<u8>>, PortError>> {
    let count = keys.len();
    let error = match platform.registry().ask(RegistryRequest::Lookup { keys }).await {
        Ok(Published::Values(found)) if found.len() == count => return found.into_iter().map(Ok).collect(),
        Ok(Published::PartialValues(found)) if found.len() == count => {
            let unavailable = |detail| PortError::unavailable("registry", detail);
            return found
                .into_iter()
                .map(|found| found.map_err(unavailable))
                .collect();
        }
        Ok(other) => PortError::corrupt("registry", format!("{other:?} is no answer to a lookup")),
        Err(RegistryError::Unavailable { detail }) => PortError::unavailable("registry", detail),
        Err(error) => PortError::corrupt("registry", error.to_string()),
    };
    vec![Err(error); count]
}

/// Which `latest` this isolate has had compared with the upstreams of late.
#[derive(Debug, Default)]
pub struct LatestChecks(Expiring<()>);

impl LatestChecks {
    /// Has `latest` under `keys` compared with what upstreams have, where there are any, after the answer.
    pub fn check_later<'k, P: Platform>(&self, platform: &P, keys: impl Iterator<Item = &'k str>) {
        if !has_upstreams(platform) {
            return;
        }
        let now = platform.now();
        let keys: Vec<String> = keys
            .filter(|key| self.0.get(key, now).is_none())
            .map(str::to_owned)
            .collect();
        if keys.is_empty() {
            return;
        }
        keys.iter().for_each(|key| self.0.put(key, (), now, LATEST_LIFE));
        let later = platform.clone();
        platform.spawn(async move {
            if let Err(error) = later.registry().ask(RegistryRequest::Refresh { keys }).await {
                let detail = format!("upstreams were not asked for newer schemas: {error}");
                later.log(Level::Warn, &detail);
            }
        });
    }
}
