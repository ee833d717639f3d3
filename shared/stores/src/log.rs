//! The stream log over SQL: append in chunks, read by offset and by time.

use std::collections::HashSet;

use bytes::Bytes;
use eventstar_event::Envelope;
use eventstar_event::time::Millis;
use eventstar_log::{Appended, Chunk, Frame, LogName, Start};
use eventstar_ports::{PortError, PortErrorKind, Row, Sql, SqlValue, Statement};

/// Largest chunk, in bytes of its lines. A row of a SQLite-backed Durable Object holds 2 MB.
const MAX_CHUNK_BYTES: usize = 1_000_000;

/// How often an append that lost the race for the next offset is tried again.
const MAX_TRIES: usize = 50;

/// Chunks read in one query.
const CHUNKS_PER_READ: u64 = 8;

const TABLE: &str = "CREATE TABLE IF NOT EXISTS chunk (log TEXT NOT NULL, base INTEGER NOT NULL, count INTEGER NOT NULL, \
     first INTEGER NOT NULL, last INTEGER NOT NULL, ids BLOB NOT NULL, lines BLOB NOT NULL, PRIMARY KEY (log, base)) WITHOUT ROWID";

/// An insert like the others, but at the end of the log, wherever that is by now.
const INSERT_AT_END: &str = "INSERT INTO chunk (log, base, count, first, last, ids, lines) \
     SELECT ?1, COALESCE(head.base + head.count, 0), ?3, MAX(?4, COALESCE(head.last, 0)), MAX(?5, COALESCE(head.last, 0)), ?6, ?7 \
     FROM (SELECT 1) LEFT JOIN (SELECT base, count, last FROM chunk WHERE log = ?1 ORDER BY base DESC LIMIT 1) AS head ON TRUE \
     WHERE NOT EXISTS (SELECT 1 FROM chunk WHERE log = ?1 AND base >= ?2 AND instr(ids, ?8) > 0)";

/// The stream log in a SQLite database. The primary key serves offset and time lookups: timestamps never run backwards,
/// so a time is found by bisection over offsets, and one append is one row.
#[derive(Debug, Clone)]
pub struct SqlLog<S> {
    sql: S,
}

/// The end of a log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Head {
    next: u64,
    last: Millis,
}

impl<S: Sql> SqlLog<S> {
    /// A log in the database `sql`.
    pub fn new(sql: S) -> Self {
        Self { sql }
    }

    /// Creates the table where it is missing.
    ///
    /// # Errors
    /// The database's.
    pub async fn prepare(&self) -> Result<(), PortError> {
        self.sql.write(vec![Statement::new(TABLE, vec![])]).await
    }

    /// Runs `query`, creating the table when it is the first to need it.
    async fn query(&self, sql: &'static str, params: Vec<SqlValue>) -> Result<Vec<Row>, PortError> {
        let statement = Statement::new(sql, params);
        match self.sql.query(statement.clone()).await {
            Err(error) if error.detail.contains("no such table") => {
                self.prepare().await?;
                self.sql.query(statement).await
            }
            answer => answer,
        }
    }

    /// Appends a batch; one row a chunk. Events whose delivery id is in the log already are left out.
    ///
    /// # Errors
    /// The database's; `Unavailable` when other writers won every race.
    pub async fn append(&self, log: &LogName, batch: &[Envelope]) -> Result<Appended, PortError> {
        let name = log.to_string();
        let mut overtaken = false;
        for _ in 0..MAX_TRIES {
            let (head, known) = self.head_and_ids_since(&name, batch).await?;
            let mut seen = known;
            let fresh: Vec<&Envelope> = batch
                .iter()
                .filter(|event| seen.insert(id_bytes(&event.id)))
                .collect();
            let duplicates = (batch.len() - fresh.len()) as u64;
            let appended = Appended {
                base: head.next,
                written: fresh.len() as u64,
                duplicates,
            };
            if fresh.is_empty() {
                return Ok(appended);
            }
            if overtaken && let Some(base) = self.append_at_end(&name, head, &fresh).await? {
                return Ok(Appended { base, ..appended });
            }
            match self.sql.write(inserts(&name, head, &fresh)).await {
                Ok(()) => return Ok(appended),
                Err(error) if error.kind == PortErrorKind::Conflict => overtaken = true,
                Err(error) => return Err(error),
            }
        }
        Err(PortError::unavailable(
            "log",
            format!("{name}: {MAX_TRIES} appends in a row lost the race for an offset"),
        ))
    }

