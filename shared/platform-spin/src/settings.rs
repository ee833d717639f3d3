//! Settings: Spin variables, read once an instance.

use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;

use eventstar_ports::Config;
use spin_sdk::variables::{self, Error};

/// Every setting a function or this adapter may ask for. Spin names them in lower case.
const NAMES: [&str; 27] = [
    "ADMIN_TOKEN",
    "ALLOWED_STREAMS",
    "ALLOW_INSECURE_SCHEMAS",
    "CLIENT_ADDRESS_HEADER",
    "COMPRESS_STREAMS",
    "CONNECTION_SECONDS",
    "CORS_ORIGINS",
    "CPU_MS",
    "ERROR_EVENTS_PER_MINUTE",
    "ERROR_STREAM",
    "EVENT_SERVICE",
    "KAFKA_REST_AUTHORIZATION",
    "KAFKA_REST_DIALECT",
    "KAFKA_REST_URL",
    "MAX_CONNECTIONS_PER_CLIENT",
    "MAX_EVENT_BYTES",
    "PATH_PREFIXES",
    "PRODUCER_TOKENS",
    "REDACTED_PAGES",
    "RETRY_WINDOW_MS",
    "SCHEMA_UPSTREAM",
    "SINK",
    "SQLITE_SYNCHRONOUS",
    "STREAM_CONFIG_TTL_MS",
    "TEST_EVENTS",
    "TOPIC_PREFIX",
    "TRUSTED_PROXIES",
];

thread_local! {
    static LOADED: RefCell<Option<Rc<Settings>>> = const { RefCell::new(None) };
}

/// The settings that are set.
#[derive(Default)]
pub(crate) struct Settings(Vec<(&'static str, String)>);

impl fmt::Debug for Settings {
    /// Names only: values may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set()
            .entries(self.0.iter().map(|(name, _)| name))
            .finish()
    }
}

impl Settings {
    /// The settings of this component. What cannot be read counts as not set, which closes what it would open, and is
    /// tried again at the next request.
    pub(crate) async fn load() -> Rc<Self> {
        if let Some(settings) = LOADED.with_borrow(Clone::clone) {
            return settings;
        }
        let mut settings = Self::default();
        let mut complete = true;
        for name in NAMES {
            match variables::get(name.to_ascii_lowercase()).await {
                Ok(value) if value.is_empty() => {}
                Ok(value) => settings.0.push((name, value)),
                // The manifest does not give it to this component.
                Err(Error::Undefined(_)) => {}
                Err(error) => {
                    complete = false;
                    eprintln!(
                        "error: cannot read the variable {}: {error}",
                        name.to_ascii_lowercase()
                    );
                }
            }
        }
        let settings = Rc::new(settings);
        if complete {
            LOADED.set(Some(Rc::clone(&settings)));
        }
        settings
    }
}

impl Config for Settings {
    fn get(&self, name: &str) -> Option<String> {
        self.0
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, value)| value.clone())
    }
}
