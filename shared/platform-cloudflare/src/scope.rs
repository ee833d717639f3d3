//! What the ports of one request, batch or object share.

use std::cell::Cell;
use std::rc::Rc;

use eventstar_ports::{Diagnostics, Level};
use worker::Env;

use crate::Console;

/// Subrequests of one request on the Workers free plan (the paid one allows 10,000). A bulk read of KV is one.
/// Sources: <https://developers.cloudflare.com/workers/platform/limits/>,
/// <https://developers.cloudflare.com/kv/platform/limits/>.
const MAX_SUBREQUESTS: u32 = 50;

/// The bindings of one request, and what it has used them for.
#[derive(Debug, Clone)]
pub(crate) struct Scope(Rc<Shared>);

#[derive(Debug)]
struct Shared {
    env: Env,
    subrequests: Subrequests,
}

impl Scope {
    pub(crate) fn new(env: Env) -> Self {
        Self(Rc::new(Shared {
            env,
            subrequests: Subrequests::default(),
        }))
    }

    /// The same, for work of which no request knows the end: its subrequests are those of many.
    pub(crate) fn of_many(env: Env) -> Self {
        Self(Rc::new(Shared {
            env,
            subrequests: Subrequests(Cell::new(u32::MAX)),
        }))
    }

    pub(crate) fn env(&self) -> &Env {
        &self.0.env
    }

    /// Counts a call of a binding, and tells the operator once when the request makes too many.
    pub(crate) fn count_subrequest(&self) {
        if let Some(count) = self.0.subrequests.add() {
            Console.log_with(
                Level::Warn,
                "a request, or a batch of the queue, makes more subrequests than the Workers free plan allows: use the \
                 paid plan, fewer streams in a request, or smaller batches",
                &[("subrequests", count.into())],
            );
        }
    }
}

/// How many subrequests were made.
#[derive(Debug, Default)]
struct Subrequests(Cell<u32>);

impl Subrequests {
    /// Counts one more; returns how many they are when that is the first one too many.
    fn add(&self) -> Option<u32> {
        let count = self.0.get().saturating_add(1);
        self.0.set(count);
        (count == MAX_SUBREQUESTS + 1).then_some(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_subrequest_too_many_is_told_once() {
        let subrequests = Subrequests::default();
        let told: Vec<Option<u32>> = (1..=200).map(|_| subrequests.add()).collect();
        assert_eq!(told.iter().position(Option::is_some), Some(50));
        assert_eq!(told.into_iter().flatten().collect::<Vec<_>>(), [51]);
    }
}