    /// Appends where others append at the same moment: the database itself finds the end, so nobody overtakes this. Returns
    /// the offset; `None` when `events` need several chunks, or when a chunk that came after `head` was read holds the
    /// first of them, which is then being delivered twice.
    async fn append_at_end(
        &self,
        name: &str,
        head: Head,
        events: &[&Envelope],
    ) -> Result<Option<u64>, PortError> {
        let first_id = events.first().map(|event| id_bytes(&event.id).to_vec());
        let mut inserts = inserts(name, Head { last: 0, ..head }, events);
        let (Some(mut insert), true, Some(first_id)) = (inserts.pop(), inserts.is_empty(), first_id) else {
            return Ok(None);
        };
        insert.sql = INSERT_AT_END;
        insert.params.push(first_id.clone().into());
        self.sql.write(vec![insert]).await?;
        let rows = self
            .query(
                "SELECT base FROM chunk WHERE log = ? AND base >= ? AND instr(ids, ?) = 1 ORDER BY base LIMIT 1",
                vec![name.into(), head.next.into(), first_id.into()],
            )
            .await?;
        Ok(rows.first().map(|row| row.integer(0)))
    }

    /// The head, and the delivery ids of every chunk that may hold an event of `batch`.
    ///
    /// An event is stored with its receive time, which redelivery keeps, and timestamps never run backwards: so
    /// only chunks that end at the batch's earliest receive time or later can hold one. For new events that is
    /// the last chunk or none.
    async fn head_and_ids_since(
        &self,
        name: &str,
        batch: &[Envelope],
    ) -> Result<(Head, HashSet<[u8; 16]>), PortError> {
        let earliest = batch.iter().map(|event| event.dt).min().unwrap_or(0);
        let mut head = None;
        let mut ids = HashSet::new();
        // The largest offset there can be: JavaScript hosts pass integers as doubles.
        let mut before = (1_i64 << 53) - 1;
        // For new events the last chunk tells all; only a late redelivery looks at many.
        let mut limit = 1;
        loop {
            let rows = self
                .query(
                    "SELECT base, count, last, ids FROM chunk WHERE log = ? AND base < ? ORDER BY base DESC LIMIT ?",
                    vec![name.into(), SqlValue::Integer(before), SqlValue::Integer(limit)],
                )
                .await?;
            let ended = i64::try_from(rows.len()).is_ok_and(|rows| rows < limit);
            limit = 64;
            for mut row in rows {
                let (base, last) = (row.integer(0), row.integer(2));
                head.get_or_insert(Head {
                    next: base + row.integer(1),
                    last,
                });
                if last < earliest {
                    return Ok((head.unwrap_or_default(), ids));
                }
                ids.extend(
                    row.take_blob(3)
                        .chunks_exact(16)
                        .filter_map(|id| <[u8; 16]>::try_from(id).ok()),
                );
                before = i64::try_from(base).unwrap_or(0);
            }
            if ended {
                return Ok((head.unwrap_or_default(), ids));
            }
        }
    }

    /// The chunks from the one that holds the offset `from`, until `max_bytes` are reached; at least one if there is one.
    ///
    /// # Errors
    /// The database's.
    pub async fn read(&self, log: &LogName, from: u64, max_bytes: usize) -> Result<Vec<Chunk>, PortError> {
        let name = log.to_string();
        let mut chunks: Vec<Chunk> = Vec::new();
        let mut size = 0;
        let mut next = from;
        while size < max_bytes {
            let rows = self
                .query(
                    "SELECT base, count, first, last, lines FROM chunk WHERE log = ?1 AND base + count > ?2 AND base >= \
                     COALESCE((SELECT MAX(base) FROM chunk WHERE log = ?1 AND base <= ?2), 0) ORDER BY base LIMIT ?3",
                    vec![name.as_str().into(), next.into(), CHUNKS_PER_READ.into()],
                )
                .await?;
            if rows.is_empty() {
                break;
            }
            for mut row in rows {
                let chunk = Chunk {
                    base: row.integer(0),
                    count: row.integer(1),
                    first: row.integer(2),
                    last: row.integer(3),
                    lines: Bytes::from(row.take_blob(4)),
                };
                size += chunk.lines.len();
                next = chunk.next();
                chunks.push(chunk);
                if size >= max_bytes {
                    break;
                }
            }
        }
        Ok(chunks)
    }

