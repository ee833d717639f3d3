//! Spin's key-value store, as the KV port.

use eventstar_ports::{KeyValue, KeyValueWrite, PortError, PortErrorKind};
use spin_sdk::key_value::{Error, Store};

/// The component's default key-value store. Spin takes keys with slashes as they are.
#[derive(Debug, Clone, Copy, Default)]
pub struct SpinKv;

impl KeyValue for SpinKv {
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, PortError> {
        let store = Store::open_default().await.map_err(|error| failure(&error))?;
        store.get(key).await.map_err(|error| failure(&error))
    }
}

impl KeyValueWrite for SpinKv {
    async fn put(&self, key: &str, value: &[u8]) -> Result<(), PortError> {
        let store = Store::open_default().await.map_err(|error| failure(&error))?;
        store.set(key, value).await.map_err(|error| failure(&error))
    }
}

fn failure(error: &Error) -> PortError {
    let kind = match error {
        Error::NoSuchStore | Error::AccessDenied => PortErrorKind::Rejected,
        Error::StoreTableFull | Error::Other(_) => PortErrorKind::Unavailable,
    };
    PortError::new(kind, "kv", error.to_string())
}
