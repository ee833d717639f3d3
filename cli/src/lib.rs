//! The `eventstar` command as a library: reads schema repositories and stream configuration from disk and
//! publishes them through the admin routes of a running Eventstar; checks events offline.

mod admin;
mod arguments;
mod place;
mod schema_repository;
mod stream_config;
mod validate;
mod yaml;

pub use admin::{Admin, PublishedSchemas, PublishedStreams};
pub use arguments::Arguments;
pub use schema_repository::{SchemaRepository, SchemaVersion};
pub use stream_config::StreamConfigFile;
