//! The stream config, cached in the isolate.

use std::cell::RefCell;
use std::rc::Rc;

use eventstar_event::time::Millis;
use eventstar_ports::{
    Config, Level, Platform, PortError, Published, Registry, RegistryError, RegistryRequest, RegistryVersion,
    StoredConfig,
};
use eventstar_stream_config::StreamConfigs;

use crate::keys;
use crate::schemas::{look_up, read_through};
use crate::stored::{StreamConfigDocument, decode};
use crate::version::VersionFromNow;

/// How long a config is used before it is read again, in milliseconds; the setting `STREAM_CONFIG_TTL_MS` overrides it.
const DEFAULT_TTL: Millis = 30_000;

/// Longest life of a config: a day.
pub(crate) const MAX_TTL: Millis = 86_400_000;

/// The age of a config, in milliseconds, at which it is read again because a stream is not in it, while the registry does not say
/// whether there is a newer one.
const MISS_TTL: Millis = 1_000;

/// Earlier versions kept parsed: who looks back compares two.
const MAX_EARLIER: usize = 2;

/// A stream config with its version.
pub struct Configs {
    /// The version: 0 while nothing is published.
    pub version: u64,
    /// When it was published, milliseconds since the epoch.
    pub published: Millis,
    /// The streams.
    pub streams: StreamConfigs,
}

struct Cached {
    configs: Rc<Configs>,
    read: Millis,
}

/// The cache of one isolate.
#[derive(Default)]
pub struct ConfigCache {
    cached: RefCell<Option<Cached>>,
    earlier: RefCell<Vec<Rc<Configs>>>,
}

impl ConfigCache {
    /// The current config: cached, or read again when it is older than its time to live. When KV and registry fail, the
    /// old one is kept.
    ///
    /// # Errors
    /// The platform's, when there is no old one either.
    pub async fn current<P: Platform>(&self, platform: &P) -> Result<Rc<Configs>, PortError> {
        self.younger_than(platform, ttl(platform)).await
    }

    /// The config after a stream was not in the one at hand: the newest that was published, so that a new stream works at
    /// once. `version` is as of the beginning of the request.
    ///
    /// # Errors
    /// As [`ConfigCache::current`], and the registry's where it has a newer config and does not give it.
    pub async fn refreshed<P: Platform>(
        &self,
        platform: &P,
        version: &VersionFromNow<'_>,
    ) -> Result<Rc<Configs>, PortError> {
        let Some(RegistryVersion { stream_config, .. }) = version.get(platform).await else {
            return self.younger_than(platform, MISS_TTL).await;
        };
        // Another request may have read it meanwhile.
        let configs = self.current(platform).await?;
        if configs.version >= stream_config {
            return Ok(configs);
        }
        let configs = self.younger_than(platform, 0).await?;
        if configs.version >= stream_config {
            return Ok(configs);
        }
        // KV has not heard of it yet.
        let keys = vec![keys::STREAM_CONFIG.to_owned()];
        let value = look_up(platform, keys).await.into_iter().next();
        let configs = decoded(value.unwrap_or(Ok(None))?)?;
        Ok(self.keep(configs, platform.now()))
    }

