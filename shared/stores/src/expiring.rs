//! What an isolate remembers for a while.

use std::cell::RefCell;
use std::collections::HashMap;

use eventstar_event::time::Millis;

/// Most entries; each is a name and little more.
const MAX_ENTRIES: usize = 1000;

/// Values by name, each until a time of its own.
#[derive(Debug)]
pub(crate) struct Expiring<T>(RefCell<HashMap<String, (T, Millis)>>);

impl<T> Default for Expiring<T> {
    fn default() -> Self {
        Self(RefCell::default())
    }
}

impl<T: Clone> Expiring<T> {
    /// The value of `name`, where there is one at `now`.
    pub(crate) fn get(&self, name: &str, now: Millis) -> Option<T> {
        let entries = self.0.borrow();
        let (value, until) = entries.get(name)?;
        (now < *until).then(|| value.clone())
    }

    /// Keeps `value` for `life` from `now`. Those that are over give way, and all if none is.
    pub(crate) fn put(&self, name: &str, value: T, now: Millis, life: Millis) {
        let mut entries = self.0.borrow_mut();
        if entries.len() >= MAX_ENTRIES {
            entries.retain(|_, (_, until)| now < *until);
            if entries.len() >= MAX_ENTRIES {
                entries.clear();
            }
        }
        entries.insert(name.to_owned(), (value, now + life));
    }

    /// Forgets `name`.
    pub(crate) fn remove(&self, name: &str) {
        self.0.borrow_mut().remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_there_until_their_time() {
        let kept = Expiring::default();
        kept.put("a", 1, 100, 50);
        assert_eq!(
            (kept.get("a", 149), kept.get("a", 150), kept.get("b", 100)),
            (Some(1), None, None)
        );
        kept.remove("a");
        assert_eq!(kept.get("a", 100), None);
    }

    #[test]
    fn there_is_never_more_than_fits() {
        let kept = Expiring::default();
        kept.put("long", 0, 0, 1000);
        for n in 1..MAX_ENTRIES {
            kept.put(&n.to_string(), n, 0, 10);
        }
        kept.put("new", 1, 10, 10);
        assert_eq!((kept.get("long", 10), kept.get("new", 10)), (Some(0), Some(1)));
        for n in 0..3 * MAX_ENTRIES {
            kept.put(&n.to_string(), n, 10, 10);
            assert!(kept.0.borrow().len() <= MAX_ENTRIES);
        }
    }
}
