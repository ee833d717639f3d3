//! Delivery ids that are made from what is delivered.

use uuid::Builder;

/// The delivery id of `text` within `scope`, a stream or the like: a UUID of version 8, of a BLAKE3 hash. The same text has it
/// again.
#[must_use]
pub fn id_of(scope: &str, text: &str) -> String {
    // No scope has a NUL in its name.
    let mut hasher = blake3::Hasher::new();
    hasher.update(scope.as_bytes());
    hasher.update(&[0]);
    hasher.update(text.as_bytes());
    let mut bytes = [0; 16];
    hasher.finalize_xof().fill(&mut bytes);
    Builder::from_custom_bytes(bytes).into_uuid().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Old and new isolates are at work at the same time while a new version is deployed.
    #[test]
    fn an_id_is_the_same_in_every_version() {
        for (scope, text, expected) in [
            ("a", "{}", "953003fa-5cbe-8b84-8ff7-9eff37a5c6f3"),
            ("a{}", "", "b725a32a-1803-88fc-ae42-45248f3a6167"),
            ("b", "{}", "8a97e864-c541-8fcd-9045-2c5c3de51e7a"),
        ] {
            assert_eq!(id_of(scope, text), expected);
        }
    }
}