    /// The config for events of `streams`: the newest one where the one at hand lacks one of them.
    ///
    /// # Errors
    /// As [`ConfigCache::refreshed`].
    pub async fn with_streams<'s, P: Platform>(
        &self,
        platform: &P,
        version: &VersionFromNow<'_>,
        mut streams: impl Iterator<Item = &'s str>,
    ) -> Result<Rc<Configs>, PortError> {
        let configs = self.current(platform).await?;
        if streams.all(|stream| configs.streams.stream(stream).is_some()) {
            return Ok(configs);
        }
        self.refreshed(platform, version).await
    }

    /// A version of the config: the one in use, else the registry's; `None` where there is none. A version never changes, so
    /// the last ones asked for are kept.
    ///
    /// # Errors
    /// The registry's, and [`PortError`] of the kind corrupt for one that this release cannot read.
    pub async fn version<P: Platform>(
        &self,
        platform: &P,
        version: u64,
    ) -> Result<Option<Rc<Configs>>, PortError> {
        let current = self
            .cached
            .borrow()
            .as_ref()
            .map(|cached| Rc::clone(&cached.configs));
        let known = current
            .into_iter()
            .chain(self.earlier.borrow().iter().cloned())
            .find(|configs| configs.version == version);
        if known.is_some() || version == 0 {
            return Ok(known.filter(|_| version > 0));
        }
        let question = RegistryRequest::StreamConfig {
            version: Some(version),
        };
        let stored = match platform.registry().ask(question).await {
            Ok(Published::Config(stored)) => stored,
            Ok(other) => {
                let detail = format!("{other:?} answers another question");
                return Err(PortError::corrupt("registry", detail));
            }
            Err(RegistryError::Unavailable { detail }) => {
                return Err(PortError::unavailable("registry", detail));
            }
            Err(refusal) => return Err(PortError::corrupt("registry", refusal.to_string())),
        };
        let Some(StoredConfig {
            published,
            config: Some(config),
            ..
        }) = stored
        else {
            return Ok(None);
        };
        let found = Rc::new(parsed("registry", version, published, config.get())?);
        let mut earlier = self.earlier.borrow_mut();
        earlier.truncate(MAX_EARLIER - 1);
        earlier.insert(0, Rc::clone(&found));
        Ok(Some(found))
    }

    async fn younger_than<P: Platform>(&self, platform: &P, age: Millis) -> Result<Rc<Configs>, PortError> {
        let now = platform.now();
        let old = self
            .cached
            .borrow()
            .as_ref()
            .map(|cached| (Rc::clone(&cached.configs), cached.read));
        if let Some((configs, read)) = &old
            && now < read + age
        {
            return Ok(Rc::clone(configs));
        }
        match read(platform).await {
            Ok(configs) => Ok(self.keep(configs, now)),
            Err(error) => match old {
                Some((configs, _)) => {
                    platform.log(
                        Level::Warn,
                        &format!("stream config not refreshed, the old one is used: {error}"),
                    );
                    *self.cached.borrow_mut() = Some(Cached {
                        configs: Rc::clone(&configs),
                        read: now,
                    });
                    Ok(configs)
                }
                None => Err(error),
            },
        }
    }
    /// Keeps what was read, and gives the newest: an eventually consistent read may be older than what this isolate has seen.
    fn keep(&self, configs: Configs, read: Millis) -> Rc<Configs> {
        let mut cached = self.cached.borrow_mut();
        let newest = match cached.take() {
            Some(known) if known.configs.version >= configs.version => known.configs,
            _ => Rc::new(configs),
        };
        *cached = Some(Cached {
            configs: Rc::clone(&newest),
            read,
        });
        newest
    }
}

/// How long a config is used before it is read again.
pub(crate) fn ttl(config: &impl Config) -> Millis {
    config
        .get("STREAM_CONFIG_TTL_MS")
        .and_then(|ttl| ttl.parse().ok())
        .map_or(DEFAULT_TTL, |ttl: Millis| ttl.min(MAX_TTL))
}

async fn read<P: Platform>(platform: &P) -> Result<Configs, PortError> {
    decoded(read_through(platform, keys::STREAM_CONFIG).await?)
}

fn decoded(value: Option<Vec<u8>>) -> Result<Configs, PortError> {
    match value {
        None => parsed("kv", 0, 0, "{}"),
        Some(value) => {
            let document: StreamConfigDocument = decode(keys::STREAM_CONFIG, &value)?;
            parsed("kv", document.version, document.published, document.config.get())
        }
    }
}

fn parsed(port: &'static str, version: u64, published: Millis, config: &str) -> Result<Configs, PortError> {
    let config = serde_json::from_str(config).map_err(|error| PortError::corrupt(port, error.to_string()))?;
    let streams =
        StreamConfigs::parse(&config).map_err(|error| PortError::corrupt(port, error.to_string()))?;
    Ok(Configs {
        version,
        published,
        streams,
    })
}
