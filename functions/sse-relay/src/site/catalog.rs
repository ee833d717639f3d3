//! Which streams can be read, and what their events look like.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use eventstar_delivery::DEAD_LETTER_TOPIC;
use eventstar_event::SchemaUri;
use eventstar_event::time::Millis;
use eventstar_ports::{Config, Platform, PortError};
use eventstar_stores::{ConfigCache, Configs, SchemaDocument, decode, keys, read_many_through};
use serde_json::Value;

use crate::select::{may_read, topics_of};

/// How long schemas are taken to be what they were, in milliseconds: `latest` lives as long elsewhere.
const LIFE: Millis = 60_000;

/// Schemas read at once: as many as one bulk read of Workers KV takes.
const MAX_KEYS: usize = 100;

/// Most schemas read for one answer: each hundred takes a subrequest of KV and at most one of the registry, of the 50 that
/// Workers allows.
const MAX_SCHEMAS: usize = 500;

/// Most bytes of schemas kept: some times as much in memory, of an isolate's 128 MB.
const MAX_SCHEMA_BYTES: usize = 4 * 1024 * 1024;

/// Most aliases listed: each repeats what is said of its stream. Wikimedia has nine.
const MAX_ALIASES: usize = 100;

/// What is said of a schema beyond these bounds.
const TOO_MANY: &str = "Its schema is left out: there are too many to show here.";

/// A stream that can be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Readable {
    pub(crate) name: String,
    /// Whether that is another name of a stream.
    pub(crate) is_alias: bool,
    pub(crate) description: Option<String>,
    /// The title that schemas of its events have.
    pub(crate) title: Option<String>,
    uri: Option<SchemaUri>,
}

impl Readable {
    fn known_as(&self, alias: &str) -> Self {
        let what = format!("An alias of {}.", self.name);
        let texts = [Some(what), self.description.clone()];
        Self {
            name: alias.to_owned(),
            is_alias: true,
            description: Some(texts.into_iter().flatten().collect::<Vec<_>>().join(" ")),
            ..self.clone()
        }
    }
}

