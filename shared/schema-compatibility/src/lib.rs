//! What a new version of a schema breaks, and what keeps a schema from being a good one.
//!
//! [`compare`] finds the incompatibilities of two versions, [`counter_example`] an event that shows one, and
//! [`robustness`] the faults of one version: the rules of `jsonschema-tools`, and what those miss.
//!
//! Schemas are taken as materialized: `$ref` leads into the same document or is not followed.
//!
//! Out of scope: reading repositories, materializing, and what a report looks like.

mod compare;
mod counter_example;
mod edit;
mod incompatibility;
mod instance;
mod keywords;
mod robustness;
mod schema;

pub use compare::compare;
pub use counter_example::{Versions, counter_example};
pub use incompatibility::{Direction, Incompatibility, Policy, Rule};
pub use robustness::{Bounds, Case, Fault, robustness, unknown_keywords};
