//! Gathers what the decision needs: each schema and the stream config, once a request.

use std::borrow::Cow;
use std::collections::HashMap;
use std::rc::Rc;

use eventstar_event::names::{MAX_NAME_BYTES, MAX_SCHEMA_URI_BYTES};
use eventstar_event::{Document, SchemaUri};
use eventstar_ports::{Platform, PortError};
use eventstar_stores::{Configs, SchemaLookup, load_schemas};
use eventstar_stream_config::Stream;

use crate::Isolate;
use crate::answer::Failure;
use crate::limits::{MAX_NAME_SHOWN, MAX_SCHEMAS, MAX_TARGETS};

/// What was found.
pub(crate) struct Gathered {
    /// The schema URIs, sorted, and what each leads to.
    uris: Vec<SchemaUri>,
    schemas: Vec<Result<SchemaLookup, PortError>>,
    pub(crate) configs: Result<Rc<Configs>, PortError>,
}

impl Gathered {
    /// What a schema URI leads to; `None` for one beyond those that a request may name.
    pub(crate) fn schema(&self, uri: &SchemaUri) -> Option<&Result<SchemaLookup, PortError>> {
        self.schemas.get(self.uris.binary_search(uri).ok()?)
    }

    /// The settings of a stream, where it is configured.
    pub(crate) fn stream(&self, name: &str) -> Option<Rc<Stream>> {
        self.configs.as_ref().ok()?.streams.stream(name)
    }
}

pub(crate) async fn gather<P: Platform>(isolate: &Isolate, platform: &P, targets: &Targets) -> Gathered {
    let uris = targets.schema_uris();
    let version = isolate.version.from_now();
    let streams = targets.streams();
    Gathered {
        schemas: load_schemas(&isolate.schemas, platform, &version, &uris).await,
        uris,
        configs: isolate.configs.with_streams(platform, &version, streams).await,
    }
}

/// Most targets that are looked for one by one.
const FEW: usize = 8;

/// The schemas and streams that the events of a request name.
#[derive(Debug, Default)]
pub(crate) struct Targets {
    named: Vec<Named>,
    /// The keys of the first few targets, and the places of all once there are more.
    keys: Vec<String>,
    places: HashMap<String, usize>,
    /// The key of the event at hand, and before that of the one before.
    key: String,
    last: Option<usize>,
}

/// A schema and a stream as events name them.
#[derive(Debug)]
pub(crate) struct Named {
    pub(crate) uri: Result<SchemaUri, Failure>,
    pub(crate) stream: Option<String>,
}

impl Targets {
    /// The place of the target that an event names.
    ///
    /// # Errors
    /// [`Failure`] when the event names no schema, or one more than a request may name.
    pub(crate) fn place(&mut self, event: &Document<'_>) -> Result<usize, Failure> {
        let uri = match event.get(&["$schema"]) {
            None => return Err(missing("$schema")),
            Some(uri) => match uri.as_str() {
                Some(uri) => uri,
                None if uri.text() == "null" => return Err(missing("$schema")),
                None => {
                    return Err(Failure::client(
                        "schema_uri_not_text",
                        "$schema is no string: set it to the URI of the event's schema, for example /test/event/1.0.0",
                    ));
                }
            },
        };
        // What is longer is no name either way, and nothing of its length is kept.
        let uri = beginning(&uri, MAX_SCHEMA_URI_BYTES + 1);
        let stream = event.get_str(&["meta", "stream"]);
        let stream = stream
            .as_deref()
            .map(|stream| beginning(stream, MAX_NAME_BYTES + 1));
        if uri.contains('\n') {
            schema_uri(uri)?;
        }
        // No schema URI has a line break in it, and an event without a stream has no second line.
        let stream_line = stream.map(|stream| ["\n", stream]);
        let parts = || [uri].into_iter().chain(stream_line.into_iter().flatten());
        if let Some(last) = self.last.filter(|_| is_made_of(&self.key, parts())) {
            return Ok(last);
        }
        self.key.clear();
        self.key.extend(parts());
        let place = match self.known() {
            Some(known) => known,
            None if self.named.len() >= MAX_TARGETS => {
                let message = format!(
                    "the request names more than {MAX_TARGETS} different streams and schemas: split it"
                );
                return Err(Failure::client("too_many_streams", message));
            }
            None => {
                self.named.push(Named {
                    uri: schema_uri(uri),
                    stream: stream.map(str::to_owned),
                });
                self.remember();
                self.named.len() - 1
            }
        };
        self.last = Some(place);
        Ok(place)
    }

