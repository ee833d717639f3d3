//! Documents as text, byte for byte as `jsonschema-tools` writes them: YAML as js-yaml 3 dumps it, JSON as
//! json-stable-stringify does.

mod json;
mod scalar;
mod yaml;

pub use json::write_json;
pub use yaml::write_yaml;

/// A number as JavaScript shows it.
fn number(value: f64) -> String {
    ryu_js::Buffer::new().format(value).to_owned()
}
