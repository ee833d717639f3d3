//! All functions on one origin, with one stream to measure.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use eventstar_cli::{Admin, SchemaRepository, StreamConfigFile};
use serde_json::json;

use super::Accept;
use super::cluster::Cluster;
use crate::artifacts::Platform;
use crate::dev::host_name;
use crate::process::step;
use crate::project::Project;
use crate::server::{self, Launch, Server};
use crate::tokens::Tokens;

/// A running server; dropping it stops it.
pub(super) struct Origin {
    pub(super) port: u16,
    _server: Server,
}

impl Origin {
    pub(super) fn start(
        project: &Project,
        host: Platform,
        accept: Accept,
        stream: &str,
        cluster: Option<&Cluster>,
        state: &Path,
    ) -> Result<Self> {
        let tokens = Tokens::of(state)?;
        let variables = cluster.map_or(Vec::new(), |cluster| cluster.settings().to_vec());
        let launch = Launch {
            platform: host,
            port: server::free_port()?,
            state,
            tokens: &tokens,
            allowed_streams: "*",
            sink: None,
            variables: &variables,
            counts: false,
        };
        step(&format!("starting {} for {stream}", host_name(host)));
        let mut server = Server::start(project, &launch)?;
        server.wait_until_healthy(&launch.base_url())?;
        let admin = Admin::new(&launch.base_url(), &tokens.admin)?;
        let schemas = SchemaRepository::read(&project.root.join("examples/schemas/jsonschema"))?;
        admin.publish_schemas("examples", schemas.schemas(), &mut |_| {})?;
        let config = state.join("streams.json");
        fs::write(&config, streams(stream, accept, cluster.is_some()))
            .with_context(|| format!("{} cannot be written", config.display()))?;
        admin.publish_streams(&StreamConfigFile::read(&config)?)?;
        Ok(Self {
            port: launch.port,
            _server: server,
        })
    }
}

/// The stream config.
fn streams(stream: &str, accept: Accept, kafka: bool) -> String {
    let sinks: &[&str] = if kafka { &["log", "kafka"] } else { &["log"] };
    let settings = json!({"schema_title": "test/event", "sinks": sinks, "accept": accept.name()});
    json!({ stream: settings }).to_string()
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn the_stream_is_in_kafka_where_there_is_kafka() {
        let config = |kafka| serde_json::from_str::<Value>(&streams("a", Accept::Queue, kafka)).unwrap();
        let both = json!({"schema_title": "test/event", "sinks": ["log", "kafka"], "accept": "queue"});
        assert_eq!(config(true), json!({ "a": both }));
        assert_eq!(config(false)["a"]["sinks"], json!(["log"]));
    }
}
