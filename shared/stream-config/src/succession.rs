//! Which config may come after which.

use crate::{ConfigError, StreamConfigs};

impl StreamConfigs {
    /// Checks whether this config may come after `earlier`: partitions may only grow. With fewer, keys would change theirs, and
    /// nobody would read the others any more.
    ///
    /// # Errors
    /// [`ConfigError`] names the first stream that has fewer.
    pub fn check_after(&self, earlier: &Self) -> Result<(), ConfigError> {
        for name in self.names().chain(earlier.names()) {
            let (Some(pointer), Some(now), Some(before)) =
                (self.pointer(name), self.entry(name), earlier.entry(name))
            else {
                continue;
            };
            if now.partitions < before.partitions && now.log_epoch <= before.log_epoch {
                return Err(ConfigError {
                    pointer: format!("{pointer}/partitions"),
                    message: format!(
                        "{name} has {} partitions now, and they may only grow: what is in the others would not be read any more. \
                         Keep them, or begin anew with empty logs: \"log_epoch\": {}",
                        before.partitions,
                        u64::from(before.log_epoch) + 1
                    ),
                });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn partitions_may_only_grow_within_an_epoch() {
        let a = |partitions: u32, epoch: u32| json!({"a": {"partitions": partitions, "log_epoch": epoch}});
        for (before, after, pointer) in [
            (a(2, 0), a(2, 0), None),
            (a(2, 0), a(3, 0), None),
            (a(3, 0), a(2, 0), Some("/a/partitions")),
            (a(3, 0), json!({"a": {}}), Some("/a/partitions")),
            (a(3, 0), a(2, 1), None),
            (a(3, 1), a(2, 0), Some("/a/partitions")),
            (a(3, 0), json!({}), None),
            (json!({}), a(1, 0), None),
            // By another key than before, and by defaults.
            (json!({"/^a/": {"partitions": 3}}), a(2, 0), Some("/a/partitions")),
            (a(3, 0), json!({"/^a/": {}}), Some("/~1^a~1/partitions")),
            (
                json!({"/^a/": {"partitions": 3}}),
                json!({"/^a/": {}}),
                Some("/~1^a~1/partitions"),
            ),
            (
                json!({"defaults": {"partitions": 4}, "streams": {"a": {}}}),
                json!({"defaults": {"partitions": 2}, "streams": {"a": {}}}),
                Some("/streams/a/partitions"),
            ),
        ] {
            let [before, after] = [before, after].map(|config| StreamConfigs::parse(&config).unwrap());
            let error = after.check_after(&before).err();
            assert_eq!(
                error.as_ref().map(|error| error.pointer.as_str()),
                pointer,
                "{error:?}"
            );
        }
        let [before, after] = [a(3, 7), a(2, 7)].map(|config| StreamConfigs::parse(&config).unwrap());
        let text = after.check_after(&before).unwrap_err().to_string();
        assert!(text.contains("a has 3 partitions now"), "{text}");
        assert!(text.ends_with("\"log_epoch\": 8"), "{text}");
    }
}
