//! Compiled schemas, cached in the isolate.
//!
//! A published version never changes, so it never expires. `latest` lives 60 s, and that a schema is unknown is
//! remembered for 5 s. Nothing of one request is awaited by another: a request that finds nothing in the
//! cache loads for itself, and within one request the caller loads each schema once.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use eventstar_event::SchemaUri;
use eventstar_event::time::Millis;
use eventstar_ports::{KeyValue, Platform, PortError, Published, Registry, RegistryError, RegistryRequest};
use eventstar_validation::Schema;

use crate::keys;
use crate::stored::{SchemaDocument, decode};

/// Most schemas cached; a compiled one takes some tens of kilobytes of an isolate's 128 MB.
const MAX_CACHED: usize = 512;

/// How long `latest` is taken to be what it was, in milliseconds.
const LATEST_LIFE: Millis = 60_000;

/// How long an unknown or broken schema is taken to be so, in milliseconds.
const MISS_LIFE: Millis = 5_000;

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
    lookup: SchemaLookup,
    until: Millis,
    used: u64,
}

/// The cache of one isolate.
#[derive(Debug, Default)]
pub struct SchemaCache {
    entries: RefCell<HashMap<SchemaUri, Cached>>,
    uses: Cell<u64>,
    hits: Cell<u64>,
    misses: Cell<u64>,
}

impl SchemaCache {
    /// What is known of `uri` at `now`.
    #[must_use]
    pub fn get(&self, uri: &SchemaUri, now: Millis) -> Option<SchemaLookup> {
        let mut entries = self.entries.borrow_mut();
        let cached = entries.get_mut(uri).filter(|cached| cached.until > now)?;
        self.uses.set(self.uses.get() + 1);
        cached.used = self.uses.get();
        Some(cached.lookup.clone())
    }

    /// How many lookups found their schema here, and how many did not, since this was last asked.
    #[must_use]
    pub fn take_counts(&self) -> (u64, u64) {
        (self.hits.take(), self.misses.take())
    }

    fn put(&self, uri: SchemaUri, lookup: SchemaLookup, now: Millis) {
        let until = match &lookup {
            SchemaLookup::Found(_) if uri.is_latest() => now + LATEST_LIFE,
            SchemaLookup::Found(_) => Millis::MAX,
            SchemaLookup::Unknown | SchemaLookup::Broken(_) | SchemaLookup::Insecure(_) => now + MISS_LIFE,
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
                lookup,
                until,
                used: self.uses.get(),
            },
        );
    }
}

/// Looks `uri` up: in the cache, in edge KV, and once in the registry before it counts as unknown.
///
/// # Errors
/// The platform's, when KV fails and the registry too.
pub async fn load_schema<P: Platform>(
    cache: &SchemaCache,
    platform: &P,
    uri: &SchemaUri,
) -> Result<SchemaLookup, PortError> {
    if let Some(known) = cache.get(uri, platform.now()) {
        cache.hits.set(cache.hits.get() + 1);
        return Ok(known);
    }
    cache.misses.set(cache.misses.get() + 1);
    let key = keys::uri(uri);
    let lookup = match read_through(platform, &key).await? {
        None => SchemaLookup::Unknown,
        Some(value) => {
            let document: SchemaDocument = decode(&key, &value)?;
            match Schema::compile(&document.json) {
                Ok(schema) => match schema.insecurity().filter(|_| !allowed(platform)) {
                    None => SchemaLookup::Found(Rc::new(schema)),
                    Some(error) => SchemaLookup::Insecure(error.to_string()),
                },
                Err(error) => SchemaLookup::Broken(error.to_string()),
            }
        }
    };
    cache.put(uri.clone(), lookup.clone(), platform.now());
    Ok(lookup)
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
    if let Ok(Some(value)) = platform.kv().get(key).await {
        return Ok(Some(value));
    }
    match platform
        .registry()
        .ask(RegistryRequest::Lookup { key: key.to_owned() })
        .await
    {
        Ok(Published::Value(value)) => Ok(value),
        Ok(other) => Err(PortError::corrupt(
            "registry",
            format!("{other:?} is no answer to a lookup"),
        )),
        Err(RegistryError::Unavailable { detail }) => Err(PortError::unavailable("registry", detail)),
        Err(error) => Err(PortError::corrupt("registry", error.to_string())),
    }
}
