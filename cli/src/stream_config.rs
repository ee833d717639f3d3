//! A stream configuration file.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use eventstar_schema_repository::{check_json, yaml_to_json};
use eventstar_stream_config::StreamConfigs;
use serde_json::{Map, Value};

use crate::place::line_of;

/// A map of stream name to settings, or `{"defaults": {…}, "streams": {…}}`, read from JSON or YAML.
#[derive(Debug)]
pub struct StreamConfigFile {
    path: PathBuf,
    text: String,
    is_json: bool,
    json: String,
    value: Map<String, Value>,
}

impl StreamConfigFile {
    /// Reads `path`: JSON when it is named or looks so, otherwise YAML.
    pub fn read(path: &Path) -> Result<Self> {
        let shown = path.display();
        let text = fs::read_to_string(path).with_context(|| format!("{shown}: cannot be read"))?;
        let named_json = path.extension().is_some_and(|extension| extension == "json");
        let is_json = named_json || text.trim_start().starts_with('{');
        let json = if is_json {
            check_json(&text).map(|()| text.clone())
        } else {
            yaml_to_json(&text)
        };
        let json = json.map_err(|error| anyhow::anyhow!("{shown}: {error}"))?;
        let Value::Object(value) =
            serde_json::from_str(&json).with_context(|| format!("{shown}: not valid"))?
        else {
            bail!("{shown}: the root must be a map of stream name to settings");
        };
        let config = Self {
            path: path.to_owned(),
            text,
            is_json,
            json,
            value,
        };
        if let Some((name, _)) = config.streams().find(|(_, settings)| !settings.is_object()) {
            let pointer = config.pointer(name);
            bail!(
                "{}: {pointer}: the settings of a stream must be a map",
                config.place(&pointer)
            );
        }
        Ok(config)
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The streams as the edge reads them.
    ///
    /// # Errors
    /// The first place that is wrong, with file, line and pointer.
    pub fn parse(&self) -> Result<StreamConfigs> {
        StreamConfigs::parse(&Value::Object(self.value.clone())).map_err(|error| {
            anyhow::anyhow!(
                "{}: {}: {}",
                self.place(&error.pointer),
                error.pointer,
                error.message
            )
        })
    }

    /// `FILE:LINE` of a JSON pointer; of the nearest place above it that the file has.
    pub(crate) fn place(&self, pointer: &str) -> String {
        match line_of(&self.text, self.is_json, pointer) {
            Some(line) => format!("{}:{line}", self.path.display()),
            None => self.path.display().to_string(),
        }
    }

    /// The JSON text to publish.
    pub fn json(&self) -> &str {
        &self.json
    }

    /// The JSON value, for comparing with what is published.
    pub fn value(&self) -> &Map<String, Value> {
        &self.value
    }

    /// Names and settings, in file order. Defaults are not merged in.
    pub fn streams(&self) -> impl Iterator<Item = (&str, &Value)> {
        nested(&self.value)
            .unwrap_or(&self.value)
            .iter()
            .map(|(name, settings)| (name.as_str(), settings))
    }

    /// The JSON pointer of a stream.
    pub(crate) fn pointer(&self, stream: &str) -> String {
        let base = nested(&self.value).map_or("", |_| "/streams");
        format!("{base}/{}", escape(stream))
    }
}

/// The streams of the nested form, which is the one whose only members are `streams` and `defaults`.
pub(crate) fn nested(config: &Map<String, Value>) -> Option<&Map<String, Value>> {
    let streams = config.get("streams")?.as_object()?;
    let is_nested = config.keys().all(|key| key == "streams" || key == "defaults");
    is_nested.then_some(streams)
}

/// A member's name as a segment of a JSON pointer.
pub(crate) fn escape(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &str, text: &str) -> Result<StreamConfigFile> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(name);
        fs::write(&path, text).unwrap();
        StreamConfigFile::read(&path)
    }

    #[test]
    fn both_shapes_and_both_languages_list_their_streams() {
        for (name, text) in [
            ("a.yaml", "page.view:\n  schema_title: page/view\n"),
            ("a.json", r#"{"page.view":{"schema_title":"page/view"}}"#),
            (
                "a.yml",
                "defaults: {}\nstreams:\n  page.view: {schema_title: page/view}\n",
            ),
        ] {
            let config = read(name, text).unwrap();
            let streams: Vec<_> = config.streams().collect();
            assert_eq!(streams.len(), 1, "{text}");
            assert_eq!(streams[0].0, "page.view");
            assert_eq!(streams[0].1["schema_title"], "page/view");
        }
    }

    #[test]
    fn a_broken_file_is_named() {
        let error = format!("{:#}", read("streams.yaml", "a: [1\n").unwrap_err());
        assert!(error.contains("streams.yaml: not valid YAML"), "{error}");
        let error = format!("{:#}", read("streams.json", "[]").unwrap_err());
        assert!(error.contains("streams.json: the root must be a map"), "{error}");
        let error = format!("{:#}", read("streams.yaml", "page.view: 5\n").unwrap_err());
        assert!(
            error.contains("streams.yaml:1: /page.view: the settings of a stream must be a map"),
            "{error}"
        );
        let config = read("streams.yaml", "a: {}\nb:\n  topics: x\n").unwrap();
        let error = config.parse().err().unwrap().to_string();
        assert!(
            error.contains("streams.yaml:3: /b/topics: expected an array of strings"),
            "{error}"
        );
    }
}
