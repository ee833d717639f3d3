//! The platform in memory: every port, a manual clock, and faults that strike before or after a write took effect.
//! For tests only.

mod http;
mod memory;
mod sql;

pub use memory::{Fault, Memory};
pub use sql::MemorySql;
