//! Events: reading and patching their JSON text, their names, and the envelope they travel in.
//!
//! An *event* is a JSON object whose `$schema` names a JSON Schema and whose `meta.stream` names the
//! stream it belongs to. The bytes a producer sent are kept: key order, number texts and string escapes
//! survive; only whitespace outside strings is removed. So everything here works on text, which is read once and
//! changed by splicing.
//!
//! In scope: names, time texts, JSON text, envelopes. Out of scope: validation, storage, HTTP.

pub mod document;
pub mod envelope;
mod id;
pub mod json;
pub mod names;
pub mod partition;
pub mod time;

pub use document::{Document, Kind, Node};
pub use envelope::{Envelope, EnvelopeError, MAX_EVENT_BYTES};
pub use id::id_of;
pub use json::JsonError;
pub use names::{BadName, SchemaUri, StreamName, Topic};
