//! The registry's version, read so that a schema or stream that was unknown a moment ago is looked for again only where something
//! was published since.

use std::cell::Cell;
use std::time::Duration;

use eventstar_event::time::Millis;
use eventstar_ports::{
    Level, Platform, Published, Registry, RegistryError, RegistryRequest, RegistryVersion,
};

/// The time between the beginnings of two reads of an isolate, in milliseconds. Anybody may ask for names that nobody has
/// published, and there is one registry.
const INTERVAL: Millis = 1_000;

/// The time between two looks at the read of another request that is under way, in milliseconds.
const WAIT: Millis = 20;

/// Most requests of an isolate that wait for a read: those of a client that posts every 10 ms for [`INTERVAL`], and some more.
/// Each holds its body meanwhile.
const MAX_WAITING: usize = 128;

/// The reads of the registry's version by one isolate.
#[derive(Debug, Default)]
pub struct VersionReader {
    /// The number of the last read that was begun, and when that was.
    begun: Cell<(u64, Millis)>,
    /// The number of the last read that is over, and what it found, unless it failed.
    ended: Cell<(u64, Option<RegistryVersion>)>,
    waiting: Cell<usize>,
}

impl VersionReader {
    /// The version from now on: no read counts that began before.
    pub fn from_now(&self) -> VersionFromNow<'_> {
        VersionFromNow {
            reader: self,
            before: self.begun.get().0,
        }
    }

    /// The version, for which a read counts that began in the [`INTERVAL`] before `now`.
    pub(crate) fn recent(&self, now: Millis) -> VersionFromNow<'_> {
        let (begun, began) = self.begun.get();
        let is_recent = (began..began + INTERVAL).contains(&now);
        VersionFromNow {
            reader: self,
            before: begun.saturating_sub(u64::from(is_recent)),
        }
    }
}

/// The registry's version, as it is read after a request came.
#[derive(Debug)]
pub struct VersionFromNow<'r> {
    reader: &'r VersionReader,
    /// The reads that began before the request.
    before: u64,
}

impl VersionFromNow<'_> {
    /// The version that was read last, perhaps before the request. A lookup that begins now finds at least what it counts.
    pub(crate) fn known(&self) -> Option<RegistryVersion> {
        self.reader.ended.get().1
    }

    /// The version. It is read once for all requests that want it, and once in [`INTERVAL`]: those that come meanwhile wait
    /// for the next read. `None` where the registry cannot be reached, or too many wait.
    pub async fn get<P: Platform>(&self, platform: &P) -> Option<RegistryVersion> {
        let reader = self.reader;
        let mut waiting = None;
        loop {
            let (ended, version) = reader.ended.get();
            if ended > self.before {
                return version;
            }
            let now = platform.now();
            let (begun, began) = reader.begun.get();
            let left = (began + INTERVAL).saturating_sub(now);
            // A clock that was put back must not make anybody wait until it is there again.
            if begun == 0 || left == 0 || now < began {
                return reader.read(platform, begun + 1, now).await;
            }
            if waiting.is_none() {
                waiting = Some(Waiting::begin(&reader.waiting)?);
            }
            let is_under_way = begun > self.before;
            let wait = if is_under_way { left.min(WAIT) } else { left };
            platform.sleep(Duration::from_millis(wait)).await;
        }
    }
}

impl VersionReader {
    async fn read<P: Platform>(&self, platform: &P, number: u64, now: Millis) -> Option<RegistryVersion> {
        self.begun.set((number, now));
        let version = match platform.registry().ask(RegistryRequest::Version).await {
            Ok(Published::Version(version)) => Some(version),
            Ok(_) => None,
            Err(error) => {
                let detail = match error {
                    RegistryError::Unavailable { detail } => detail,
                    other => other.to_string(),
                };
                let message = format!("the registry's version cannot be read: {detail}");
                platform.log(Level::Warn, &message);
                None
            }
        };
        // A later read may be over before this one.
        if number > self.ended.get().0 {
            self.ended.set((number, version));
        }
        version
    }
}

/// A request that waits, until this is dropped.
struct Waiting<'r>(&'r Cell<usize>);

impl<'r> Waiting<'r> {
    fn begin(waiting: &'r Cell<usize>) -> Option<Self> {
        let now = waiting.get();
        (now < MAX_WAITING).then(|| {
            waiting.set(now + 1);
            Self(waiting)
        })
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

#[cfg(test)]
mod tests;
