//! JSON Schema validation with the answers of AJV 6, EventGate's validator.
//!
//! [`Schema::compile`] once, [`Schema::validate`] many times. The `jsonschema` crate validates; this crate makes it
//! accept and refuse what AJV 6 does (its `fast` formats, defaults, nested `$id`s that repeat), and words its
//! errors as AJV does.
//!
//! Out of scope: loading and caching (`eventstar-stores`), compatibility between versions.

mod ajv;
mod breadth;
mod clean;
mod defaults;
mod dialect;
mod formats;
pub mod keywords;
mod metered;
mod order;
mod path;
mod pattern;
mod refs;
mod schema;
mod secure;

pub use ajv::{AjvError, MAX_ERRORS, errors_text};
pub use schema::{Schema, SchemaError};