    /// Resolves where a reader starts: a [`Frame::Opened`].
    ///
    /// # Errors
    /// The database's.
    pub async fn open(&self, log: &LogName, start: Start) -> Result<Frame, PortError> {
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
                "SELECT base FROM chunk WHERE log = ? ORDER BY base LIMIT 1",
                vec![name.as_str().into()],
            )
            .await?;
        let earliest = rows.first().map_or(head.next, |row| row.integer(0));
        let start = match start {
            Start::Latest => head.next,
            Start::Offset(offset) => offset.clamp(earliest, head.next),
            Start::Timestamp(time) if time > head.last => head.next,
            Start::Timestamp(time) => {
                self.first_at_or_after(log, &name, time, earliest, head.next)
                    .await?
            }
        };
        Ok(Frame::Opened {
            start,
            earliest,
            head: head.next,
            last: head.last,
        })
    }

    /// The offset of the first event of `time` or later; there is one between `low` and `high`.
    async fn first_at_or_after(
        &self,
        log: &LogName,
        name: &str,
        time: Millis,
        mut low: u64,
        mut high: u64,
    ) -> Result<u64, PortError> {
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
        let Some(chunk) = chunks.first() else {
            return Ok(low);
        };
        let events = chunk
            .events()
            .map_err(|error| PortError::corrupt("log", format!("{name}: {error}")))?;
        Ok(events
            .iter()
            .find(|event| event.timestamp >= time)
            .map_or(chunk.next(), |event| event.offset))
    }
}

/// One insert a chunk. The first carries the offset that another writer may have taken meanwhile.
fn inserts(name: &str, head: Head, events: &[&Envelope]) -> Vec<Statement> {
    let mut statements = Vec::new();
    let mut at = head;
    let mut rest = events;
    while !rest.is_empty() {
        let mut lines = Vec::new();
        let mut ids = Vec::new();
        let mut taken = 0;
        let (base, mut first) = (at.next, None);
        for event in rest {
            let before = lines.len();
            event.write_line(&mut lines);
            if taken > 0 && lines.len() > MAX_CHUNK_BYTES {
                lines.truncate(before);
                break;
            }
            at.last = at.last.max(event.dt);
            first.get_or_insert(at.last);
            ids.extend_from_slice(&id_bytes(&event.id));
            taken += 1;
        }
        at.next += taken as u64;
        statements.push(Statement::new(
            "INSERT INTO chunk (log, base, count, first, last, ids, lines) VALUES (?, ?, ?, ?, ?, ?, ?)",
            vec![
                name.into(),
                base.into(),
                (taken as u64).into(),
                first.unwrap_or_default().into(),
                at.last.into(),
                ids.into(),
                lines.into(),
            ],
        ));
        rest = rest.get(taken..).unwrap_or_default();
    }
    statements
}

/// A delivery id in 16 bytes; ids that are no UUIDs are hashed.
fn id_bytes(id: &str) -> [u8; 16] {
    uuid::Uuid::try_parse(id).map_or_else(
        |_| {
            let hash = |seed: u64| {
                id.bytes().fold(seed, |hash, byte| {
                    (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
                })
            };
            let wide =
                (u128::from(hash(0xcbf2_9ce4_8422_2325)) << 64) | u128::from(hash(0x9e37_79b9_7f4a_7c15));
            wide.to_be_bytes()
        },
        uuid::Uuid::into_bytes,
    )
}

#[cfg(test)]
mod tests;
