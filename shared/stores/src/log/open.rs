//! Where a reader starts.

use eventstar_event::time::Millis;
use eventstar_log::{Frame, Gap, GapReason, LogName, Start};
use eventstar_ports::{PortError, Sql};

use super::{Head, SqlLog};

/// A place in a log.
#[derive(Debug, Clone, Copy)]
struct At {
    offset: u64,
    /// The timestamp of the event there, if there is one.
    timestamp: Option<Millis>,
}

impl<S: Sql> SqlLog<S> {
    /// Resolves where a reader starts: a [`Frame::Opened`].
    ///
    /// # Errors
    /// The database's.
    pub async fn open(&self, log: &LogName, asked: Start) -> Result<Frame, PortError> {
        let name = log.to_string();
        let rows = self
            .query(
                "SELECT base, count, last FROM chunk WHERE log = ? ORDER BY base DESC LIMIT 1",
                vec![name.as_str().into()],
            )
            .await?;
        let head = rows.first().map_or(Head::default(), |row| Head {
            next: row.integer(0) + row.integer(1),
            last: row.integer(2),
        });
        let rows = self
            .query(
                "SELECT base, first FROM chunk WHERE log = ? AND length(lines) > 0 ORDER BY base LIMIT 1",
                vec![name.as_str().into()],
            )
            .await?;
        let earliest = rows.first().map_or(head.next, |row| row.integer(0));
        let earliest_timestamp = rows.first().map(|row| row.integer(1));
        let expired = Gap {
            reason: GapReason::Expired,
            timestamp: earliest_timestamp,
        };
        let expired = (earliest, Some(expired));
        let (start, gap) = match asked {
            Start::Latest => (head.next, None),
            // From 0 means from wherever it begins.
            Start::Offset(offset @ 1..) | Start::Position { offset, .. } if offset < earliest => expired,
            Start::Timestamp(time @ 1..)
                if earliest > 0 && earliest_timestamp.is_some_and(|at| time < at) =>
            {
                expired
            }
            Start::Timestamp(time) => {
                let start = self.at_time(log, &name, time, earliest, head).await?;
                (start.offset, None)
            }
            Start::Offset(offset) => (offset.clamp(earliest, head.next), None),
            Start::Position { offset, timestamp } if self.is_own(&name, offset, timestamp, head).await? => {
                (offset, None)
            }
            Start::Position { timestamp, .. } => {
                let start = self.at_time(log, &name, timestamp, earliest, head).await?;
                let gap = Gap {
                    reason: GapReason::Foreign,
                    timestamp: start.timestamp,
                };
                (start.offset, Some(gap))
            }
        };
        Ok(Frame::Opened {
            start,
            earliest,
            head: head.next,
            last: head.last,
            gap,
        })
    }

    /// Whether a reader of this log can have been told to go on at `offset` and `timestamp`: the event before is older than
    /// that, and the event there is not younger by more than the millisecond that ids add. What a chunk says of its
    /// first and last event is enough to tell the logs of two epochs apart.
    async fn is_own(
        &self,
        name: &str,
        offset: u64,
        timestamp: Millis,
        head: Head,
    ) -> Result<bool, PortError> {
        if offset > head.next {
            return Ok(false);
        }
        let rows = self
            .query(
                "SELECT base, count, first, last FROM chunk WHERE log = ? AND base <= ? ORDER BY base DESC LIMIT 2",
                vec![name.into(), offset.into()],
            )
            .await?;
        Ok(rows.iter().all(|row| {
            let (base, count): (u64, u64) = (row.integer(0), row.integer(1));
            let (first, last): (Millis, Millis) = (row.integer(2), row.integer(3));
            let holds_the_one_before = base < offset && offset <= base + count;
            let holds_it = offset < base + count;
            (!holds_the_one_before || first < timestamp) && (!holds_it || timestamp <= last + 1)
        }))
    }

    /// The first event of `time` or later; the end of the log when there is none.
    async fn at_time(
        &self,
        log: &LogName,
        name: &str,
        time: Millis,
        earliest: u64,
        head: Head,
    ) -> Result<At, PortError> {
        if time > head.last {
            return Ok(At {
                offset: head.next,
                timestamp: None,
            });
        }
        self.first_at_or_after(log, name, time, earliest, head.next).await
    }

    /// The offset of the first event of `time` or later; there is one between `low` and `high`.
    async fn first_at_or_after(
        &self,
        log: &LogName,
        name: &str,
        time: Millis,
        mut low: u64,
        mut high: u64,
    ) -> Result<At, PortError> {
        // Invariant: the chunk sought ends after `low` and begins before `high`.
        while low < high {
            let middle = low + (high - low) / 2;
            let rows = self
                .query(
                    "SELECT base, count, last FROM chunk WHERE log = ? AND base <= ? ORDER BY base DESC LIMIT 1",
                    vec![name.into(), middle.into()],
                )
                .await?;
            let Some(row) = rows.first() else { break };
            if row.integer(2) < time {
                low = row.integer(0) + row.integer(1);
            } else {
                high = row.integer(0);
                if high <= low {
                    break;
                }
            }
        }
        let chunks = self.read(log, low, 1).await?;
        let end = |offset| At {
            offset,
            timestamp: None,
        };
        let Some(chunk) = chunks.first() else {
            return Ok(end(low));
        };
        let events = chunk
            .events()
            .map_err(|error| PortError::corrupt("log", format!("{name}: {error}")))?;
        Ok(events
            .iter()
            .find(|event| event.timestamp >= time)
            .map_or(end(chunk.next()), |event| At {
                offset: event.offset,
                timestamp: Some(event.timestamp),
            }))
    }
}
