//! Pages for browsers: plain HTML that works without scripts, in light and dark.

mod fields;
mod html;

pub use fields::fields_table;
pub use html::{CONTENT_TYPE, Html, with_policy};
