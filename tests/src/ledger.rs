//! What clients were told of the events they sent, against what is found of them afterwards.

use std::collections::BTreeMap;
use std::fmt;

/// How often each event was found, by its `meta.id`.
pub type Found = BTreeMap<String, usize>;

/// What a client was told of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    /// It was not sent yet.
    Planned,
    /// Nothing, or that it is to come again: it may be there or not.
    Open,
    /// It is accepted, and must be there.
    Accepted,
    /// It is refused, and must not be there.
    Refused,
}

/// The events of one stream, with the text that each was sent with.
#[derive(Debug, Default)]
pub struct Ledger(BTreeMap<String, (String, Told)>);

impl Ledger {
    /// Notes an event that is to be sent.
    pub fn plan(&mut self, id: &str, text: &str) {
        self.0.insert(id.to_owned(), (text.to_owned(), Told::Planned));
    }

    /// Notes the status that an event was answered with, if it was answered.
    ///
    /// # Panics
    /// When the event was not planned, or the answer is none that an event may get.
    pub fn told(&mut self, id: &str, status: Option<u16>) {
        let (_, told) = self.0.get_mut(id).expect("an event that was planned");
        *told = match status {
            Some(201) => Told::Accepted,
            Some(503) | None => Told::Open,
            Some(400..=499) => Told::Refused,
            Some(other) => panic!("event {id} was answered {other}"),
        };
    }

    /// The events that were not sent yet: ids and texts.
    #[must_use]
    pub fn planned(&self) -> Vec<(String, String)> {
        self.which(Told::Planned)
    }

    /// The events that are to be sent again, with the same text: ids and texts.
    #[must_use]
    pub fn open(&self) -> Vec<(String, String)> {
        self.which(Told::Open)
    }

    fn which(&self, wanted: Told) -> Vec<(String, String)> {
        let those = self.0.iter().filter(|(_, (_, told))| *told == wanted);
        those.map(|(id, (text, _))| (id.clone(), text.clone())).collect()
    }

    /// Whether all events that were accepted are among `found`.
    #[must_use]
    pub fn is_in(&self, found: &Found) -> bool {
        self.accepted().all(|id| found.contains_key(id))
    }

    fn accepted(&self) -> impl Iterator<Item = &String> {
        let accepted = self.0.iter().filter(|(_, (_, told))| *told == Told::Accepted);
        accepted.map(|(id, _)| id)
    }

    /// Compares with what `topic` and `log` have, where the events are to be there: what was accepted at least once in the topic and
    /// exactly once in the log, nothing twice in the log, nothing that was refused or never sent in either.
    ///
    /// # Errors
    /// What does not hold.
    pub fn compare(&self, topic: Option<&Found>, log: Option<&Found>) -> Result<Tally, String> {
        let places = [topic, log];
        for (id, times) in places.iter().flatten().copied().flatten() {
            match self.0.get(id) {
                None | Some((_, Told::Planned)) => {
                    return Err(format!("nobody sent {id}, which is there {times} times"));
                }
                Some((_, Told::Refused)) => return Err(format!("{id} was refused and is there")),
                Some(_) => {}
            }
        }
        if let Some((id, times)) = log.into_iter().flatten().find(|(_, times)| **times > 1) {
            return Err(format!("{id} is in the log {times} times"));
        }
        let lost = self
            .accepted()
            .filter(|id| places.iter().flatten().any(|found| !found.contains_key(*id)));
        let delivered = topic.or(log).cloned().unwrap_or_default();
        let tally = Tally {
            sent: self.0.len() - self.planned().len(),
            accepted: self.accepted().count(),
            delivered: delivered.len(),
            duplicates: delivered.values().sum::<usize>() - delivered.len(),
            lost: lost.count(),
        };
        if tally.lost > 0 {
            return Err(tally.to_string());
        }
        Ok(tally)
    }
}

/// The numbers of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tally {
    /// Events that were sent, however often.
    pub sent: usize,
    /// Those that were answered 201.
    pub accepted: usize,
    /// Those that are in the topic, or in the log where no topic is looked at.
    pub delivered: usize,
    /// How many are there beyond the first of each.
    pub duplicates: usize,
    /// Those that were answered 201 and are not everywhere where they must be.
    pub lost: usize,
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            sent,
            accepted,
            delivered,
            duplicates,
            lost,
        } = self;
        write!(
            f,
            "sent {sent}, accepted {accepted}, delivered {delivered}, duplicates {duplicates}, lost {lost}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ledger() -> Ledger {
        let mut ledger = Ledger::default();
        for (id, statuses) in [
            ("a", &[Some(201)][..]),
            ("b", &[Some(503), Some(201)]),
            ("c", &[Some(503)]),
            ("d", &[None]),
            ("e", &[Some(400)]),
            ("f", &[]),
        ] {
            ledger.plan(id, &format!("text of {id}"));
            statuses.iter().for_each(|status| ledger.told(id, *status));
        }
        ledger
    }

    fn found(times: &[(&str, usize)]) -> Found {
        times
            .iter()
            .map(|(id, times)| ((*id).to_owned(), *times))
            .collect()
    }

    #[test]
    fn what_was_neither_accepted_nor_refused_is_sent_again_with_its_text() {
        let again = |id: &str| (id.to_owned(), format!("text of {id}"));
        assert_eq!(ledger().open(), [again("c"), again("d")]);
        assert_eq!(ledger().planned(), [again("f")]);
    }

    #[test]
    fn an_open_event_may_be_there_and_the_topic_may_have_one_twice() {
        let tally = ledger()
            .compare(
                Some(&found(&[("a", 3), ("b", 1), ("c", 1)])),
                Some(&found(&[("a", 1), ("b", 1)])),
            )
            .unwrap();
        assert_eq!(
            tally.to_string(),
            "sent 5, accepted 2, delivered 3, duplicates 2, lost 0"
        );
    }

    #[test]
    fn what_does_not_hold_is_told() {
        let whole = found(&[("a", 1), ("b", 1)]);
        for (topic, log, said) in [
            (found(&[("a", 1)]), whole.clone(), "lost 1"),
            (whole.clone(), found(&[("b", 1)]), "lost 1"),
            (
                whole.clone(),
                found(&[("a", 2), ("b", 1)]),
                "a is in the log 2 times",
            ),
            (
                whole.clone(),
                found(&[("a", 1), ("b", 1), ("d", 2)]),
                "d is in the log 2 times",
            ),
            (
                found(&[("a", 1), ("b", 1), ("e", 1)]),
                whole.clone(),
                "e was refused",
            ),
            (
                whole.clone(),
                found(&[("a", 1), ("b", 1), ("x", 1)]),
                "nobody sent x",
            ),
        ] {
            let told = ledger().compare(Some(&topic), Some(&log)).unwrap_err();
            assert!(told.contains(said), "{told}");
        }
        assert!(ledger().is_in(&whole) && !ledger().is_in(&found(&[("a", 1)])));
    }
}
