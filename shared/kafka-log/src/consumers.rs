//! The consumer instances that wait for being polled again.

use std::cell::RefCell;
use std::time::Duration;

use eventstar_event::time::Millis;
use eventstar_log::LogName;
use eventstar_ports::{Clock, HttpClient};

use crate::Host;
use crate::instance::Instance;

/// Instances kept at most: each has a connection and threads at the proxy.
const MAX_IDLE: usize = 64;

/// How long an instance is kept that nobody polls: readers come back within seconds, and the proxy forgets it, too.
const IDLE: Duration = Duration::from_secs(60);

/// The instances that nobody polls now. Readers take them out, so that they share what is known, and never work.
pub(crate) struct Consumers<H: HttpClient + Clone + 'static, T: Host>(RefCell<Vec<Idle<H, T>>>);

struct Idle<H: HttpClient + Clone + 'static, T: Host> {
    instance: Instance<H, T>,
    since: Millis,
}

impl<H: HttpClient + Clone + 'static, T: Host> Default for Consumers<H, T> {
    fn default() -> Self {
        Self(RefCell::default())
    }
}

impl<H: HttpClient + Clone + 'static, T: Host> Consumers<H, T> {
    /// The instance that reads `log` from `next` on, if there is one.
    pub(crate) fn take(&self, log: &LogName, next: u64) -> Option<Instance<H, T>> {
        let mut idle = self.0.borrow_mut();
        let found = idle
            .iter()
            .position(|idle| idle.instance.next == next && idle.instance.log == *log)?;
        Some(idle.remove(found).instance)
    }

    /// Keeps an instance for the next reader, unless there is one at its place.
    pub(crate) fn put(&self, instance: Instance<H, T>, clock: &impl Clock) {
        let since = clock.now();
        let mut idle = self.0.borrow_mut();
        let is_at =
            |other: &Idle<H, T>| other.instance.next == instance.next && other.instance.log == instance.log;
        if idle.iter().any(is_at) {
            return;
        }
        idle.push(Idle { instance, since });
        let too_many = idle.len().saturating_sub(MAX_IDLE);
        // The oldest come first.
        let old = idle
            .iter()
            .take_while(|idle| u128::from(since.saturating_sub(idle.since)) > IDLE.as_millis())
            .count();
        let over: Vec<_> = idle.drain(..too_many.max(old)).collect();
        drop(idle);
        // Their requests to be deleted are no business of the borrow.
        drop(over);
    }
}
