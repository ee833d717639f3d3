//! Schema repositories as `jsonschema-tools` keeps them, without input or output: the files of a repository in memory
//! go in, the files that should be there come out. What other servers have is asked for through [`Remote`].
//!
//! Out of scope: whether a schema is good (its rules and its compatibility), and publishing it.

mod compare;
mod dereference;
mod diff;
mod error;
mod example;
mod files;
mod materialize;
mod merge;
mod node;
mod options;
mod order;
mod remote;
mod text;

#[cfg(test)]
mod tests;

pub use diff::{diff, difference};
pub use error::{Fault, Problem};
pub use eventstar_yaml::{Malformed, check_json, token, yaml_to_json};
pub use files::{File, Files, Version, check_remote, read};
pub use materialize::{Change, Listed, Others, Repository};
pub use node::{Node, Object};
pub use options::{Bounds, Options};
pub use remote::{Remote, redirect};
pub use text::{write_json, write_yaml};