    /// The place of the key at hand.
    fn known(&self) -> Option<usize> {
        match self.places.is_empty() {
            true => self.keys.iter().position(|key| *key == self.key),
            false => self.places.get(&self.key).copied(),
        }
    }

    /// Remembers the key at hand as that of the last target.
    fn remember(&mut self) {
        if self.places.is_empty() && self.keys.len() < FEW {
            self.keys.push(self.key.clone());
            return;
        }
        self.places
            .extend(self.keys.drain(..).enumerate().map(|(place, key)| (key, place)));
        self.places.insert(self.key.clone(), self.named.len() - 1);
    }

    /// The schema URIs, sorted, each once, and no more than a request may name.
    pub(crate) fn schema_uris(&self) -> Vec<SchemaUri> {
        let mut uris: Vec<&SchemaUri> = self
            .named
            .iter()
            .filter_map(|named| named.uri.as_ref().ok())
            .collect();
        uris.sort_unstable();
        uris.dedup();
        uris.truncate(MAX_SCHEMAS);
        uris.into_iter().cloned().collect()
    }

    /// The streams.
    pub(crate) fn streams(&self) -> impl Iterator<Item = &str> {
        self.named.iter().filter_map(|named| named.stream.as_deref())
    }

    /// The targets, in the order of their places.
    pub(crate) fn named(&self) -> impl Iterator<Item = &Named> {
        self.named.iter()
    }
}

fn is_made_of<'p>(mut text: &str, parts: impl Iterator<Item = &'p str>) -> bool {
    for part in parts {
        match text.strip_prefix(part) {
            Some(rest) => text = rest,
            None => return false,
        }
    }
    text.is_empty()
}

/// EventGate's words: a URI that leads out of the repositories is a schema that cannot be loaded.
fn schema_uri(text: &str) -> Result<SchemaUri, Failure> {
    SchemaUri::parse(text).map_err(|_| {
        let message = format!("Failed loading schema at {}", shorten(text));
        Failure::client("unknown_schema", message)
    })
}

/// EventGate's words for an event that lacks what says where it belongs.
pub(crate) fn missing(field: &str) -> Failure {
    let message = format!("Field(s) {field} were missing from event and could not be extracted.");
    Failure::client("missing_field", message)
}

/// A name as an answer repeats it.
pub(crate) fn shorten(text: &str) -> Cow<'_, str> {
    let shown = beginning(text, MAX_NAME_SHOWN);
    if shown.len() < text.len() {
        Cow::Owned(format!("{shown}…"))
    } else {
        Cow::Borrowed(text)
    }
}

/// The first characters of a text.
fn beginning(text: &str, most: usize) -> &str {
    let end = text.char_indices().nth(most).map_or(text.len(), |(end, _)| end);
    text.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_share_a_target_only_if_they_name_the_same_schema_and_stream() {
        let mut targets = Targets::default();
        let mut place = |schema: &str, stream: Option<&str>| {
            let meta = stream.map_or_else(String::new, |stream| {
                format!(r#","meta":{{"stream":"{stream}"}}"#)
            });
            targets.place(&Document::parse(format!(r#"{{"$schema":"{schema}"{meta}}}"#)).unwrap())
        };
        assert_eq!(place("/a/1.0.0", Some("b")).unwrap(), 0);
        assert!(place(r"/a/1.0.0\nb", None).is_err(), "not the first one's");
        assert_eq!(place("/a/1.0.0", None).unwrap(), 1);
        assert_eq!(place("/a/1.0.0", Some("")).unwrap(), 2);
        assert_eq!(place("/a/1.0.0", Some("b")).unwrap(), 0);
        for n in 0..3 * FEW {
            assert_eq!(place(&format!("/a/1.0.{n}"), Some("c")).unwrap(), 3 + n);
        }
        for n in 0..3 * FEW {
            assert_eq!(place(&format!("/a/1.0.{n}"), Some("c")).unwrap(), 3 + n);
        }
        assert_eq!(place("/a/1.0.0", None).unwrap(), 1);
    }
}
