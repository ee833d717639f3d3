//! Gathers what the decision needs: each schema and the stream config, once a request.

use std::collections::HashMap;
use std::rc::Rc;

use eventstar_event::SchemaUri;
use eventstar_ports::{Platform, PortError};
use eventstar_stores::{Configs, SchemaLookup, load_schema};
use eventstar_stream_config::Stream;
use futures_util::future::join_all;

use crate::Isolate;
use crate::decide::Received;
use crate::limits::MAX_SCHEMAS;

/// Schemas loaded at the same time: Workers allow six connections that wait for headers.
const LOADS_AT_ONCE: usize = 6;

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
    let mut schemas = HashMap::with_capacity(wanted.len());
    for some in wanted.chunks(LOADS_AT_ONCE) {
        let loads = some
            .iter()
            .map(|uri| load_schema(&isolate.schemas, platform, uri));
        let loaded = join_all(loads).await;
        schemas.extend(some.iter().map(|uri| (*uri).clone()).zip(loaded));
    }
    Gathered {
        schemas,
        configs: isolate
            .configs
            .with_streams(platform, received.iter().filter_map(Received::stream))
            .await,
    }
}
