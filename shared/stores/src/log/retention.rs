//! Dropping what a log need not keep any longer.
//!
//! Nothing runs by itself, so appends look for what has expired, now and then, and [`SqlLog::sweep`] does it for logs that went
//! quiet. A look is bounded, and costs one row written besides those that are dropped.

use eventstar_event::Envelope;
use eventstar_event::time::Millis;
use eventstar_log::Retention;
use eventstar_ports::{PortError, Row, Sql, SqlValue, Statement};

use super::{Head, SqlLog};

/// An append looks for expired chunks when it passes an offset that is a multiple of this.
const LOOK_EVERY_EVENTS: u64 = 1024;

/// And when it passes a moment that is a multiple of this, or of the retention if that is shorter, in milliseconds.
const LOOK_EVERY_MS: Millis = 3_600_000;

/// And when it is as large as this: so no more than 256 MiB come between two looks.
const LARGE_APPEND: usize = 256 * 1024;

/// Chunks whose sizes are added up in one look: twice as many as usually come between two.
const MAX_COUNTED: u64 = 2 * LOOK_EVERY_EVENTS;

/// Chunks and bytes that are dropped in one look at most; the next one goes on. All pages of a chunk are touched.
const MAX_DROPPED: u64 = 2048;
const MAX_DROPPED_BYTES: u64 = 512 * 1024 * 1024;

/// Chunks looked at in one query.
const CHUNKS_PER_LOOK: u64 = 64;

/// Logs that one sweep looks at.
const LOGS_PER_SWEEP: u64 = 8;

/// What is known of each log: its retention, `size` bytes in the chunks before the offset `counted`, and when its first
/// chunk expires.
pub(super) const TABLE: &str = "CREATE TABLE IF NOT EXISTS retention (log TEXT NOT NULL PRIMARY KEY, ms INTEGER, bytes INTEGER NOT NULL, \
     counted INTEGER NOT NULL, size INTEGER NOT NULL, due INTEGER) WITHOUT ROWID";

const SEED: &str = "INSERT OR IGNORE INTO retention (log, bytes, counted, size) VALUES (?1, 0, 0, 0)";

/// Adds up what came since the last look. The database does it, as others may look at the same moment.
const COUNT: &str = "UPDATE retention SET ms = ?2, bytes = ?3, \
     due = (SELECT last FROM chunk WHERE log = ?1 AND length(lines) > 0 ORDER BY base LIMIT 1) + ?2, \
     size = size + COALESCE((SELECT SUM(bytes) FROM (SELECT length(lines) + length(ids) AS bytes FROM chunk \
     WHERE log = ?1 AND base >= retention.counted ORDER BY base LIMIT ?4)), 0), \
     counted = COALESCE((SELECT MAX(end) FROM (SELECT base + count AS end FROM chunk \
     WHERE log = ?1 AND base >= retention.counted ORDER BY base LIMIT ?4)), counted) WHERE log = ?1";

/// Takes the chunks before the offset `?2` off what was counted.
const DISCOUNT: &str = "UPDATE retention SET size = size - COALESCE((SELECT SUM(length(lines) + length(ids)) FROM chunk \
     WHERE log = ?1 AND base < ?2 AND base < retention.counted), 0), \
     due = (SELECT last FROM chunk WHERE log = ?1 AND base >= ?2 AND length(lines) > 0 ORDER BY base LIMIT 1) + ms WHERE log = ?1";

/// The last chunk stays: it says where the log ends.
const DROP: &str =
    "DELETE FROM chunk WHERE log = ?1 AND base < ?2 AND base < (SELECT MAX(base) FROM chunk WHERE log = ?1)";

/// If the last chunk has expired as well, nothing stays of it but the offset and the timestamp of its last event.
const BLANK: &str = "UPDATE chunk SET base = base + count - 1, count = 1, first = last, ids = x'', lines = x'' \
     WHERE log = ?1 AND base < ?2 AND length(lines) > 0";

/// How often a log that keeps its events for `ms` looks for expired ones, in milliseconds.
fn period(ms: Option<Millis>) -> Millis {
    ms.unwrap_or(LOOK_EVERY_MS)
        .clamp(Retention::MIN_MS, LOOK_EVERY_MS)
}

/// Whether the append of `events`, after `before`, has to look for expired chunks.
pub(super) fn must_look(before: Head, events: &[Envelope], retention: Option<Retention>) -> bool {
    let passes = |from: u64, to: u64, step: u64| from / step != to / step;
    let bytes: usize = events.iter().map(|event| event.event.len()).sum();
    let last = before.last.max(newest(events));
    bytes >= LARGE_APPEND
        || passes(before.next, before.next + events.len() as u64, LOOK_EVERY_EVENTS)
        || passes(
            before.last,
            last,
            period(retention.and_then(|retention| retention.ms)),
        )
}

