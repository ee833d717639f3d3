//! The `eventstar` command as a library: reads schema repositories and stream configuration from disk and
//! publishes them through the admin routes of a running Eventstar.
//!
//! Out of scope: validating events, and compiling schemas: the registry refuses what it cannot use, and names it.

mod admin;
mod arguments;
mod schema_repository;
mod stream_config;
mod yaml;

pub use admin::{Admin, PublishedSchemas, PublishedStreams};
pub use arguments::Arguments;
pub use schema_repository::{SchemaRepository, SchemaVersion};
pub use stream_config::StreamConfigFile;
