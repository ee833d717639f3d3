//! Stream config: the map from stream name (or `/regex/`) to settings, as MediaWiki's EventStreamConfig has it.
//!
//! In scope: reading and checking a config, lookup (exact, then the first regex in order), the merge of defaults
//! (`array_replace_recursive`), `topics`, constraints, message key and partition of an event. Out of scope: where a config is stored, and HTTP.

mod constraints;
mod key;
mod merge;
mod model;
mod pattern;
mod stream;
mod succession;

pub use constraints::{Constraints, MAX_CONSTRAINTS, TooManyConstraints};
pub use key::MissingKeyField;
pub use merge::merge;
pub use model::{ConfigError, StreamConfigs};
pub use pattern::StreamPattern;
pub use stream::{Accept, MAX_PARTITIONS, Stream};
