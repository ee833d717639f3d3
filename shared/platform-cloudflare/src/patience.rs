//! Waiting, but not for ever.

use std::future::Future;
use std::pin::{Pin, pin};
use std::time::Duration;

use eventstar_ports::Timer;
use futures_util::future::{Either, select};

/// What takes this long is waited for no longer than as long again.
const ROUND: Duration = Duration::from_secs(30);

/// Waits for one thing after the other, each for 30 s at least and 60 s at most. All have one timer: one for each would cost as
/// much as the things themselves.
pub(crate) struct Patience<T> {
    timer: T,
    round: Pin<Box<dyn Future<Output = ()>>>,
}

impl<T: Timer> Patience<T> {
    pub(crate) fn new(timer: T) -> Self {
        let round = Box::pin(timer.sleep(ROUND));
        Self { timer, round }
    }

    /// What `work` comes to; `None` if it takes too long.
    pub(crate) async fn wait_for<W: Future>(&mut self, work: W) -> Option<W::Output> {
        let mut work = pin!(work);
        // The round may have begun, or even ended, before the work did.
        for _ in 0..2 {
            match select(work.as_mut(), self.round.as_mut()).await {
                Either::Left((done, _)) => return Some(done),
                Either::Right(_) => self.round = Box::pin(self.timer.sleep(ROUND)),
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::future::{pending, ready};
    use std::rc::Rc;

    use futures_util::FutureExt;

    use super::*;

    /// A timer of which the first so many sleeps end at once, and the others never.
    #[derive(Clone)]
    struct Rings(Rc<Cell<u32>>);

    impl Timer for Rings {
        fn sleep(&self, _: Duration) -> impl Future<Output = ()> + 'static {
            let left = self.0.get();
            self.0.set(left.saturating_sub(1));
            if left > 0 {
                ready(()).left_future()
            } else {
                pending().right_future()
            }
        }
    }

    fn patience(rings: u32) -> Patience<Rings> {
        Patience::new(Rings(Rc::new(Cell::new(rings))))
    }

    #[test]
    fn what_is_done_is_told_however_late_the_round_is() {
        for rings in 0..3 {
            assert_eq!(patience(rings).wait_for(ready(7)).now_or_never(), Some(Some(7)));
        }
    }

    #[test]
    fn what_takes_a_whole_round_is_given_up() {
        for (rings, expected) in [(0, None), (1, None), (2, Some(None))] {
            let waited = patience(rings).wait_for(pending::<()>()).now_or_never();
            assert_eq!(waited, expected, "{rings} rounds have ended");
        }
    }

    #[test]
    fn each_thing_has_a_round_of_its_own() {
        let mut patience = patience(1);
        // The round ended before the second began, and a new one has begun since.
        assert_eq!(patience.wait_for(ready(1)).now_or_never(), Some(Some(1)));
        assert_eq!(patience.wait_for(pending::<()>()).now_or_never(), None);
        assert_eq!(patience.wait_for(ready(3)).now_or_never(), Some(Some(3)));
    }
}
