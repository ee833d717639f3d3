//! The delivery ids that were read of each topic-partition, so that an event that delivery wrote twice is read once.
//!
//! Delivery gives each event an id and sends it with the record. Where an acknowledgement is lost, the event is written again with
//! the same id, some records later. Ids are known from where reading began: a reader that begins in the middle cannot know of
//! those before.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use eventstar_event::time::Millis;
use eventstar_kafka_rest::Consumed;
use eventstar_log::LogName;

/// Most offsets between a record of an event and the next one of it. Delivery tries again after at most 300 seconds: in
/// that time 90,000 records come to a partition that gets 300 a second.
const REACH: u32 = 100_000;

/// Most ids in one table: what a hash table of 16,384 places holds before it doubles.
const TABLE: usize = 14_336;

/// Most tables of one window: the newest is being filled, the others hold what is within reach.
const TABLES: usize = 8;

/// Most tables of all windows: 64 take 22 MB, of the 128 MB that Workers grant an isolate. Eight partitions have all of theirs.
const MAX_TABLES: usize = 64;

/// Most windows. Some have no table: the records of other producers have no ids.
const MAX_WINDOWS: usize = 256;

/// A window in which nobody has read for so long makes room first.
const IDLE: Duration = Duration::from_secs(60);

/// 96 bits of an id's hash: at 1,000 records a second, two ids are taken for one once in 10^13 years.
type Hash = [u32; 3];

/// The ids that were read, of all topic-partitions.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    windows: Vec<Window>,
    hashers: [RandomState; 2],
}

/// The ids that were read in a row of one topic-partition. Readers that are far apart have one each.
#[derive(Debug)]
struct Window {
    log: LogName,
    /// The offset after the last that was read.
    next: u64,
    used: Millis,
    /// The offset from which all ids are known.
    from: u64,
    /// The oldest comes first.
    tables: VecDeque<Table>,
}

#[derive(Debug)]
struct Table {
    /// The offset of the record for which it was begun.
    from: u64,
    ids: HashMap<Hash, Places>,
}

/// The offsets of the first and the last record of an event that were read, or the lower halves of them.
#[derive(Debug, Clone, Copy)]
struct Places {
    first: u32,
    last: u32,
}

impl Seen {
    /// Takes in the records that come from the offset `next` on. Returns the offsets of those whose event had a record before, in
    /// order.
    pub(crate) fn repeated(
        &mut self,
        log: &LogName,
        next: u64,
        records: &[Consumed],
        now: Millis,
    ) -> Vec<u64> {
        let mut window = self.take_window(log, next, now);
        let mut repeated = Vec::new();
        for record in records {
            let Some(id) = record.delivery_id() else {
                continue;
            };
            let hash = self.hash(id);
            if window.is_repeated(hash, record.offset) {
                repeated.push(record.offset);
            }
        }
        if let Some(last) = records.last() {
            window.next = window.next.max(last.offset + 1);
        }
        self.windows.push(window);
        self.make_room(now);
        repeated
    }

    fn hash(&self, id: &str) -> Hash {
        let [one, two] = &self.hashers;
        let (one, two) = (one.hash_one(id), two.hash_one(id));
        // The lower halves are what is wanted.
        [(one >> 32) as u32, one as u32, two as u32]
    }

    /// The window in which a reader of `log` goes on at `next`: of several, the one that knows the most.
    fn take_window(&mut self, log: &LogName, next: u64, now: Millis) -> Window {
        let fitting = self
            .windows
            .iter()
            .enumerate()
            .filter(|(_, window)| (window.from..=window.next).contains(&next) && window.log == *log);
        match fitting.min_by_key(|(_, window)| window.from) {
            Some((place, _)) => Window {
                used: now,
                ..self.windows.swap_remove(place)
            },
            None => Window {
                log: log.clone(),
                next,
                used: now,
                from: next,
                tables: VecDeque::new(),
            },
        }
    }

    fn make_room(&mut self, now: Millis) {
        let is_idle = |window: &Window| u128::from(now.abs_diff(window.used)) > IDLE.as_millis();
        while self
            .windows
            .iter()
            .map(|window| window.tables.len())
            .sum::<usize>()
            > MAX_TABLES
        {
            let largest = self
                .windows
                .iter_mut()
                .max_by_key(|window| (is_idle(window) && !window.tables.is_empty(), window.tables.len()));
            if let Some(window) = largest {
                window.forget_oldest();
            }
        }
        if self.windows.len() > MAX_WINDOWS {
            // Idle ones come first; this one was used now.
            let oldest = (0..self.windows.len())
                .min_by_key(|place| self.windows.get(*place).map(|window| window.used));
            if let Some(oldest) = oldest {
                self.windows.swap_remove(oldest);
            }
        }
    }
}

impl Window {
    /// True where the event with this id had a record before `offset`, within reach. Remembers this one.
    fn is_repeated(&mut self, hash: Hash, offset: u64) -> bool {
        // Within a window, offsets lie close together.
        let place = offset as u32;
        let known = self.tables.iter_mut().find_map(|table| {
            let places = *table.ids.get(&hash)?;
            let (ahead, length) = (
                place.wrapping_sub(places.first),
                places.last.wrapping_sub(places.first),
            );
            if ahead > length {
                // It has its place in the newest table: as long as its last record is within reach, it is known.
                table.ids.remove(&hash);
            }
            Some((places, ahead, length))
        });
        let (places, is_repeated) = match known {
            Some((_, ahead, length)) if ahead <= length => return ahead > 0,
            Some((places, ahead, length)) if ahead - length <= REACH => (
                Places {
                    last: place,
                    ..places
                },
                true,
            ),
            _ => (
                Places {
                    first: place,
                    last: place,
                },
                false,
            ),
        };
        self.insert(hash, places, offset);
        is_repeated
    }

    fn insert(&mut self, hash: Hash, places: Places, offset: u64) {
        if self.tables.back().is_none_or(|table| table.ids.len() >= TABLE) {
            if self.tables.len() >= TABLES {
                self.forget_oldest();
            }
            self.tables.push_back(Table {
                from: offset,
                ids: HashMap::new(),
            });
        }
        if let Some(table) = self.tables.back_mut() {
            table.ids.insert(hash, places);
        }
    }

    fn forget_oldest(&mut self) {
        self.tables.pop_front();
        self.from = self.tables.front().map_or(self.next, |table| table.from);
    }
}

#[cfg(test)]
mod tests;
