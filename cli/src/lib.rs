//! The `eventstar` command as a library: materializes and checks schema repositories, reads them and stream configuration
//! from disk, publishes them through the admin routes of a running Eventstar, checks events offline, posts and reads them, and
//! replays dead letters.

mod admin;
mod arguments;
#[cfg(test)]
mod bad_input;
mod dead_letters;
mod diff;
#[cfg(test)]
mod fake;
mod http;
mod import;
mod intake;
mod interrupt;
mod lint;
mod place;
mod produce;
mod progress;
mod relay;
mod remote;
mod replay;
mod schema;
mod schema_check;
mod schema_publish;
mod schema_repository;
mod stream_command;
mod stream_config;
mod tail;
mod target;
mod validate;
mod workspace;
mod worktree;

pub use admin::{Admin, PublishedSchemas, PublishedStreams};
pub use arguments::Arguments;
pub use http::plain;
pub use schema_repository::{SchemaRepository, SchemaVersion};
pub use stream_config::StreamConfigFile;
