//! Gathers what the decision needs: each schema and the stream config, once a request.

use std::collections::HashMap;
use std::rc::Rc;

use eventstar_event::SchemaUri;
use eventstar_ports::{Platform, PortError};
use eventstar_stores::{Configs, SchemaLookup, load_schemas};
use eventstar_stream_config::Stream;

use crate::Isolate;
use crate::decide::Received;
use crate::limits::MAX_SCHEMAS;

/// What was found.
pub(crate) struct Gathered {
    pub(crate) schemas: HashMap<SchemaUri, Result<SchemaLookup, PortError>>,
    pub(crate) configs: Result<Rc<Configs>, PortError>,
}

impl Gathered {
    /// The settings of a stream, where it is configured.
    pub(crate) fn stream(&self, name: &str) -> Option<Rc<Stream>> {
        self.configs.as_ref().ok()?.streams.stream(name)
    }
}

pub(crate) async fn gather<P: Platform>(
    isolate: &Isolate,
    platform: &P,
    received: &[Received<'_>],
) -> Gathered {
    let mut wanted: Vec<&SchemaUri> = received.iter().filter_map(Received::schema_uri).collect();
    wanted.sort_unstable();
    wanted.dedup();
    wanted.truncate(MAX_SCHEMAS);
    let wanted = wanted.into_iter().cloned().collect();
    Gathered {
        schemas: load_schemas(&isolate.schemas, platform, wanted).await,
        configs: isolate
            .configs
            .with_streams(platform, received.iter().filter_map(Received::stream))
            .await,
    }
}
