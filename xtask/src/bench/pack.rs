//! Keeping connections together.
//!
//! workerd looks for the next request on the connection it has just answered before it looks at the others. A client on
//! the same machine has sent it by then, so that a few connections were served for seconds while the rest waited. Clients
//! behind a network are never that fast; here none may run ahead.

use std::sync::{Condvar, Mutex, PoisonError};

/// How many answers a connection may have more than the one with the fewest. With one there would be a moment in every
/// turn when all have to wait for the last.
const LEAD: usize = 2;

/// Connections that advance together.
#[derive(Debug)]
pub(super) struct Pack {
    /// How many answers each has; the largest number for one that is done.
    answers: Mutex<Vec<usize>>,
    advanced: Condvar,
}

impl Pack {
    pub(super) fn new(connections: usize) -> Self {
        Self {
            answers: Mutex::new(vec![0; connections]),
            advanced: Condvar::new(),
        }
    }

    /// The connections' places in the pack.
    pub(super) fn members(&self) -> impl Iterator<Item = Member<'_>> {
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let connections = answers.len();
        (0..connections).map(|place| Member { pack: self, place })
    }
}

/// The place of one connection; dropping it leaves the pack.
#[derive(Debug)]
pub(super) struct Member<'a> {
    pack: &'a Pack,
    place: usize,
}

impl Member<'_> {
    /// Waits until this connection is not too far ahead.
    pub(super) fn wait(&self) {
        let answers = self.pack.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let too_far = |answers: &mut Vec<usize>| {
            let own = answers.get(self.place).copied().unwrap_or_default();
            let fewest = answers.iter().min().copied().unwrap_or_default();
            own >= fewest.saturating_add(LEAD)
        };
        // The guard is of no use: the others may advance.
        drop(self.pack.advanced.wait_while(answers, too_far));
    }

    /// Notes an answer.
    pub(super) fn answered(&self) {
        self.set(|answers| answers.saturating_add(1));
    }

    fn set(&self, change: impl FnOnce(usize) -> usize) {
        let mut answers = self.pack.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let fewest = answers.iter().min().copied();
        if let Some(own) = answers.get_mut(self.place) {
            *own = change(*own);
        }
        if answers.iter().min().copied() != fewest {
            self.pack.advanced.notify_all();
        }
    }
}

impl Drop for Member<'_> {
    fn drop(&mut self) {
        self.set(|_| usize::MAX);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;
    use std::time::Duration;

    use super::*;

    #[test]
    fn nobody_runs_ahead_of_the_slowest() {
        let pack = Pack::new(2);
        let mut members = pack.members();
        let (fast, slow) = (members.next().unwrap(), members.next().unwrap());
        let done = AtomicUsize::new(0);
        thread::scope(|scope| {
            scope.spawn(|| {
                let fast = fast;
                for _ in 0..10 {
                    fast.wait();
                    fast.answered();
                    done.fetch_add(1, Ordering::SeqCst);
                }
            });
            for answers in 0..3 {
                thread::sleep(Duration::from_millis(50));
                assert_eq!(done.load(Ordering::SeqCst), answers + LEAD);
                slow.wait();
                slow.answered();
            }
            // Without the slow one the rest goes through.
            drop(slow);
        });
        assert_eq!(done.load(Ordering::SeqCst), 10);
    }
}