/// The schema of a stream's events, as far as it is known.
#[derive(Debug)]
pub(crate) enum Shape {
    Known(Rc<Document>),
    /// Why it is not known.
    Unknown(&'static str),
}

/// A schema.
#[derive(Debug)]
pub(crate) struct Document {
    pub(crate) title: String,
    pub(crate) version: String,
    pub(crate) schema: Value,
}

/// The streams that can be read, by name, with their schemas.
#[derive(Debug, Default)]
pub(crate) struct Catalog {
    pub(crate) streams: Vec<(Readable, Shape)>,
}

struct Cached {
    version: u64,
    allowed: String,
    read: Millis,
    catalog: Rc<Catalog>,
}

/// The catalog of one isolate.
#[derive(Default)]
pub(crate) struct CatalogCache(RefCell<Option<Cached>>);

impl CatalogCache {
    /// The catalog of the current config: cached for as long as that stays, and at most for [`LIFE`]. One that lacks schemas
    /// because they could not be read is not kept.
    ///
    /// # Errors
    /// When there is no stream config.
    pub(crate) async fn current<P: Platform>(
        &self,
        platform: &P,
        configs: &ConfigCache,
    ) -> Result<Rc<Catalog>, PortError> {
        let configs = configs.current(platform).await?;
        let allowed = platform.get("ALLOWED_STREAMS").unwrap_or_default();
        let now = platform.now();
        if let Some(cached) = &*self.0.borrow()
            && cached.version == configs.version
            && cached.allowed == allowed
            && now < cached.read + LIFE
        {
            return Ok(Rc::clone(&cached.catalog));
        }
        let (catalog, is_whole) = read(platform, readable(platform, &configs)).await;
        let catalog = Rc::new(catalog);
        *self.0.borrow_mut() = is_whole.then(|| Cached {
            version: configs.version,
            allowed,
            read: now,
            catalog: Rc::clone(&catalog),
        });
        Ok(catalog)
    }
}

/// The streams that the public may read, by name; aliases are listed as streams of their own, as EventStreams does.
pub(crate) fn readable(config: &impl Config, configs: &Configs) -> Vec<Readable> {
    let allowed = config.get("ALLOWED_STREAMS").unwrap_or_default();
    let names = configs.streams.names().chain([DEAD_LETTER_TOPIC]);
    let mut readable: Vec<Readable> = names
        .filter(|name| may_read(&allowed, configs, name) && topics_of(configs, name).is_some())
        .map(|name| described(configs, name))
        .collect();
    readable.sort_by(|a, b| a.name.cmp(&b.name));
    let aliases: Vec<Readable> = configs
        .streams
        .aliases()
        .filter_map(|(alias, name)| {
            let place = readable.binary_search_by(|stream| stream.name.as_str().cmp(name));
            Some(readable.get(place.ok()?)?.known_as(alias))
        })
        .take(MAX_ALIASES)
        .collect();
    readable.extend(aliases);
    readable.sort_by(|a, b| a.name.cmp(&b.name));
    readable
}

fn described(configs: &Configs, name: &str) -> Readable {
    let settings = configs.streams.settings(name).unwrap_or_default();
    let setting = |name: &str| settings.get(name).and_then(Value::as_str).map(str::to_owned);
    let title = setting("schema_title");
    let newest = title.as_ref().map(|title| format!("/{title}/latest"));
    let uri = setting("$schema").or(newest);
    Readable {
        name: name.to_owned(),
        is_alias: false,
        description: setting("description"),
        title,
        uri: uri.and_then(|uri| SchemaUri::parse(&uri).ok()),
    }
}

/// Adds the schemas; also tells whether none is missing because it could not be read now.
async fn read<P: Platform>(platform: &P, streams: Vec<Readable>) -> (Catalog, bool) {
    let mut shapes: BTreeMap<String, Shape> = BTreeMap::new();
    for uri in streams.iter().filter_map(|stream| stream.uri.as_ref()) {
        shapes.insert(keys::uri(uri), Shape::Unknown(TOO_MANY));
    }
    let (mut bytes, mut is_whole) = (0, true);
    let wanted: Vec<String> = shapes.keys().take(MAX_SCHEMAS).cloned().collect();
    for keys in wanted.chunks(MAX_KEYS) {
        for (key, value) in keys.iter().zip(read_many_through(platform, keys).await) {
            is_whole &= value.is_ok();
            bytes += value
                .as_ref()
                .map_or(0, |value| value.as_ref().map_or(0, Vec::len));
            let shape = if bytes > MAX_SCHEMA_BYTES {
                Shape::Unknown(TOO_MANY)
            } else {
                shape(key, value)
            };
            shapes.insert(key.clone(), shape);
        }
    }
    let streams = streams
        .into_iter()
        .map(|stream| {
            let key = stream.uri.as_ref().map(keys::uri);
            let shape = match key.and_then(|key| shapes.get(&key)) {
                Some(Shape::Known(document)) => Shape::Known(Rc::clone(document)),
                Some(Shape::Unknown(why)) => Shape::Unknown(why),
                None => Shape::Unknown("The stream config names no schema."),
            };
            (stream, shape)
        })
        .collect();
    (Catalog { streams }, is_whole)
}

fn shape(key: &str, value: Result<Option<Vec<u8>>, PortError>) -> Shape {
    match value {
        Err(_) => Shape::Unknown("Its schema cannot be read now: try again."),
        Ok(None) => Shape::Unknown("Its schema is not published."),
        Ok(Some(value)) => document(key, &value)
            .map_or(Shape::Unknown("Its schema cannot be used."), |document| {
                Shape::Known(Rc::new(document))
            }),
    }
}

fn document(key: &str, value: &[u8]) -> Option<Document> {
    let document: SchemaDocument = decode(key, value).ok()?;
    let schema: Value = serde_json::from_str(&document.json).ok()?;
    schema.is_object().then_some(Document {
        title: document.title,
        version: document.version,
        schema,
    })
}