/// The receive time of the newest of `events`: the clock of an append.
pub(super) fn newest(events: &[Envelope]) -> Millis {
    events.iter().map(|event| event.dt).max().unwrap_or(0)
}

/// What is known of a log.
#[derive(Default)]
struct Known {
    retention: Retention,
    size: u64,
}

impl Known {
    fn read(row: &Row) -> Self {
        let ms = row.integer(0);
        Self {
            retention: Retention {
                ms: (ms > 0).then_some(ms),
                bytes: row.integer(1),
            },
            size: row.integer(2),
        }
    }
}

impl<S: Sql> SqlLog<S> {
    /// Drops what has expired at `now` from the logs where something has, a bounded amount.
    ///
    /// # Errors
    /// The database's; the next sweep goes on.
    pub async fn sweep(&self, now: Millis) -> Result<(), PortError> {
        let due = self
            .query(
                "SELECT log FROM retention WHERE due < ? ORDER BY due LIMIT ?",
                vec![now.into(), LOGS_PER_SWEEP.into()],
            )
            .await?;
        for row in due {
            self.drop_expired(row.text(0), None, now).await?;
        }
        Ok(())
    }

    /// When to sweep again: when the next chunk expires, but not more often than the log looks by itself; soon where more has
    /// expired than one look drops.
    ///
    /// # Errors
    /// The database's.
    pub async fn next_sweep(&self, now: Millis) -> Result<Option<Millis>, PortError> {
        let next = self
            .query(
                "SELECT due, ms FROM retention WHERE due IS NOT NULL ORDER BY due LIMIT 1",
                vec![],
            )
            .await?;
        Ok(next.first().map(|row| match (row.integer(0), row.integer(1)) {
            (due, _) if due < now => now + Retention::MIN_MS,
            (due, ms) => due.max(now + period(Some(ms))),
        }))
    }

    /// Drops what has expired at `now` from one log, a bounded amount. `told` is the stream's retention; without, what the
    /// log was told last counts.
    pub(super) async fn drop_expired(
        &self,
        name: &str,
        told: Option<Retention>,
        now: Millis,
    ) -> Result<(), PortError> {
        let retention = match told {
            Some(retention) => retention,
            None => self.known(name).await?.retention,
        };
        let count = vec![
            name.into(),
            retention.ms.map_or(SqlValue::Null, SqlValue::from),
            retention.bytes.into(),
            MAX_COUNTED.into(),
        ];
        let seed = Statement::new(SEED, vec![name.into()]);
        self.write(vec![seed, Statement::new(COUNT, count)]).await?;
        let Known { size, .. } = self.known(name).await?;
        let Some(end) = self.expired_until(name, retention, size, now).await? else {
            return Ok(());
        };
        let statement = |sql| Statement::new(sql, vec![name.into(), end.into()]);
        self.write([DISCOUNT, DROP, BLANK].map(statement).into()).await
    }

    async fn known(&self, name: &str) -> Result<Known, PortError> {
        let rows = self
            .query(
                "SELECT ms, bytes, size FROM retention WHERE log = ?",
                vec![name.into()],
            )
            .await?;
        Ok(rows.first().map_or_else(Known::default, Known::read))
    }

    /// Where the chunks end that need not be kept.
    async fn expired_until(
        &self,
        name: &str,
        retention: Retention,
        mut size: u64,
        now: Millis,
    ) -> Result<Option<u64>, PortError> {
        let mut end = None;
        let (mut chunks, mut bytes) = (0, 0);
        while chunks < MAX_DROPPED && bytes < MAX_DROPPED_BYTES {
            let rows = self
                .query(
                    "SELECT base + count, last, length(lines) + length(ids) FROM chunk WHERE log = ? AND base >= ? ORDER BY base LIMIT ?",
                    vec![name.into(), end.unwrap_or(0).into(), CHUNKS_PER_LOOK.into()],
                )
                .await?;
            let ended = (rows.len() as u64) < CHUNKS_PER_LOOK;
            for row in rows {
                let (last, chunk): (Millis, u64) = (row.integer(1), row.integer(2));
                let too_old = retention.ms.is_some_and(|ms| last + ms < now);
                // As in Kafka: not before what is left is as large as it may be. So the last chunk always fits.
                let too_much = size.saturating_sub(chunk) >= retention.bytes;
                if !too_old && !too_much {
                    return Ok(end);
                }
                end = Some(row.integer(0));
                size = size.saturating_sub(chunk);
                (chunks, bytes) = (chunks + 1, bytes + chunk);
            }
            if ended {
                break;
            }
        }
        Ok(end)
    }
}
